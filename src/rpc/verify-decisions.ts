import { setMaxListeners } from "node:events";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Caller } from "../callers/caller.ts";
import {
  type VerifyTokenRequest,
  VerifyTokenRequestSchema,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
  type VerifyTokenStreamRequest,
  type VerifyTokenStreamResponse,
  VerifyTokenStreamResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { GatewayError } from "../token/errors.ts";
import type { Verification, VerifyRequest } from "../token/verification.ts";
import { statusFrom, transportError } from "./connect-error.ts";
import { rateLimited } from "./guard.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { validate } from "./validate-interceptor.ts";
import { demandsFrom, wireVerification } from "./verify-token.ts";

/** The most requests of one stream that are undecided, or decided and not taken, at once. */
const MAX_OPEN = 1_000;

/** What a request asks of a verdict that is nothing but a token. */
export const NO_DEMANDS = { maxAgeMs: Number.POSITIVE_INFINITY, minCursor: undefined, policy: undefined } as const;

/** @throws GatewayError ARGUMENT_INVALID */
export function checkedRequest(request: VerifyTokenRequest | undefined): VerifyTokenRequest {
  if (request === undefined) {
    const violations = [{ field: "request", description: "value is required" }];
    throw new GatewayError("ARGUMENT_INVALID", "request: value is required", { violations });
  }
  validate(VerifyTokenRequestSchema, request);
  return request;
}

export interface Decided {
  readonly id: bigint;
  /** `undefined` when it could not be decided. */
  readonly verification: Verification | undefined;
  readonly error: unknown;
}

export interface DecisionsOptions {
  readonly verifier: RpcDependencies["verifier"];
  /** Whose stream it is; `undefined` where that makes no difference. */
  readonly caller: Caller | undefined;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
  /** Told of each decision, perhaps from within the call that asked for it. */
  readonly onDecided: () => void;
}

/** The requests of one stream that have no answer yet: undecided, or decided and waiting for somebody to take them. */
export class Decisions {
  readonly #options: DecisionsOptions;
  #decided: Decided[] = [];
  /** Where in `#decided` the next one is. */
  #position = 0;
  #open = 0;

  constructor(options: DecisionsOptions) {
    this.#options = options;
    // Every token that has to be asked for listens to this one signal.
    setMaxListeners(0, options.signal);
  }

  /** Whether no more may be pushed before one is taken. */
  get isFull(): boolean {
    return this.#open >= MAX_OPEN;
  }

  get isEmpty(): boolean {
    return this.#open === 0;
  }

  get hasDecided(): boolean {
    return this.#position < this.#decided.length;
  }

  push(request: VerifyTokenStreamRequest): void {
    const { caller } = this.#options;
    if (caller?.allowance.take(1) === false) this.refuse(request.id, rateLimited(caller));
    else this.pushCounted(request);
  }

  /** For a request that has been counted against the caller's rate. */
  pushCounted({ id, request }: VerifyTokenStreamRequest): void {
    const { caller, signal } = this.#options;
    this.#open += 1;
    try {
      const checked = checkedRequest(request);
      this.#decide(id, { presented: checked.token, ...demandsFrom(checked), subjects: caller?.subjects, signal });
    } catch (error) {
      this.#settle({ id, verification: undefined, error });
    }
  }

  /** The same for a request that breaks no rule and demands nothing beyond a verdict. */
  pushPlain(id: bigint, presented: string): void {
    const { caller, signal } = this.#options;
    this.#open += 1;
    try {
      this.#decide(id, { presented, ...NO_DEMANDS, subjects: caller?.subjects, signal });
    } catch (error) {
      this.#settle({ id, verification: undefined, error });
    }
  }

  /** For a request that is not to be looked at. */
  refuse(id: bigint, error: unknown): void {
    this.#open += 1;
    this.#settle({ id, verification: undefined, error });
  }

  /** The next decision, for whoever answers at once: whatever it waited for, the facts have the last word. */
  take(): Decided | undefined {
    const decided = this.#decided[this.#position];
    if (decided === undefined) return undefined;
    this.#position += 1;
    // Not for each, lest all the others be moved for each; and never more than a few thousand are kept.
    if (this.#position === this.#decided.length || this.#position >= MAX_OPEN) {
      this.#decided = this.#decided.slice(this.#position);
      this.#position = 0;
    }
    this.#open -= 1;
    const { id, verification, error } = decided;
    if (verification === undefined) return decided;
    return { id, verification: this.#options.verifier.recheck(verification), error };
  }

  #decide(id: bigint, request: VerifyRequest): void {
    const decision = this.#options.verifier.verify(request);
    if (!(decision instanceof Promise)) {
      this.#settle({ id, verification: decision, error: undefined });
      return;
    }
    decision.then(
      (verification) => this.#settle({ id, verification, error: undefined }),
      (error: unknown) => this.#settle({ id, verification: undefined, error }),
    );
  }

  #settle(decided: Decided): void {
    this.#decided.push(decided);
    this.#options.onDecided();
  }
}

/** The answer as it stands now. */
export function wireAnswer(
  { id, verification, error }: Decided,
  dependencies: Pick<RpcDependencies, "isDegraded" | "revocations" | "maxMessageBytes">,
  signal: AbortSignal,
): VerifyTokenStreamResponse {
  if (verification === undefined) return failed(id, error, signal);
  const value = wireVerification(verification, dependencies);
  if (isLargerThan(value, dependencies.maxMessageBytes - ID_BYTES)) return failed(id, tooLarge(), signal);
  return create(VerifyTokenStreamResponseSchema, { id, result: { case: "response", value } });
}

function failed(id: bigint, error: unknown, signal: AbortSignal): VerifyTokenStreamResponse {
  return create(VerifyTokenStreamResponseSchema, { id, result: { case: "error", value: statusFrom(error, signal) } });
}

/** What an answer is longer by than the verdict in it, in either encoding. */
const ID_BYTES = 64;

/** Only claims can be of any size. */
function isLargerThan(response: VerifyTokenResponse, maxBytes: number): boolean {
  if (response.token?.claims === undefined) return false;
  const schema = VerifyTokenResponseSchema;
  return Math.max(toBinary(schema, response).length, Buffer.byteLength(toJsonString(schema, response))) > maxBytes;
}

function tooLarge(): Error {
  return transportError(Code.ResourceExhausted, "MESSAGE_TOO_LARGE", "a message is larger than the gateway allows");
}
