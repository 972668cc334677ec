import type { KeyObject } from "node:crypto";
import type { Cursor } from "./cursor.ts";
import type { KnownToken } from "./observation.ts";
import type { Jwk } from "./signing-keys.ts";
import type { CreatedToken, Json, MachineId, Token, TokenFormat, TokenId, TokenSecret } from "./token.ts";

/** Time. Ages, TTLs and deadlines use the monotonic clock; expirations and what people read use the wall clock. */
export interface Clock {
  /** Milliseconds since the epoch. May jump. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. Never goes back. */
  monotonicMs(): number;
  /** Calls `task` once, `delayMs` from now, unless the returned function is called first. */
  after(delayMs: number, task: () => void): () => void;
}

/**
 * The system of record. Every method ends within the adapter's own deadline and rejects only with GatewayError; an
 * aborted signal rejects with CANCELED.
 */
export interface Upstream {
  /**
   * Names the base URL and the credential that verifications use, without revealing either. Verdicts are never shared
   * between scopes.
   */
  readonly verifyScope: string;
  /** The token, or `undefined` when the upstream definitively refuses it (404, 400). Whether it is good is not judged. */
  verifyToken(secret: TokenSecret, lane: Lane, signal: AbortSignal): Promise<Token | undefined>;
  /** Never repeated: each attempt may mint. */
  createToken(request: CreateToken, signal: AbortSignal): Promise<CreatedToken>;
  listTokens(request: ListTokens, signal: AbortSignal): Promise<TokenPage>;
  /** @throws GatewayError UPSTREAM_NOT_FOUND when the upstream knows no such token */
  revokeToken(id: TokenId, reason: string | undefined, signal: AbortSignal): Promise<Token>;
}

/**
 * Which queue a verification waits in. Tokens that the upstream has vouched for before go first, so that a flood of
 * made-up ones cannot starve them.
 */
export type Lane = "known" | "unknown";

export interface CreateToken {
  readonly format: TokenFormat;
  /** Seconds, more than zero; `undefined` leaves it to the machine's default. */
  readonly ttlSeconds: number | undefined;
  readonly claims: Json | undefined;
  /** Whole seconds. */
  readonly minRemainingTtlSeconds: number | undefined;
}

export interface ListTokens {
  readonly subject: MachineId;
  readonly includeRevoked: boolean;
  readonly includeExpired: boolean;
  /** 1 to 100. */
  readonly limit: number;
  readonly offset: number;
}

export interface TokenPage {
  readonly tokens: readonly Token[];
  readonly totalCount: number;
}

/** What was revoked: what the log holds. */
export type RevocationFact = TokenFact | SubjectFact | KeyFact;

/** Times are wall-clock milliseconds. */
interface FactBase {
  readonly reason: string | undefined;
  readonly revokedAtMs: number;
  /** No token that the fact refuses can be good, by its own account or by a cached verdict, after this. */
  readonly rememberUntilMs: number;
  readonly source: "api" | "observed" | "reconciled";
  /** The replica that recorded it. */
  readonly origin: string;
}

/** That one token was revoked. */
export interface TokenFact extends FactBase {
  readonly tokenId: TokenId;
  /** `undefined` when the machine that minted it is not known. */
  readonly subject: MachineId | undefined;
}

/** That all tokens of a machine which were minted before an instant were revoked. */
export interface SubjectFact extends FactBase {
  readonly subject: MachineId;
  readonly issuedBeforeMs: number;
}

/** That all JWTs signed with a key were revoked. */
export interface KeyFact extends FactBase {
  readonly keyId: string;
}

export interface LogEntry {
  readonly cursor: Cursor;
  readonly fact: RevocationFact;
}

/** Whether work is taken on for tokens that memory does not know. */
export interface UnknownAdmission {
  readonly refusesUnknown: boolean;
  /** To be called before such work begins. @throws GatewayError to refuse it */
  admitUnknown(): void;
}

