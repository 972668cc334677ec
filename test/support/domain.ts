import { MemoryRevocationLog } from "../../src/memory/memory-revocation-log.ts";
import type { Cursor } from "../../src/token/cursor.ts";
import { Digester } from "../../src/token/digest.ts";
import { GatewayError } from "../../src/token/errors.ts";
import type { JwtRules } from "../../src/token/jwt.ts";
import { JwtVerifier } from "../../src/token/jwt-verifier.ts";
import type {
  LogRead,
  RevocationFact,
  RevocationLog,
  SigningKeys,
  UnknownAdmission,
  Upstream,
  VerdictStore,
} from "../../src/token/ports.ts";
import { Publisher } from "../../src/token/publisher.ts";
import { Recorder } from "../../src/token/recorder.ts";
import type { Revalidator } from "../../src/token/revalidator.ts";
import { RevocationFeed } from "../../src/token/revocation-feed.ts";
import { Revocations } from "../../src/token/revocations.ts";
import { Revoker } from "../../src/token/revoker.ts";
import { SubjectRevoker } from "../../src/token/subject-revoker.ts";
import { TokenPool, type TokenPoolOptions } from "../../src/token/token-pool.ts";
import { VerdictCache } from "../../src/token/verdict-cache.ts";
import type { VerifyRequest } from "../../src/token/verification.ts";
import { Verifier } from "../../src/token/verifier.ts";
import { FakeClock } from "./fake-clock.ts";
import { ScriptedUpstream } from "./scripted-upstream.ts";

export const TTL_MS = 30_000;
export const REFUSAL_TTL_MS = 2_000;
export const BOUND_MS = 1_000;
export const RETENTION_MS = 3_600_000;
export const LONGEST_JWT_MS = 30 * 86_400_000;
export const CLOCK_SKEW_MS = 5_000;
export const MIN_HOLD_MS = 60_000;

/** A memory log that plays a shared one and can be cut off, as Redis can. */
export class FlakyLog implements RevocationLog {
  readonly shared = true;
  readonly #log: MemoryRevocationLog;
  reachable = true;
  pushes = true;
  reads = 0;

  constructor(clock: FakeClock) {
    this.#log = new MemoryRevocationLog(() => clock.wallMs());
  }

  async append(fact: RevocationFact): Promise<Cursor> {
    this.#demandReachable();
    return this.#log.append(fact);
  }

  async read(after: Cursor | undefined): Promise<LogRead> {
    this.reads += 1;
    this.#demandReachable();
    return this.#log.read(after);
  }

  subscribe(onEntry: Parameters<RevocationLog["subscribe"]>[0]): () => void {
    return this.#log.subscribe((entry) => {
      if (this.pushes && this.reachable) onEntry(entry);
    });
  }

  async awaitFleet(): Promise<readonly string[]> {
    this.#demandReachable();
    return new Promise(() => {});
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  #demandReachable(): void {
    if (!this.reachable) throw new Error("the log cannot be reached");
  }
}

/** Takes on work for unknown tokens until the test says otherwise. */
export class SwitchedAdmission implements UnknownAdmission {
  refusesUnknown = false;

  admitUnknown(): void {
    if (this.refusesUnknown) throw new GatewayError("OVERLOADED", "busy");
  }
}

export interface DomainOptions {
  readonly clock?: FakeClock;
  readonly upstream?: Upstream;
  readonly log?: (clock: FakeClock) => RevocationLog;
  readonly store?: VerdictStore;
  readonly revalidator?: (parts: { recorder: Recorder; revocations: Revocations }) => Revalidator;
  readonly admission?: UnknownAdmission;
  readonly ttlMs?: number;
  readonly maxKnown?: number;
  readonly maxRefused?: number;
  readonly maxObjects?: number;
  readonly jwts?: { readonly keys: SigningKeys; readonly rules: JwtRules };
  readonly allowsUnsyncedJwts?: boolean;
  readonly pool?: Partial<TokenPoolOptions>;
  /** From 0 to 1: when the recorder says facts again. */
  readonly random?: () => number;
}

/** The domain of one replica on a fake clock. */
export async function createDomain(options: DomainOptions = {}) {
  const clock = options.clock ?? new FakeClock();
  const scripted = new ScriptedUpstream();
  const upstream = options.upstream ?? scripted;
  const log = options.log?.(clock) ?? new MemoryRevocationLog(() => clock.wallMs());
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const revocations = new Revocations({ clock, minHoldMs: MIN_HOLD_MS });
  const recorder = new Recorder({
    log,
    revocations,
    clock,
    origin: "replica-1",
    retentionMs: RETENTION_MS,
    longestJwtMs: LONGEST_JWT_MS,
    minHoldMs: MIN_HOLD_MS,
    appendTimeoutMs: 500,
    onAppendError: onError,
    random: options.random,
  });
  const feed = new RevocationFeed({
    log,
    revocations,
    clock,
    boundMs: BOUND_MS,
    onReadError: onError,
    onRestart: () => {
      verifier.invalidate({ all: true });
      pool.distrust();
      recorder.recordMissing();
    },
  });
  const cache = new VerdictCache({
    clock,
    ttlMs: options.ttlMs ?? TTL_MS,
    refusalTtlMs: REFUSAL_TTL_MS,
    maxKnown: options.maxKnown ?? 1_000,
    maxKnownBytes: 100_000_000,
    maxRefused: options.maxRefused ?? 100,
    maxObjects: options.maxObjects,
  });
  const verifier = new Verifier({
    upstream,
    store: options.store,
    revalidator: options.revalidator?.({ recorder, revocations }),
    cache,
    revocations,
    feed,
    recorder,
    admission: options.admission,
    clock,
    digester: new Digester(upstream.verifyScope),
    jwts: options.jwts && new JwtVerifier({ ...options.jwts, cache, revocations, clock }),
    allowsUnsyncedJwts: options.allowsUnsyncedJwts,
    minCursorTimeoutMs: 5_000,
  });
  const publisher = new Publisher({ recorder, log, clock, boundMs: BOUND_MS });
  const revoker = new Revoker({ upstream, verifier, recorder, revocations, publisher });
  const parts = { upstream, recorder, revocations, publisher, clock };
  const subjectRevoker = new SubjectRevoker({ ...parts, clockSkewMs: CLOCK_SKEW_MS });
  const pool = new TokenPool({
    upstream,
    revocations,
    feed,
    clock,
    maxTokens: 100,
    maxBytes: 10_000_000,
    maxAgeMs: 3_600_000,
    idleMs: 600_000,
    random: () => 0.5,
    ...options.pool,
  });
  await feed.start();
  // Reading a log for the first time invalidates what was observed up to that instant.
  clock.advance(1);
  return {
    clock,
    upstream: scripted,
    log,
    revocations,
    recorder,
    feed,
    cache,
    verifier,
    revoker,
    subjectRevoker,
    pool,
    errors,
  };
}

export type Domain = Awaited<ReturnType<typeof createDomain>>;

export function verifyRequest(presented: string, overrides: Partial<VerifyRequest> = {}): VerifyRequest {
  return {
    presented,
    maxAgeMs: Number.POSITIVE_INFINITY,
    minCursor: undefined,
    policy: undefined,
    signal: new AbortController().signal,
    ...overrides,
  };
}
