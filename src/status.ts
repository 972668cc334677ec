import type { CallerSnapshot, CallsSnapshot, FilesSnapshot, RecentError, SpansSnapshot } from "./status/snapshots.ts";
import { formatCursor } from "./token/cursor.ts";
import type { Clock } from "./token/ports.ts";
import type { Recorder } from "./token/recorder.ts";
import type { Revalidator } from "./token/revalidator.ts";
import type { RevocationFeed } from "./token/revocation-feed.ts";
import type { Revocations } from "./token/revocations.ts";
import type { Sweeper } from "./token/sweeper.ts";
import type { Verdict, VerdictSource } from "./token/token.ts";
import type { PoolCounts, TokenPool } from "./token/token-pool.ts";
import type { VerdictCache } from "./token/verdict-cache.ts";
import type { Verifier } from "./token/verifier.ts";
import type { ClerkUpstream } from "./upstream/clerk-upstream.ts";

/** What a replica tells of itself, as GetStatusResponse has it. Counters start at zero with the process. */
export interface StatusSnapshot {
  readonly version: string;
  readonly replica: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly freshness: FreshnessSnapshot;
  readonly feed: FeedSnapshot;
  readonly cache: CacheSnapshot;
  readonly upstream: UpstreamSnapshot;
  readonly revocations: RevocationSnapshot;
  readonly spend: SpendSnapshot;
  /** Spans of traces, by what became of them. */
  readonly spans: SpansSnapshot;
  readonly pool: PoolSnapshot;
  /** What the RPC port has open. */
  readonly open: { readonly connections: number; readonly streams: number; readonly refusedStreams: number };
  readonly overload: OverloadSnapshot;
  /** Decided verifications by what was decided and by what decided it. */
  readonly verifications: readonly VerificationCount[];
  readonly files: FilesSnapshot;
  readonly callers: readonly CallerSnapshot[];
  readonly calls: CallsSnapshot;
  /** The latest first. */
  readonly recentErrors: readonly RecentError[];
}

export type FreshnessState = "synced" | "unsynced" | "degraded" | "not_serving";

export interface FreshnessSnapshot {
  readonly state: FreshnessState;
  /** How far the log has been applied. */
  readonly cursor: string;
  /** For how long there has been no proof of having read the log to its end. */
  readonly stalenessMs: number;
  /** The longest such time at which a cached verdict was used. */
  readonly worstStalenessMs: number;
  readonly boundMs: number;
}

/** How the log of revocations is followed. */
export interface FeedSnapshot {
  readonly reads: number;
  readonly failedReads: number;
  /** From the making of revocations, by their makers' clocks, to their application here. */
  readonly lag: DurationsSnapshot;
}

/** How long things took. */
export interface DurationsSnapshot {
  /** Upper bounds of the buckets but the last, which has none. */
  readonly boundsMs: readonly number[];
  /** By bucket, each without those of the others. */
  readonly counts: ArrayLike<number>;
  readonly sumMs: number;
}

export interface CacheSnapshot {
  readonly knownEntries: number;
  /** Estimated size of the known entries. */
  readonly knownBytes: number;
  readonly refusedEntries: number;
  readonly hits: number;
  readonly misses: number;
  /** Of the misses, those that joined a question already under way. */
  readonly joined: number;
  readonly evictions: number;
}

export type Operation = "create" | "keys" | "list" | "revoke" | "verify";

export interface UpstreamSnapshot {
  readonly url: string;
  readonly reachable: boolean;
  /** Which of the gateway's keys the upstream rejected when it was last asked with them. */
  readonly rejectedKeys: readonly ("machine" | "instance")[];
  /** A stable reason code; empty when the last call did not fail. */
  readonly lastFailureReason: string;
  /** HTTP requests sent, retries included. */
  readonly requests: Readonly<Record<Operation, number>>;
  /** Calls that ended undecided. */
  readonly failures: Readonly<Record<Operation, number>>;
  /** Calls that have ended, repeats included in them, by outcome: `OK` or the reason. */
  readonly calls: readonly { readonly operation: Operation; readonly outcome: string; readonly count: number }[];
  readonly durations: Readonly<Record<Operation, DurationsSnapshot>>;
  readonly retries: number;
  readonly shed: number;
  readonly inFlight: number;
  readonly queued: number;
}

export interface RevocationSnapshot {
  readonly live: number;
  readonly unrecorded: number;
  readonly watchers: number;
  readonly slowConsumers: number;
  /** Revocations made elsewhere that this replica found out about by itself. */
  readonly discovered: number;
}

/** What is under way, how much may be, and what was refused, by the bound that it met. */
export interface OverloadSnapshot {
  /** Calls, apart from those that memory answers at once. */
  readonly inFlight: number;
  /** Bytes of requests and answers that wait for the rest of their call. */
  readonly pendingBytes: number;
  /** The delay of the event loop that stands. */
  readonly loopDelayMs: number;
  readonly limits: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
}

