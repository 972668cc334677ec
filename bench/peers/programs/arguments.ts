import { readFileSync } from "node:fs";

/** What a peer's server is started with: `<listen> <answer file>` and what is its own. */
export interface Arguments {
  /** As `server.listen` of Node.js takes it. */
  readonly listen: { readonly path: string } | { readonly host: string; readonly port: number };
  /** As given: `host:port` or `unix:/path`. */
  readonly address: string;
  /** The serialized VerifyTokenResponse. */
  readonly answer: Buffer;
  readonly rest: readonly string[];
}

export function readArguments([address = "", answerFile = "", ...rest]: readonly string[]): Arguments {
  const [host = "", port] = address.split(":");
  const listen = host === "unix" ? { path: address.slice("unix:".length) } : { host, port: Number(port) };
  return { listen, address, answer: readFileSync(answerFile), rest };
}
