import type { Pool } from "undici";
import { canceled, GatewayError } from "../token/errors.ts";
import type { Clock, Lane } from "../token/ports.ts";
import type { Json } from "../token/token.ts";
import type { AttemptSpan, TraceAttempt } from "./attempt-trace.ts";
import type { Counters } from "./counters.ts";
import type { SigningKey } from "./credentials.ts";
import { badBody, type Failure, failureOf, refusesToken } from "./error-table.ts";
import { exchange, type HttpAnswer, type HttpRequest } from "./http-exchange.ts";
import type { Limiter } from "./limiter.ts";
import type { Operation } from "./operation.ts";
import { openScope, reasonOf, type Scope, sleep } from "./scope.ts";
import { parseJson, WireError } from "./wire.ts";

export interface UpstreamCall<T> {
  readonly operation: Operation;
  readonly lane: Lane;
  /** The request as it goes out now: with the key that there is now. Asked for each attempt. @throws GatewayError */
  sign(): SignedRequest;
  /** Reads the body of a 2xx. @throws WireError */
  parse(body: Json): T;
  /** What a definitive refusal of the token stands for. Only verifications can be refused. */
  readonly refusal?: { readonly value: T };
}

export interface SignedRequest {
  /** Never to be repeated to anyone. */
  readonly key: SigningKey;
  readonly http: HttpRequest;
}

/** Told what the upstream thinks of the keys. */
export interface KeyWitness {
  accepted(key: SigningKey): void;
  /** Returns whether it is still a key in use: of one that is not, nothing follows. */
  rejected(key: SigningKey): boolean;
}

export interface CallerOptions {
  /** Of a whole call, waiting and repeats included. */
  readonly timeoutMs: number;
  /** Of one request, from when it is sent. */
  readonly attemptTimeoutMs: number;
  readonly maxAttempts: number;
  readonly clock: Clock;
  /** Told of every request before it is sent. */
  readonly traceAttempt?: TraceAttempt | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether calls go out with a key of a caller's: it is to blame for what is wrong with it, and pauses nobody else. */
  readonly isOwnKey?: boolean | undefined;
}

/** `outdated`: it went out with a key that has been replaced since, and was refused for it: nothing was decided or done. */
type Outcome<T> = { readonly value: T } | (Failure & { readonly outdated?: boolean });

const BACKOFF_BASE_MS = 100;
const BACKOFF_MAX_MS = 1000;
const MAX_PAUSE_MS = 60_000;

/** Carries calls through: deadlines, turns, attempts and their count. */
export class Caller {
  readonly #options: CallerOptions;
  readonly #pool: Pool;
  readonly #limiter: Limiter;
  readonly #counters: Counters;
  readonly #keys: KeyWitness;
  readonly #open = new Set<Scope>();
  #closed = false;
  /** For an own key: until when the upstream wants no requests with it. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: CallerOptions, pool: Pool, limiter: Limiter, counters: Counters, keys: KeyWitness) {
    this.#options = options;
    this.#pool = pool;
    this.#limiter = limiter;
    this.#counters = counters;
    this.#keys = keys;
  }

  /** @throws GatewayError and nothing else */
  async call<T>(call: UpstreamCall<T>, signal: AbortSignal): Promise<T> {
    if (signal.aborted) {
      throw canceled();
    }
    if (this.#closed) {
      throw draining();
    }
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    const scope = openScope(clock, this.#options.timeoutMs, signal, canceled);
    const sent = { count: 0 };
    this.#open.add(scope);
    try {
      const value = await this.#attempts(call, scope, sent);
      this.#counters.callAnswered(call.operation, clock.monotonicMs() - startedAtMs);
      return value;
    } catch (error) {
      const failure = error instanceof GatewayError ? error : internal(error);
      this.#counters.callFailed(call.operation, failure, sent.count > 0, clock.monotonicMs() - startedAtMs);
      throw failure;
    } finally {
      this.#open.delete(scope);
      scope.close();
    }
  }

  /** Ends every call under way with DRAINING. */
  close(): void {
    this.#closed = true;
    for (const scope of this.#open) {
      scope.abort(draining());
    }
  }

  async #attempts<T>(call: UpstreamCall<T>, scope: Scope, sent: { count: number }): Promise<T> {
    // Every creation mints and bills, and one that failed may have minted: it is never repeated, whatever happened.
    const maxAttempts = call.operation === "create" ? 1 : this.#options.maxAttempts;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(call, scope, sent);
      if ("value" in outcome) {
        return outcome.value;
      }
      if (outcome.outdated === true) {
        attempt -= 1;
        continue;
      }
      const delayMs = Math.max(this.#backoffMs(attempt), outcome.error.facts.retryAfterMs ?? 0);
      const inTime = this.#options.clock.monotonicMs() + delayMs < scope.deadlineMs;
      if (!outcome.repeatable || attempt >= maxAttempts || !inTime) {
        throw outcome.error;
      }
      await sleep(this.#options.clock, delayMs, scope.signal);
    }
  }

  /** Full jitter: anything up to a bound that doubles with each attempt, so that callers who failed together part. */
  #backoffMs(attempt: number): number {
    return this.#options.random() * Math.min(BACKOFF_BASE_MS * 2 ** (attempt - 1), BACKOFF_MAX_MS);
  }

