import { LRUCache } from "lru-cache";
import { KnownTokens } from "./known-tokens.ts";
import { isKnown, type KnownToken, type Observation } from "./observation.ts";
import type { Clock } from "./ports.ts";
import type { Json, MachineId, TokenDigest, TokenId } from "./token.ts";
import type { KeptAnswer } from "./verification.ts";

export interface VerdictCacheOptions {
  readonly clock: Clock;
  /** How long an observation of a known token may decide, in milliseconds; 0 keeps nothing usable. */
  readonly ttlMs: number;
  /** The same for a refusal. */
  readonly refusalTtlMs: number;
  readonly maxKnown: number;
  /** Bound on the estimated size of the known tokens, claims included. */
  readonly maxKnownBytes: number;
  readonly maxRefused: number;
  /** How many known tokens are objects, at least one; the others are packed. Left to `KnownTokens` by default. */
  readonly maxObjects?: number | undefined;
}

export type InvalidationTarget =
  | { readonly tokenId: TokenId }
  | { readonly subject: MachineId }
  | { readonly all: true };

/** Beyond this many separate invalidations everything is forgotten instead, so that their list stays bounded. */
const MAX_INVALIDATIONS = 100_000;
/** How often, at most, the list of invalidations is searched for ones that match nothing any more. */
const FORGET_INTERVAL_MS = 10_000;
/** Estimated size of an entry without its claims: its record, the token as it is packed, and its places in the containers. */
const ENTRY_BYTES = 1_100;
/** What is kept of a good signature. */
const SIGNED_BYTES = 150;

/**
 * The in-process tier (L1): bounded, with tokens that the upstream knew apart from those that it refused, so that a flood
 * of made-up tokens cannot push out good ones. It only remembers observations: whether one may decide is asked with
 * `isUsable`, and revocation facts are checked by the verifier after that, on every hit.
 *
 * Known tokens outlive their TTL here (until pushed out): they give a revocation fact its token, and tell the upstream's
 * queue which tokens are worth asking about first.
 */
export class VerdictCache {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #refusalTtlMs: number;
  readonly #known: KnownTokens;
  readonly #refused: LRUCache<TokenDigest, Observation>;
  /** Observations older than the instant do not count, by token id and by machine. Checked on use: no scan, no race. */
  readonly #invalidations = new Map<TokenId | MachineId, number>();
  #forgetAtMs = 0;
  #invalidatedAllAtMs = Number.NEGATIVE_INFINITY;
  evictions = 0;

  constructor(options: VerdictCacheOptions) {
    this.#clock = options.clock;
    this.#ttlMs = options.ttlMs;
    this.#refusalTtlMs = options.refusalTtlMs;
    // No more entries than fit into the bytes: room for each is reserved.
    const maxKnown = Math.min(options.maxKnown, Math.ceil(options.maxKnownBytes / ENTRY_BYTES));
    const onEvict = () => {
      this.evictions += 1;
    };
    this.#known = new KnownTokens(maxKnown, options.maxKnownBytes, onEvict, options.maxObjects);
    this.#refused = new LRUCache({ max: options.maxRefused });
  }

  known(digest: TokenDigest): KnownToken | undefined {
    return this.#known.at(this.#known.find(digest));
  }

  /** Where a known token is until anything is awaited; -1 when none is known under the digest. */
  find(digest: TokenDigest): number {
    return this.#known.find(digest);
  }

  /** What `find` found. */
  at(slot: number): KnownToken | undefined {
    return this.#known.at(slot);
  }

