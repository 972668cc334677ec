import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "../../test/support/redis/redis-process.ts";

/** How a server is reached. */
export type Carrier = "tcp" | "unix" | "tls";

export interface Address {
  readonly carrier: Carrier;
  /** `127.0.0.1:port` or `unix:/path`, as servers are told to listen and grpc-js to connect. */
  readonly text: string;
}

export async function newAddress(carrier: Carrier, folder: string): Promise<Address> {
  const port = await freePort();
  // The port makes the name unique. Paths of sockets must be short.
  return { carrier, text: carrier === "unix" ? `unix:${join(folder, `${port}.sock`)}` : `127.0.0.1:${port}` };
}

/** Where the socket is, if the address is one's. */
export function socketPath({ text }: Address): string | undefined {
  return text.startsWith("unix:") ? text.slice("unix:".length) : undefined;
}

export function openSocket(address: Address): Socket {
  const path = socketPath(address);
  return path === undefined
    ? connect({ host: "127.0.0.1", port: Number(address.text.split(":").at(-1)), noDelay: true })
    : connect({ path });
}

/** Whether somebody listens there. */
export async function accepts(address: Address): Promise<boolean> {
  const socket = openSocket(address);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
