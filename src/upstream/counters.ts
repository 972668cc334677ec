import type { DurationCounts } from "../token/duration-counts.ts";
import type { GatewayError, Reason } from "../token/errors.ts";
import type { Clock } from "../token/ports.ts";
import { CallCounts, type OutcomeCount } from "./call-counts.ts";
import type { Operation } from "./operation.ts";

/** What the client has done since it was built. Counters only grow. */
export interface UpstreamStats {
  /** HTTP requests sent. Repeats count. */
  readonly requests: Readonly<Record<Operation, number>>;
  /** Calls that ended undecided, cancelled ones apart. */
  readonly failures: Readonly<Record<Operation, number>>;
  /** Calls that have ended, by how. */
  readonly calls: readonly OutcomeCount[];
  /** How long they took, waiting and repeats included. */
  readonly durations: Readonly<Record<Operation, DurationCounts>>;
  /** Verifications that the upstream answered, for or against the token. */
  readonly verifications: number;
  /** Tokens minted: creations answered with a 2xx, even one that could not be read. */
  readonly creations: number;
  /** Requests that were repeats of a failed one. */
  readonly retries: number;
  /** Calls refused because of the caps on concurrency, rate and queue, or that waited in the queue until their deadline. */
  readonly shed: number;
  /** Requests under way. */
  readonly inFlight: number;
  /** Requests waiting for their turn. */
  readonly queued: number;
  /** False after three calls in a row that the upstream did not answer usably. True from the start. */
  readonly reachable: boolean;
  /** Of the last call, cancelled ones apart; `undefined` when it did not fail. */
  readonly lastFailureReason: Reason | undefined;
  /** On the monotonic clock; `undefined` when there was none. */
  readonly lastSuccessMs: number | undefined;
  /** On the monotonic clock; `undefined` when there was none. */
  readonly lastFailureMs: number | undefined;
}

const UNAVAILABLE: ReadonlySet<Reason> = new Set(["UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_BAD_RESPONSE"]);
/** Errors by which the upstream did decide about what was asked. */
const DECIDED: ReadonlySet<Reason> = new Set(["UPSTREAM_NOT_FOUND", "UPSTREAM_REJECTED_REQUEST"]);
const UNDECIDED_UNTIL_UNREACHABLE = 3;

export class Counters {
  readonly #clock: Clock;
  readonly #requests: Record<Operation, number> = { create: 0, keys: 0, list: 0, revoke: 0, verify: 0 };
  readonly #failures: Record<Operation, number> = { create: 0, keys: 0, list: 0, revoke: 0, verify: 0 };
  readonly #calls = new CallCounts();
  #verifications = 0;
  #creations = 0;
  #retries = 0;
  #shed = 0;
  #undecidedInARow = 0;
  #lastFailureReason: Reason | undefined;
  #lastSuccessMs: number | undefined;
  #lastFailureMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  requestSent(operation: Operation, isRetry: boolean): void {
    this.#requests[operation] += 1;
    this.#retries += isRetry ? 1 : 0;
  }

  tokenMinted(): void {
    this.#creations += 1;
  }

  callAnswered(operation: Operation, durationMs: number): void {
    this.#calls.ended(operation, "OK", durationMs);
    this.#verifications += operation === "verify" ? 1 : 0;
    this.#undecidedInARow = 0;
    this.#lastFailureReason = undefined;
    this.#lastSuccessMs = this.#clock.monotonicMs();
  }

  /** @param sent whether any request of the call went out */
  callFailed(operation: Operation, error: GatewayError, sent: boolean, durationMs: number): void {
    this.#calls.ended(operation, error.reason, durationMs);
    if (error.reason === "CANCELED") {
      return;
    }
    // Of the gateway and its upstream it says but that the upstream answers.
    if (error.reason === "CALLER_CREDENTIAL_REJECTED") {
      this.#undecidedInARow = 0;
      return;
    }
    this.#lastFailureReason = error.reason;
    this.#lastFailureMs = this.#clock.monotonicMs();
    this.#failures[operation] += DECIDED.has(error.reason) ? 0 : 1;
    this.#shed += isShed(error, sent) ? 1 : 0;
    if (UNAVAILABLE.has(error.reason)) {
      // A call that waited in vain in the gateway's own queue says nothing about the upstream.
      this.#undecidedInARow += sent ? 1 : 0;
    } else if (error.facts.upstreamStatus !== undefined) {
      this.#undecidedInARow = 0;
    }
  }

  get reachable(): boolean {
    return this.#undecidedInARow < UNDECIDED_UNTIL_UNREACHABLE;
  }

  snapshot(inFlight: number, queued: number): UpstreamStats {
    return {
      requests: { ...this.#requests },
      failures: { ...this.#failures },
      calls: this.#calls.rows(),
      durations: this.#calls.durations,
      verifications: this.#verifications,
      creations: this.#creations,
      retries: this.#retries,
      shed: this.#shed,
      inFlight,
      queued,
      reachable: this.reachable,
      lastFailureReason: this.#lastFailureReason,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailureMs: this.#lastFailureMs,
    };
  }
}

function isShed(error: GatewayError, sent: boolean): boolean {
  return (
    error.reason === "OVERLOADED" ||
    (error.reason === "UPSTREAM_RATE_LIMITED" && error.facts.upstreamStatus === undefined) ||
    (error.reason === "UPSTREAM_TIMEOUT" && !sent)
  );
}