export interface PoolSnapshot extends Readonly<PoolCounts> {
  /** Tokens held. */
  readonly tokens: number;
}

export interface SpendSnapshot {
  readonly creations: number;
  readonly verifications: number;
  readonly savedVerifications: number;
  readonly savedCreations: number;
  /** Verifications made on nobody's behalf. */
  readonly renewals: number;
  /** Millionths of a US dollar. */
  readonly spentUsdMicros: number;
  readonly savedUsdMicros: number;
}

export interface VerificationCount {
  readonly verdict: Verdict;
  readonly source: VerdictSource;
  readonly count: number;
}

/** What a status is made of. */
export interface StatusParts {
  readonly version: string;
  readonly replica: string;
  readonly startedAtMs: number;
  readonly upstreamUrl: string;
  readonly clock: Clock;
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly recorder: Recorder;
  readonly verifier: Verifier;
  readonly cache: VerdictCache;
  readonly revalidator: Revalidator;
  readonly sweeper: Sweeper | undefined;
  readonly upstream: ClerkUpstream;
  readonly pool: TokenPool;
  readonly watchers: WatcherCounts;
  readonly open: () => StatusSnapshot["open"];
  readonly spans: () => SpansSnapshot;
  readonly overload: () => OverloadSnapshot;
  readonly calls: () => CallsSnapshot;
  readonly recentErrors: () => readonly RecentError[];
  readonly isDraining: () => boolean;
  readonly files: () => FilesSnapshot;
  readonly callers: () => readonly CallerSnapshot[];
}

/** How many streams are open, and how many were cut because they were read too slowly. */
export interface WatcherCounts {
  open: number;
  cut: number;
}

/** Clerk's list prices, in millionths of a US dollar. */
const CREATION_USD_MICROS = 1_000;
const VERIFICATION_USD_MICROS = 10;

export function takeStatus(parts: StatusParts): StatusSnapshot {
  const { verifier, upstream, cache, feed, revocations, recorder, revalidator, sweeper, watchers, pool } = parts;
  const stats = upstream.stats;
  const savedVerifications = verifier.counts.hits + verifier.joinedCount;
  const savedCreations = pool.counts.hits + pool.counts.joined;
  return {
    version: parts.version,
    replica: parts.replica,
    open: parts.open(),
    spans: parts.spans(),
    overload: parts.overload(),
    startedAtMs: parts.startedAtMs,
    freshness: takeFreshness(parts),
    feed: { reads: feed.reads, failedReads: feed.failedReads, lag: feed.lag },
    cache: {
      knownEntries: cache.knownCount,
      knownBytes: cache.knownBytes,
      refusedEntries: cache.refusedCount,
      hits: verifier.counts.hits,
      misses: verifier.counts.misses,
      joined: verifier.joinedCount,
      evictions: cache.evictions,
    },
    upstream: {
      ...stats,
      url: parts.upstreamUrl,
      rejectedKeys: upstream.rejectedKeys,
      lastFailureReason: stats.lastFailureReason ?? "",
    },
    revocations: {
      live: revocations.liveCount,
      unrecorded: recorder.pendingCount,
      watchers: watchers.open,
      slowConsumers: watchers.cut,
      discovered: revalidator.discovered + (sweeper?.discovered ?? 0),
    },
    spend: {
      creations: stats.creations,
      verifications: stats.verifications,
      savedVerifications,
      savedCreations,
      renewals: revalidator.renewals,
      spentUsdMicros: stats.creations * CREATION_USD_MICROS + stats.verifications * VERIFICATION_USD_MICROS,
      savedUsdMicros: savedCreations * CREATION_USD_MICROS + savedVerifications * VERIFICATION_USD_MICROS,
    },
    pool: { ...pool.counts, tokens: pool.size },
    verifications: verifier.counts.rows(),
    files: parts.files(),
    calls: parts.calls(),
    recentErrors: parts.recentErrors(),
    callers: parts.callers(),
  };
}

export function takeFreshness(parts: StatusParts): FreshnessSnapshot {
  const { feed, clock, revocations, verifier } = parts;
  return {
    state: freshnessState(parts),
    cursor: formatCursor(revocations.applied),
    stalenessMs: feed.stalenessMs(clock.monotonicMs()),
    worstStalenessMs: verifier.worstStalenessMs,
    boundMs: feed.boundMs,
  };
}

/** The degradation table of docs/failure-modes.md. Cheap: every verification asks. */
export function freshnessState({ feed, clock, upstream, isDraining }: StatusParts): FreshnessState {
  const fresh = feed.isFresh(clock.monotonicMs());
  if (isDraining() || (!fresh && !upstream.canVerify)) return "not_serving";
  if (!fresh) return "unsynced";
  return upstream.canVerify ? "synced" : "degraded";
}
