import { once } from "node:events";
import type { Socket } from "node:net";
import { type Address, openSocket } from "../kit/address.ts";

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";

/**
 * The client side of HTTP/1.1 at as little cost as possible: connections that are kept, each with one request under way.
 * Requests beyond that wait. It asks only our own servers; a connection that ends answers nothing any more.
 */
export class RawHttp1 {
  readonly #sockets: readonly Socket[];
  readonly #idle: Socket[];
  readonly #answered = new Map<Socket, (answer: string) => void>();
  readonly #texts = new Map<Socket, string>();
  readonly #waiting: { readonly request: string; readonly answered: (answer: string) => void }[] = [];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
    this.#idle = [...sockets];
    for (const socket of sockets) {
      socket.setEncoding("latin1");
      socket.on("data", (text: string) => this.#read(socket, text));
      socket.on("error", () => socket.destroy());
    }
  }

  static async open(address: Address, connections: number): Promise<RawHttp1> {
    const sockets = Array.from({ length: connections }, () => openSocket(address));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new RawHttp1(sockets);
  }

  /** @param request its bytes, one per character */
  ask(request: string, answered: (answer: string) => void): void {
    const socket = this.#idle.pop();
    if (socket === undefined) this.#waiting.push({ request, answered });
    else this.#send(socket, request, answered);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #send(socket: Socket, request: string, answered: (answer: string) => void): void {
    this.#answered.set(socket, answered);
    this.#texts.set(socket, "");
    socket.write(request, "latin1");
  }

  #read(socket: Socket, part: string): void {
    const text = (this.#texts.get(socket) ?? "") + part;
    this.#texts.set(socket, text);
    if (!isWhole(text)) return;
    this.#answered.get(socket)?.(text);
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(socket);
    else this.#send(socket, next.request, next.answered);
  }
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return false;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  return length === undefined ? text.endsWith(LAST_CHUNK) : text.length >= headEnd + HEAD_END.length + Number(length);
}
