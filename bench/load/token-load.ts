import type { Address } from "../kit/address.ts";
import { framed } from "../kit/material.ts";
import { SECRET_DIGITS, secretAt } from "../kit/tokens.ts";
import { RawConnection, type Receiver } from "./raw-connection.ts";
import { grpcHeaderBlock } from "./raw-frames.ts";

export interface TokenPressure {
  readonly connections: number;
  readonly inFlight: number;
  readonly seconds: number;
  /** How many different tokens are asked about. */
  readonly tokens: number;
  /** In turn, so that each token is asked about when all others have been, or at random. */
  readonly order: "in turn" | "random";
  /** As many calls as that, if time allows; without end where not given. */
  readonly calls?: number;
}

export interface TokenLoadResult {
  readonly done: number;
  readonly started: number;
  readonly requestsPerSecond: number;
}

export const VERIFY_PATH = "/m2mgateway.v1.TokenService/VerifyToken";
const VERIFY = grpcHeaderBlock(VERIFY_PATH);
const BATCH = grpcHeaderBlock("/m2mgateway.v1.TokenService/BatchVerifyTokens");
/** Field 1, of bytes: the token in a request and a token in a batch. */
const TOKEN_TAG = 0x0a;
const GRPC_PREFIX_BYTES = 5;
/** A message that begins like this has the verdict VALID: field 1, a number, 1. */
const VALID = [0x08, 0x01] as const;
/** Fits into one frame, and into any window that a server starts with. */
const BATCH_TOKENS = 250;
const FILL_CONNECTIONS = 4;
const FILL_IN_FLIGHT = 2;

/**
 * Asks about different tokens, as h2load cannot, and looks at every verdict.
 * @throws Error when an answer is not VALID
 */
export async function runTokenLoad(address: Address, pressure: TokenPressure): Promise<TokenLoadResult> {
  const { connections, inFlight, seconds, tokens, order, calls = Number.POSITIVE_INFINITY } = pressure;
  let turn = 0;
  const next = () => (order === "random" ? Math.floor(Math.random() * tokens) : turn++ % tokens);
  const bodies = new RequestBodies();
  let [started, done] = [0, 0];
  await onConnections(address, connections, (opened, finish, fail) => {
    const startedAtMs = performance.now();
    const endAtMs = startedAtMs + seconds * 1000;
    const ask = (connection: RawConnection) => {
      started += 1;
      connection.call(VERIFY, bodies.of(next()), new Verdict(answered, connection));
    };
    const answered = (isValid: boolean, connection: RawConnection) => {
      if (!isValid) return fail(new Error("an answer was not VALID"));
      if (performance.now() >= endAtMs || done >= calls) return finish();
      done += 1;
      ask(connection);
    };
    for (const connection of opened) for (let call = 0; call < inFlight; call += 1) ask(connection);
  });
  return { done, started, requestsPerSecond: done / seconds };
}

/** Has the gateway verify tokens 0 to `count` - 1, so that it remembers them. */
export async function verifyAll(address: Address, count: number): Promise<void> {
  let next = 0;
  let open = 0;
  await onConnections(address, FILL_CONNECTIONS, (opened, finish) => {
    const ask = (connection: RawConnection) => {
      if (next >= count) {
        if (open === 0) finish();
        return;
      }
      const body = batchOf(next, Math.min(count, next + BATCH_TOKENS));
      next += BATCH_TOKENS;
      open += 1;
      const end = () => {
        open -= 1;
        ask(connection);
      };
      connection.call(BATCH, body, { data: () => undefined, end });
    };
    for (const connection of opened) for (let call = 0; call < FILL_IN_FLIGHT; call += 1) ask(connection);
  });
}

/** Opens connections, runs, and closes them when `finish` or `fail` is called. */
async function onConnections(
  address: Address,
  count: number,
  run: (opened: readonly RawConnection[], finish: () => void, fail: (error: Error) => void) => void,
): Promise<void> {
  const opened = await Promise.all(Array.from({ length: count }, () => RawConnection.open(address)));
  try {
    await new Promise<void>((resolve, reject) => {
      for (const connection of opened) connection.onFailure = reject;
      run(opened, resolve, reject);
    });
  } finally {
    for (const connection of opened) connection.close();
  }
}

/** The one message that answers a verification. */
export class Verdict implements Receiver {
  readonly #answered: (isValid: boolean, connection: RawConnection) => void;
  readonly #connection: RawConnection;
  #length = 0;
  #matched = 0;

  constructor(answered: (isValid: boolean, connection: RawConnection) => void, connection: RawConnection) {
    this.#answered = answered;
    this.#connection = connection;
  }

  data(payload: Buffer): void {
    VALID.forEach((byte, i) => {
      if (payload[GRPC_PREFIX_BYTES + i - this.#length] === byte) this.#matched += 1;
    });
    this.#length += payload.length;
  }

  end(): void {
    this.#answered(this.#matched === VALID.length, this.#connection);
  }
}

/** Framed requests about one token after the other, in one buffer: each is copied when it is sent. */
export class RequestBodies {
  readonly #bytes = framed(tokenField(0));
  readonly #digitsAt = GRPC_PREFIX_BYTES + 2 + SECRET_DIGITS.offset;

  /** Valid until the next call. */
  of(index: number): Buffer {
    this.#bytes.write(index.toString(16).padStart(SECRET_DIGITS.length, "0"), this.#digitsAt, "latin1");
    return this.#bytes;
  }
}

function batchOf(from: number, to: number): Buffer {
  return framed(Buffer.concat(Array.from({ length: to - from }, (_, i) => tokenField(from + i))));
}

function tokenField(index: number): Buffer {
  const secret = Buffer.from(secretAt(index), "latin1");
  return Buffer.concat([Buffer.from([TOKEN_TAG, secret.length]), secret]);
}
