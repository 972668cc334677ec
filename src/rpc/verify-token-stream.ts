import type { ContextValues, ServiceImpl } from "@connectrpc/connect";
import type {
  TokenService,
  VerifyTokenStreamRequest,
  VerifyTokenStreamResponse,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { canceled } from "../token/errors.ts";
import { callerOf, drainOf, servicesOf } from "./call-context.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { Decisions, wireAnswer } from "./verify-decisions.ts";

export function createVerifyTokenStream(
  dependencies: RpcDependencies,
): ServiceImpl<typeof TokenService>["verifyTokenStream"] {
  return async function* (requests, { signal, values }) {
    const pipeline = new Pipeline(dependencies, signal, values);
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

/** Takes requests while there is room, and holds what is decided until somebody takes it. */
class Pipeline {
  readonly #dependencies: RpcDependencies;
  readonly #decisions: Decisions;
  readonly #signal: AbortSignal;
  readonly #drain: AbortSignal;
  #sentAll = false;
  #failure: { readonly thrown: unknown } | undefined;
  #wakeReader = () => {};
  #wakeWriter = () => {};
  readonly #onAbort = () => {
    this.#wakeReader();
    this.#wakeWriter();
  };

  constructor(dependencies: RpcDependencies, signal: AbortSignal, values: ContextValues) {
    const { verifier } = servicesOf(values, dependencies);
    const drain = drainOf(values);
    const onDecided = () => this.#wakeWriter();
    this.#dependencies = dependencies;
    this.#decisions = new Decisions({ verifier, caller: callerOf(values), signal, onDecided });
    this.#signal = signal;
    this.#drain = drain;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    drain.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Never rejects. */
  async read(requests: AsyncIterator<VerifyTokenStreamRequest>): Promise<void> {
    try {
      for (;;) {
        const result = await requests.next();
        if (result.done === true) break;
        this.#decisions.push(result.value);
        while (this.#decisions.isFull && !this.#isEnding()) {
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
      const answer = this.#answer();
      if (answer !== undefined) return answer;
      if (this.#drain.aborted) throw this.#drain.reason;
      if (this.#sentAll && this.#decisions.isEmpty) return undefined;
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

  /** Made in one go with the last check of the facts, so that its cursor is that of the facts that were checked. */
  #answer(): VerifyTokenStreamResponse | undefined {
    const decided = this.#decisions.take();
    if (decided === undefined) return undefined;
    this.#wakeReader();
    return wireAnswer(decided, this.#dependencies, this.#signal);
  }
}

/** The stream has its outcome already. */
function ignoreLateFailure(): void {}
