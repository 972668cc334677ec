import type { ConnectError } from "@connectrpc/connect";
import { Code as RpcCode } from "../gen/google/rpc/code_pb.ts";
import { reasonOf } from "./connect-error.ts";
import type { Protocol } from "./protocol.ts";

/** How a call ended. Every label is from a bounded set, whatever callers send. */
export interface CallReport {
  /** Full name, or `unknown` for a call that reached no RPC. */
  readonly service: string;
  readonly method: string;
  readonly protocol: Protocol;
  /** Name of the gRPC code: `OK`, `NOT_FOUND`, … */
  readonly code: string;
  /** The stable reason; `undefined` when the call succeeded. */
  readonly reason: string | undefined;
  /** From the request's headers to the end of the answer or to the caller's leaving. */
  readonly durationMs: number;
  /** What a verification decided; `undefined` for other calls, and where nobody asked to be told. */
  readonly outcome?: CallOutcome | undefined;
  /** What was thrown, for the log: not fit for callers. `undefined` when the call succeeded. */
  readonly error: unknown;
}

/** Of `verdict` and `source`, or of many verdicts their numbers. From bounded sets, and none of it a secret. */
export type CallOutcome = Readonly<Record<string, string | number>>;

export type OnCall = (report: CallReport) => void;

/** One call's report, made once: what happens after the first end does not count. */
export class CallReporter {
  readonly #onCall: OnCall;
  readonly #labels: Pick<CallReport, "service" | "method" | "protocol">;
  readonly #startedAtMs: number;
  #ended = false;

  /** @param startedAtMs when the request's headers had come, by the monotonic clock */
  constructor(
    onCall: OnCall,
    labels: Pick<CallReport, "service" | "method" | "protocol">,
    startedAtMs = performance.now(),
  ) {
    this.#onCall = onCall;
    this.#startedAtMs = startedAtMs;
    this.#labels = labels;
  }

  /** @param thrown what caused `error`, where more is known than it says itself */
  end(error: ConnectError | undefined, thrown: unknown, outcome?: CallOutcome): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onCall({
      ...this.#labels,
      code: RpcCode[error?.code ?? RpcCode.OK] ?? "UNKNOWN",
      reason: error === undefined ? undefined : (reasonOf(error) ?? "INTERNAL"),
      durationMs: performance.now() - this.#startedAtMs,
      outcome,
      error: error === undefined ? undefined : (thrown ?? error.cause ?? error),
    });
  }
}
