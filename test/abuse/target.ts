import net from "node:net";
import tls from "node:tls";

/** Where a gateway listens. */
export interface Target {
  readonly port: number;
  /** The certificate to trust; without it the port is in clear text. */
  readonly ca?: string | undefined;
}

/** What a client announces in its handshake; `undefined` for one that makes none. */
export type Announced = "h2" | "http/1.1" | undefined;

/** A connection under way. `onOpen` is called once bytes can be sent; errors are nobody's concern but `close`'s. */
export function open({ port, ca }: Target, announced: Announced, onOpen: (socket: net.Socket) => void): net.Socket {
  const isTls = ca !== undefined && announced !== undefined;
  const socket = isTls
    ? tls.connect({ port, host: "127.0.0.1", ca, servername: "localhost", ALPNProtocols: [announced] })
    : net.connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => undefined);
  socket.once(isTls ? "secureConnect" : "connect", () => onOpen(socket));
  return socket;
}