  /**
   * Has the answer for a VALID stand that was decided just now, by the facts of `edition`, for a caller without demands: until a
   * fact is learned, anything is invalidated, the token is observed anew or expires, its observation is too old, or `untilMs`
   * (monotonic). Nothing happens as long as the answer has not been encoded, or when it is too long to be kept.
   */
  stand(slot: number, edition: object, untilMs: number): void {
    const known = this.#known.at(slot);
    if (known === undefined) return;
    const isKept = this.#known.stand(slot, edition, known.valid?.encoded, {
      untilMs: Math.min(untilMs, known.observedAtMonotonicMs + this.#ttlMs),
      expiresAtMs: known.token.expiresAtMs ?? Number.POSITIVE_INFINITY,
    });
    // Kept once is enough.
    if (isKept) known.valid = undefined;
  }

  /** The answer that stands. Whether the view of the facts is fresh is for the caller to ask. */
  standing(slot: number, edition: object, nowMs: number, wallMs: number): KeptAnswer | undefined {
    return this.#known.standing(slot, edition, nowMs, wallMs);
  }

  refused(digest: TokenDigest): Observation | undefined {
    return this.#refused.get(digest);
  }

  /** Whether an observation may decide at `nowMs` (monotonic) for a caller who accepts none older than `maxAgeMs`. */
  isUsable(observation: Observation, nowMs: number, maxAgeMs: number): boolean {
    const ttlMs = observation.token === undefined ? this.#refusalTtlMs : this.#ttlMs;
    const ageMs = nowMs - observation.observedAtMonotonicMs;
    if (ageMs >= ttlMs || ageMs > maxAgeMs) return false;
    // What other replicas share may be older than an invalidation here.
    if (observation.observedAtMonotonicMs <= this.#invalidatedAllAtMs) return false;
    return this.#invalidations.size === 0 || !this.#isInvalidated(observation);
  }

  /** Whether an invalidation has made an observation worthless, however young it is. */
  isInvalidated(observation: Observation): boolean {
    return observation.observedAtMonotonicMs <= this.#invalidatedAllAtMs || this.#isInvalidated(observation);
  }

  /** Remembers an observation, unless it is older than what is known already. */
  put(digest: TokenDigest, observation: Observation): void {
    const observedAtMs = observation.observedAtMonotonicMs;
    const previous = this.#known.peek(digest) ?? this.#refused.peek(digest);
    if (previous !== undefined && previous.observedAtMonotonicMs > observedAtMs) return;
    if (this.isInvalidated(observation)) return;
    if (isKnown(observation)) {
      this.#refused.delete(digest);
      const { token, observedAtMs: observedAtWallMs } = observation;
      // A copy, all of one shape: what is kept beside an observation is this process's own, and is read on every hit.
      const known = {
        token,
        observedAtMonotonicMs: observedAtMs,
        observedAtMs: observedAtWallMs,
        uses: 0,
        isRenewing: false,
        valid: undefined,
        clearIn: undefined,
        signed: observation.signed,
      };
      this.#known.put(digest, known, sizeOf(known));
    } else {
      this.#known.delete(digest);
      if (this.#refusalTtlMs > 0) this.#refused.set(digest, observation);
    }
  }

  /** Makes every observation up to now unusable, those of questions still under way included. */
  invalidate(target: InvalidationTarget): void {
    const nowMs = this.#clock.monotonicMs();
    this.#known.liftAll();
    if ("all" in target) {
      this.#invalidateAll(nowMs);
      return;
    }
    this.#forgetOldInvalidations(nowMs);
    if (this.#invalidations.size >= MAX_INVALIDATIONS) this.#invalidateAll(nowMs);
    else this.#invalidations.set("tokenId" in target ? target.tokenId : target.subject, nowMs);
  }

  /** Drops everything, where digests are made otherwise from now on. */
  clear(): void {
    this.#known.clear();
    this.#refused.clear();
  }

  get knownCount(): number {
    return this.#known.size;
  }

  /** Estimated size of the known tokens, claims included. */
  get knownBytes(): number {
    return this.#known.bytes;
  }

  get refusedCount(): number {
    return this.#refused.size;
  }

  #invalidateAll(nowMs: number): void {
    this.#invalidatedAllAtMs = nowMs;
    this.#invalidations.clear();
    this.#known.clear();
    this.#refused.clear();
  }

  #isInvalidated({ token, observedAtMonotonicMs }: Observation): boolean {
    if (token === undefined) return false;
    return (
      observedAtMonotonicMs <= (this.#invalidations.get(token.id) ?? Number.NEGATIVE_INFINITY) ||
      observedAtMonotonicMs <= (this.#invalidations.get(token.subject) ?? Number.NEGATIVE_INFINITY)
    );
  }

  /** An invalidation older than two TTLs (and a minute for questions under way) can match no usable observation. */
  #forgetOldInvalidations(nowMs: number): void {
    if (this.#invalidations.size < MAX_INVALIDATIONS / 2 || nowMs < this.#forgetAtMs) return;
    this.#forgetAtMs = nowMs + FORGET_INTERVAL_MS;
    const oldestMs = nowMs - 2 * this.#ttlMs - 60_000;
    for (const [name, atMs] of this.#invalidations) if (atMs < oldestMs) this.#invalidations.delete(name);
  }
}

function sizeOf({ token, signed }: KnownToken): number {
  const entryBytes = ENTRY_BYTES + (signed === undefined ? 0 : SIGNED_BYTES);
  return entryBytes + (token.claims === undefined ? 0 : jsonBytes(token.claims)) + 60 * token.scopes.length;
}

/** What a JSON value takes on the heap, roughly and rather too much. */
export function jsonBytes(json: Json): number {
  if (typeof json === "string") return 24 + 2 * json.length;
  if (typeof json !== "object" || json === null) return 16;
  let bytes = 64;
  for (const [name, value] of Object.entries(json)) bytes += 32 + 2 * name.length + jsonBytes(value);
  return bytes;
}
