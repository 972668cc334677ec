import { setTimeout as pause } from "node:timers/promises";
import type { Address } from "../kit/address.ts";
import { secretAt } from "../kit/tokens.ts";
import { RawConnection } from "./raw-connection.ts";
import { grpcHeaderBlock } from "./raw-frames.ts";
import { RawHttp1 } from "./raw-http1.ts";
import { RequestBodies, VERIFY_PATH, Verdict } from "./token-load.ts";

/** Asks about tokens over connections that it keeps open. */
export interface Asker {
  ask(tokenIndex: number, answered: (isValid: boolean) => void): void;
  close(): void;
}

export interface Pace {
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** How many different tokens are asked about, in turn. */
  readonly tokens: number;
}

export interface PacedResult {
  readonly started: number;
  /** Answered VALID by the end. */
  readonly done: number;
  /** Answered otherwise. */
  readonly wrong: number;
}

/** How often what is due is sent: clients do not wait for each other. */
const TICK_MS = 5;

/** Asks at a constant rate, whether or not answers come: a server that cannot keep up falls behind. */
export async function runPaced(asker: Asker, { ratePerSecond, seconds, tokens }: Pace): Promise<PacedResult> {
  let [started, done, wrong] = [0, 0, 0];
  const count = (isValid: boolean) => {
    if (isValid) done += 1;
    else wrong += 1;
  };
  const startedAtMs = performance.now();
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startedAtMs) {
    for (const due = (elapsedMs * ratePerSecond) / 1000; started < due; started += 1) {
      asker.ask(started % tokens, count);
    }
    await pause(TICK_MS);
  }
  return { started, done, wrong };
}

/** Over gRPC, on connections of HTTP/2. */
export async function grpcAsker(address: Address, connections: number, authorization: string): Promise<Asker> {
  const opened = await Promise.all(Array.from({ length: connections }, () => RawConnection.open(address)));
  const block = grpcHeaderBlock(VERIFY_PATH, authorization);
  const bodies = new RequestBodies();
  let turn = 0;
  return {
    ask(tokenIndex, answered) {
      const connection = opened[turn++ % connections];
      connection?.call(block, bodies.of(tokenIndex), new Verdict(answered, connection));
    },
    close() {
      for (const connection of opened) connection.close();
    },
  };
}

/** Over Connect in JSON, on connections of HTTP/1.1: one call at a time on each. */
export async function connectAsker(address: Address, connections: number, authorization: string): Promise<Asker> {
  const client = await RawHttp1.open(address, connections);
  return {
    ask(tokenIndex, answered) {
      const body = JSON.stringify({ token: secretAt(tokenIndex) });
      const request =
        `POST ${VERIFY_PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
        `authorization: ${authorization}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      client.ask(request, (answer) => answered(answer.includes('"verdict":"VERDICT_VALID"')));
    },
    close: () => client.close(),
  };
}