  async #attempt<T>(call: UpstreamCall<T>, scope: Scope, sent: { count: number }): Promise<Outcome<T>> {
    const pauseMs = this.#pausedUntilMs - this.#options.clock.monotonicMs();
    if (pauseMs > 0) throw pausedFor(pauseMs);
    const release = await this.#limiter.acquire(call.lane, scope.deadlineMs, scope.signal);
    // A creation has no second attempt to leave time for, and giving up on it early may waste a token.
    const timeoutMs = call.operation === "create" ? this.#options.timeoutMs : this.#options.attemptTimeoutMs;
    const attempt = openScope(this.#options.clock, timeoutMs, scope.signal, () => reasonOf(scope.signal));
    try {
      const { key, http } = call.sign();
      const repeats = sent.count;
      // From here on the upstream may mint, whoever waits: what comes of it must be known, if only to be written down.
      if (call.operation === "create") scope.detach();
      this.#counters.requestSent(call.operation, repeats > 0);
      sent.count += 1;
      return this.#judge(call, key, await this.#send(call.operation, http, repeats, attempt.signal));
    } catch (error) {
      if (scope.signal.aborted || !(error instanceof GatewayError)) {
        throw error;
      }
      return { error, repeatable: true };
    } finally {
      attempt.close();
      release();
    }
  }

  async #send(operation: Operation, http: HttpRequest, repeats: number, signal: AbortSignal): Promise<HttpAnswer> {
    const span = this.#options.traceAttempt?.(operation, http.method, repeats);
    try {
      const answer = await exchange(this.#pool, traced(http, span), signal);
      span?.end({ status: answer.status });
      return answer;
    } catch (error) {
      span?.end({ reason: error instanceof GatewayError ? error.reason : "INTERNAL" });
      throw error;
    }
  }

  #judge<T>(call: UpstreamCall<T>, key: SigningKey, answer: HttpAnswer): Outcome<T> {
    if (answer.status >= 200 && answer.status < 300) {
      this.#keys.accepted(key);
      if (call.operation === "create") {
        this.#counters.tokenMinted();
      }
      return parsed(call, answer);
    }
    if (call.refusal !== undefined && refusesToken(answer)) {
      this.#keys.accepted(key);
      return call.refusal;
    }
    const failure = failureOf(answer, {
      operation: call.operation,
      secrets: [key.text],
      isOwnKey: this.#options.isOwnKey === true,
      wallMs: this.#options.clock.wallMs(),
    });
    const { retryAfterMs } = failure.error.facts;
    if (answer.status === 429 && retryAfterMs !== undefined) {
      this.#pause(retryAfterMs);
    }
    if (answer.status === 401) {
      return { ...failure, outdated: !this.#keys.rejected(key) };
    }
    return failure;
  }

  /** An own key may be of another instance, whose limits are none of the gateway's. */
  #pause(retryAfterMs: number): void {
    const { clock, isOwnKey } = this.#options;
    if (isOwnKey !== true) this.#limiter.pause(retryAfterMs);
    else this.#pausedUntilMs = clock.monotonicMs() + Math.min(retryAfterMs, MAX_PAUSE_MS);
  }
}

function traced(http: HttpRequest, span: AttemptSpan | undefined): HttpRequest {
  return span === undefined ? http : { ...http, headers: { ...http.headers, ...span.headers } };
}

function parsed<T>(call: UpstreamCall<T>, answer: HttpAnswer): Outcome<T> {
  if (!("text" in answer.body)) {
    return badBody(answer, answer.body.fault);
  }
  try {
    return { value: call.parse(parseJson(answer.body.text)) };
  } catch (error) {
    if (error instanceof WireError) {
      return badBody(answer, error.message);
    }
    throw error;
  }
}

function pausedFor(retryAfterMs: number): GatewayError {
  const message = "the upstream limits the rate of requests with this key";
  return new GatewayError("UPSTREAM_RATE_LIMITED", message, { retryAfterMs });
}

function draining(): GatewayError {
  return new GatewayError("DRAINING", "the gateway is shutting down");
}

/** The text of an unforeseen error may quote anything, so none of it is kept but the name of its class. */
function internal(error: unknown): GatewayError {
  const cause = new Error(error instanceof Error ? error.constructor.name : typeof error);
  return new GatewayError("INTERNAL", "the gateway's upstream client failed", {}, cause);
}
