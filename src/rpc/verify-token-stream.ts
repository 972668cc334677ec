import { setMaxListeners } from "node:events";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import {
  type TokenService,
  type VerifyTokenRequest,
  VerifyTokenRequestSchema,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
  type VerifyTokenStreamRequest,
  type VerifyTokenStreamResponse,
  VerifyTokenStreamResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { canceled, GatewayError } from "../token/errors.ts";
import type { Verification } from "../token/verifier.ts";
import { drainOf } from "./call-context.ts";
import { statusFrom, transportError } from "./connect-error.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { validate } from "./validate-interceptor.ts";
import { demandsFrom, wireVerification } from "./verify-token.ts";

/** The most requests of one stream that are undecided, or decided and not taken, at once. */
const MAX_OPEN = 1_000;

export function createVerifyTokenStream(
  dependencies: RpcDependencies,
): ServiceImpl<typeof TokenService>["verifyTokenStream"] {
  const check = createCheck();
  return async function* (requests, { signal, values }) {
    const pipeline = new Pipeline(dependencies, check, signal, drainOf(values));
    const reading = requests[Symbol.asyncIterator]();
    void pipeline.read(reading);
    try {
      for (;;) {
        const answer = await pipeline.next();
        if (answer === undefined) return;
        yield answer;
      }
    } finally {
      pipeline.close();
      // Not awaited: it settles only when the caller sends more, or leaves.
      reading.return?.().catch(ignoreLateFailure);
    }
  };
}

type Check = (request: VerifyTokenRequest | undefined) => VerifyTokenRequest;

/** @throws GatewayError ARGUMENT_INVALID, from what it returns */
function createCheck(): Check {
  const validator = createValidator();
  return (request) => {
    if (request === undefined) {
      const violations = [{ field: "request", description: "value is required" }];
      throw new GatewayError("ARGUMENT_INVALID", "request: value is required", { violations });
    }
    validate(validator, VerifyTokenRequestSchema, request);
    return request;
  };
}

interface Decided {
  readonly id: bigint;
  readonly verification?: Verification;
  readonly error?: unknown;
}

/** Takes requests while there is room, and holds what is decided until somebody takes it. */
class Pipeline {
  readonly #dependencies: RpcDependencies;
  readonly #check: Check;
  readonly #signal: AbortSignal;
  readonly #drain: AbortSignal;
  #decided: Decided[] = [];
  /** Where in `#decided` the next one is. */
  #position = 0;
  /** Taken from the caller and not yet answered. */
  #open = 0;
  #sentAll = false;
  #failure: { readonly thrown: unknown } | undefined;
  #wakeReader = () => {};
  #wakeWriter = () => {};
  readonly #onAbort = () => {
    this.#wakeReader();
    this.#wakeWriter();
  };

  constructor(dependencies: RpcDependencies, check: Check, signal: AbortSignal, drain: AbortSignal) {
    this.#dependencies = dependencies;
    this.#check = check;
    this.#signal = signal;
    this.#drain = drain;
    // Every token that has to be asked for listens to this one signal.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", this.#onAbort, { once: true });
    drain.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Never rejects. */
  async read(requests: AsyncIterator<VerifyTokenStreamRequest>): Promise<void> {
    try {
      for (;;) {
        const result = await requests.next();
        if (result.done === true) break;
        this.#open += 1;
        this.#decide(result.value);
        while (this.#open >= MAX_OPEN && !this.#isEnding()) {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
        if (this.#isEnding()) return;
      }
      this.#sentAll = true;
    } catch (thrown) {
      this.#failure = { thrown };
    }
    this.#wakeWriter();
  }

  /** The next answer, or `undefined` after the last. @throws what ended the stream */
  async next(): Promise<VerifyTokenStreamResponse | undefined> {
    for (;;) {
      if (this.#signal.aborted) throw canceled();
      if (this.#failure !== undefined) throw this.#failure.thrown;
      const decided = this.#decided[this.#position];
      if (decided !== undefined) return this.#answer(decided);
      if (this.#drain.aborted) throw this.#drain.reason;
      if (this.#sentAll && this.#open === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#drain.removeEventListener("abort", this.#onAbort);
    this.#failure ??= { thrown: canceled() };
    this.#wakeReader();
  }

  #isEnding(): boolean {
    return this.#signal.aborted || this.#drain.aborted || this.#failure !== undefined;
  }

  #decide({ id, request }: VerifyTokenStreamRequest): void {
    const signal = this.#signal;
    try {
      const checked = this.#check(request);
      const demands = demandsFrom(checked);
      const decision = this.#dependencies.verifier.verify({ presented: checked.token, ...demands, signal });
      if (!(decision instanceof Promise)) {
        this.#settle({ id, verification: decision });
        return;
      }
      decision.then(
        (verification) => this.#settle({ id, verification }),
        (error: unknown) => this.#settle({ id, error }),
      );
    } catch (error) {
      this.#settle({ id, error });
    }
  }

  #settle(decided: Decided): void {
    this.#decided.push(decided);
    this.#wakeWriter();
  }

  /** Encodes at the moment at which the answer is taken: whatever it waited for, the facts have the last word. */
  #answer({ id, verification, error }: Decided): VerifyTokenStreamResponse {
    this.#position += 1;
    if (this.#position === this.#decided.length) {
      this.#decided = [];
      this.#position = 0;
    }
    this.#open -= 1;
    this.#wakeReader();
    if (verification === undefined) return this.#failed(id, error);
    const value = wireVerification(this.#dependencies.verifier.recheck(verification), this.#dependencies);
    if (isLargerThan(value, this.#dependencies.maxMessageBytes - ID_BYTES)) return this.#failed(id, tooLarge());
    return create(VerifyTokenStreamResponseSchema, { id, result: { case: "response", value } });
  }

  #failed(id: bigint, error: unknown): VerifyTokenStreamResponse {
    const value = statusFrom(error, this.#signal);
    return create(VerifyTokenStreamResponseSchema, { id, result: { case: "error", value } });
  }
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

/** The stream has its outcome already. */
function ignoreLateFailure(): void {}
