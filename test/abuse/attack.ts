import type { Socket } from "node:net";
import type { SiegeOptions } from "./siege.ts";

/** What an attacker knows of the gateway besides its address. */
export interface Knowledge {
  /** A good token. */
  readonly token: string;
}

export interface Attack {
  readonly name: string;
  readonly over: "tcp and tls" | "tls" | "tcp";
  /** What one connection of `connections` does once it is open. */
  readonly options: Omit<SiegeOptions, "connections">;
  /** In the quick form and in full. */
  readonly connections: readonly [quick: number, full: number];
  serve(socket: Socket, knowledge: Knowledge): void;
}