/** The append-only log of revocations: the one truth that all replicas follow. */
export interface RevocationLog {
  /**
   * Whether other processes append to it. If not, a reader that has applied its own process's appends has read it all
   * and is fresh at every instant.
   */
  readonly shared: boolean;
  /** Returns once the fact is as durable as the log is. Rejects when it may not be. */
  append(fact: RevocationFact, signal: AbortSignal): Promise<Cursor>;
  /**
   * Everything after `after`, in order, up to the end of the log as of some instant after the call began. Without
   * `after`, or when entries after it are missing or it is of another epoch, everything there is, with `restarted` true.
   * Giving `after` also tells the fleet that this replica has applied everything up to there. Ends within the adapter's
   * own timeout.
   */
  read(after: Cursor | undefined, signal: AbortSignal): Promise<LogRead>;
  /** Calls `onEntry` for entries as they are appended, at most once each, perhaps never. Returns how to stop. */
  subscribe(onEntry: (entry: LogEntry) => void): () => void;
  /**
   * Resolves when no replica can use a cached verdict without having applied the log up to `cursor`: each has applied
   * it, or has had no contact with the log for the staleness bound. Returns the names of those who did not confirm.
   * Rejects when the log cannot be asked.
   */
  awaitFleet(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Who follows the log. */
export interface Fleet {
  /** By name. Ends within the adapter's own timeout, and rejects when the log cannot be asked. */
  replicas(signal: AbortSignal): Promise<readonly ReplicaContact[]>;
}

/** A replica, as its last contact with the log tells. */
export interface ReplicaContact {
  readonly name: string;
  /** How far it has said it applied the log; `undefined` while it has said nothing of the present epoch. */
  readonly applied: Cursor | undefined;
  /** Since it last began to read the log, in milliseconds. */
  readonly silenceMs: number;
}

/**
 * Verdicts shared by the replicas (L2). It may forget anything at any time and never fails: what it cannot answer within
 * a few milliseconds is a miss. Only observations of tokens that the upstream knew are kept, never refusals.
 */
export interface VerdictStore {
  /**
   * The observation of `secret` under this process's credential, made while the log was in `epoch`. Its
   * `observedAtMonotonicMs` is on this process's clock and never later than the request it stems from.
   */
  get(secret: TokenSecret, epoch: string): Promise<KnownToken | undefined>;
  /**
   * Whether this replica may do something once on behalf of all, for the next `leaseMs`. `what` may be a secret: it is
   * never kept. False when another replica does it, or when the store cannot say.
   */
  claim(what: string, leaseMs: number): Promise<boolean>;
  /** Keeps an observation until its TTL, counted from `observedAtMonotonicMs`, has passed. Nobody waits for it. */
  put(secret: TokenSecret, epoch: string, observation: KnownToken): void;
}

export interface LogRead {
  readonly entries: readonly LogEntry[];
  /** The end of the log: the cursor of its last entry, or the start of its epoch. */
  readonly head: Cursor;
  readonly restarted: boolean;
  /** How long ago the epoch began, in milliseconds; `undefined` where no epoch loses what another one held. */
  readonly epochAgeMs?: number | undefined;
}

/** The keys that JWTs are signed with. */
export interface SigningKeys {
  /**
   * The key of that id, from memory; `none` when the issuer has no such key; `undefined` when that is not known, or when
   * what is known is too old. `nowMs` is monotonic.
   */
  find(keyId: string | undefined, nowMs: number): KeyObject | "none" | undefined;
  /**
   * Resolves once `find` tells, or with false when no keys can be had now.
   * @throws GatewayError SIGNING_KEY_UNKNOWN when the keys at hand lack it and it is too early to ask for others; CANCELED
   */
  reach(keyId: string | undefined, signal: AbortSignal): Promise<boolean>;
}

/** Where an issuer publishes its keys. */
export interface KeyEndpoint {
  /** The whole set, without keys that are for something else. Ends within its own timeout. @throws GatewayError */
  fetchKeys(signal: AbortSignal): Promise<readonly Jwk[]>;
}
