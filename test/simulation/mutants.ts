import { JWTS_IN_EVERY } from "./simulation.ts";

/** One mistake in the domain. Each `before` must occur exactly once in its file. */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** From which seed on and by which step histories are played, where few of the first ones show it. */
  readonly seeds?: { readonly first: number; readonly step: number };
}

export interface Edit {
  /** A file of src/token. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** The mistakes that the simulation must catch. */
export const MUTANTS: readonly Mutant[] = [
  mutant("the answer that was in flight is not checked against the facts", "verifier.ts", [
    ["if (subject !== undefined && revocations.findFor(subject) !== undefined && !token?.revoked) {", "if (false) {"],
  ]),
  mutant("a hit is not checked against the facts", "recall.ts", [
    [
      'if (isRevoked(known, this.#options.revocations)) return verificationOf("revoked", token, "fact", observedAtMs);',
      "isRevoked(known, this.#options.revocations);",
    ],
  ]),
  mutant("what was clear once counts as clear for ever", "observation.ts", [
    ["if (known.clearIn === revocations.edition) return false;", "if (known.clearIn !== undefined) return false;"],
  ]),
  mutant("a fact learned leaves the edition of the facts as it is", "revocations.ts", [["this.#edition = {};", ""]]),
  mutant("promotion from the shared tier restamps the age", "observer.ts", [
    [
      "if (observation !== undefined) cache.put(digest, observation);",
      "if (observation !== undefined) cache.put(digest, { ...observation, observedAtMonotonicMs: this.#options.clock.monotonicMs() });",
    ],
  ]),
  mutant("a push counts as contact with the log", "revocation-feed.ts", [
    [
      "this.#options.revocations.learn(entry.fact);",
      "this.#options.revocations.learn(entry.fact); this.#contactAtMs = this.#options.clock.monotonicMs();",
    ],
  ]),
  mutant("contact is dated at the end of the read", "revocation-feed.ts", [
    ["this.#contactAtMs = startedAtMs;", "this.#contactAtMs = clock.monotonicMs();"],
  ]),
  mutant("a failed read counts as contact", "revocation-feed.ts", [
    [
      "if (!this.#closing.signal.aborted) this.#options.onReadError(error);",
      "this.#contactAtMs = startedAtMs; this.#options.onReadError(error);",
    ],
  ]),
  mutant("memory decides without a fresh view of the facts", "recall.ts", [
    ["if (!feed.isFresh(nowMs) || !cache.isUsable(known,", "if (!cache.isUsable(known,"],
  ]),
  mutant("an answer stands without a fresh view of the facts", "recall.ts", [
    [
      "if (answer === undefined || !feed.isFresh(nowMs)) return undefined;",
      "if (answer === undefined) return undefined;",
    ],
  ]),
  mutant("an answer stands whatever facts are learned", "known-tokens.ts", [
    ["if (edition === this.#edition) return;", "if (this.#edition !== undefined) return;"],
  ]),
  mutant("an answer stands for a token that was observed anew", "known-tokens.ts", [
    ["this.#words[at + GENERATION] = 0;", ""],
  ]),
  mutant("an answer stands for ever", "verdict-cache.ts", [
    ["untilMs: Math.min(untilMs, known.observedAtMonotonicMs + this.#ttlMs),", "untilMs: Number.POSITIVE_INFINITY,"],
  ]),
  mutant("an answer stands though its token has expired", "known-tokens.ts", [
    ["if (nowMs >= untilMs || wallMs >= expiresAtMs) return undefined;", "if (nowMs >= untilMs) return undefined;"],
  ]),
  mutant("a record is used again with what was packed in it", "known-tokens.ts", [["this.#packed.drop(slot);", ""]]),
  mutant("an answer is kept beside another token than the one that is packed", "known-tokens.ts", [
    [
      "this.#keep(slot, token.valid?.encoded);\n    this.#objects[slot] = undefined;",
      "this.#objects[slot] = undefined;\n    this.#keep(this.#objects.findIndex((other) => other), token.valid?.encoded);",
    ],
  ]),
  mutant("a token that is packed loses its expiration", "packed-tokens.ts", [
    ["expiresAtMs: expiresAtMs ?? undefined,", "expiresAtMs: undefined,"],
  ]),
  mutant("a token that is packed has the time of the other clock", "packed-tokens.ts", [
    ["OBSERVED_AT_MONOTONIC] = observedAtMonotonicMs;", "OBSERVED_AT_MONOTONIC] = observedAtMs;"],
  ]),
  mutant("the log is not polled", "revocation-feed.ts", [
    [
      "if (!this.#options.log.shared || this.#closing.signal.aborted) return;\n    this.#cancelPoll",
      "if (this.#cancelPoll === undefined) return;\n    this.#cancelPoll",
    ],
  ]),
  mutant("freshness is never in doubt", "revocation-feed.ts", [
    ["return this.stalenessMs(nowMs) <= this.#options.boundMs;", "return this.stalenessMs(nowMs) < 1e9;"],
  ]),
  mutant("a restart of the log is not announced", "revocation-feed.ts", [
    ['if (read.restarted && (before.epoch !== "none" || this.#hasFailed)) this.#options.onRestart();', ""],
  ]),
  mutant("a change of epoch is not noticed", "revocation-feed.ts", [
    [
      "if (read.restarted) revocations.restart(read.head.epoch);",
      "if (before.epoch === 'none') revocations.restart(read.head.epoch);",
    ],
    [
      'if (read.restarted && (before.epoch !== "none" || this.#hasFailed)) this.#options.onRestart();',
      "if (before.epoch === 'none') this.#options.onRestart();",
    ],
  ]),
  mutant("what other replicas share is used in spite of an invalidation", "verdict-cache.ts", [
    ["if (observation.observedAtMonotonicMs <= this.#invalidatedAllAtMs) return false;", ""],
  ]),
  mutant("invalidated answers that were in flight are believed", "verifier.ts", [
    ["if (cache.isInvalidated(observation)) continue;", ""],
  ]),
  mutant("a revoke is answered before the append", "publisher.ts", [
    [
      "const cursor = await recorder.record(fact);",
      "recorder.recordInBackground(fact); const cursor = { epoch: 'none', major: 0, minor: 0 };",
    ],
  ]),
  mutant("a revoke is answered although the append failed", "recorder.ts", [
    [
      "this.#scheduleRetry();\n      throw new GatewayError(",
      "this.#scheduleRetry();\n      return revocations.applied;\n      throw new GatewayError(",
    ],
  ]),
  mutant("WAIT_FLEET does not wait", "publisher.ts", [
    ["unconfirmed: await this.#reachFleet(cursor)", "unconfirmed: []"],
  ]),
  mutant("WAIT_FLEET takes a log that cannot be asked for consent", "publisher.ts", [
    [".catch(() => bound)", ".catch(() => [])"],
  ]),
  mutant("facts are forgotten by the wall clock alone", "revocations.ts", [
    ["fact.rememberUntilMs <= wallMs && nowMs - heldSinceMs >= this.#minHoldMs", "fact.rememberUntilMs <= wallMs"],
  ]),
  mutant("facts are not learned from pushes and reads", "revocations.ts", [["this.learn(entry.fact);", ""]]),
  mutant("a question of any age is joined while the facts are not fresh", "observer.ts", [
    ["feed.isFresh(nowMs) ? nowMs - maxAgeMs : nowMs", "nowMs - maxAgeMs"],
  ]),
  mutant("a pending fact is dropped by the wall clock", "recorder.ts", [
    ["!revocations.holds(fact)", "fact.rememberUntilMs <= this.#options.clock.wallMs()"],
  ]),
  mutant("an older observation overwrites a newer one", "verdict-cache.ts", [
    ["if (previous !== undefined && previous.observedAtMonotonicMs > observedAtMs) return;", ""],
  ]),
  mutant("expiration is not checked again on a hit", "recall.ts", [
    ['if (this.hasExpired(token)) return verificationOf("expired", token, source, observedAtMs);', ""],
  ]),
  mutant("the TTL is not checked on a hit", "verdict-cache.ts", [
    ["ageMs >= ttlMs || ageMs > maxAgeMs", "ageMs > maxAgeMs"],
  ]),
  mutant("max_age is not checked on a hit", "verdict-cache.ts", [
    ["ageMs >= ttlMs || ageMs > maxAgeMs", "ageMs >= ttlMs"],
  ]),
  mutant("min_cursor is not waited for", "verifier.ts", [
    [
      "if (minCursor === undefined || this.#options.feed.hasApplied(minCursor))",
      "if (minCursor === undefined || this.#options.feed.hasApplied(minCursor) !== undefined)",
    ],
  ]),
  mutant("facts that the log lost are not offered again", "recorder.ts", [
    ["this.#scheduleRetry(0);", "this.#pending.clear();"],
  ]),
  mutant("the head counts as applied without its entries", "revocation-feed.ts", [
    [
      "for (const entry of read.entries) revocations.apply(entry);",
      "for (const entry of read.entries.slice(1)) revocations.apply(entry);",
    ],
  ]),
  mutant("watchers miss what came while they were being served", "watch.ts", [
    ["this.#position = entry.cursor;", "this.#position = this.#options.revocations.applied;"],
  ]),
  jwtMutant("a JWT whose signature is remembered is not checked against the facts", "jwt-verifier.ts", [
    [
      'if (isRevoked(known, this.#options.revocations)) return verificationOf("revoked", token, "fact", undefined);',
      "",
    ],
  ]),
  jwtMutant("a JWT is VALID without a fresh view of the facts", "staleness-guard.ts", [
    ["if (!this.#feed.isFresh(nowMs) || !this.#feed.isSettled) return this.#allowsUnsyncedJwts;", ""],
  ]),
  {
    ...jwtMutant("a new epoch counts as whole at once", "staleness-guard.ts", [[" || !this.#feed.isSettled", ""]]),
    // Of some 4,000 histories with JWTs one shows it: a log is lost, and a JWT verified before the fact that it lost has come back.
    seeds: { first: 12_000, step: JWTS_IN_EVERY },
  },
  mutant("a watermark moves back", "facts.ts", [
    ["...(held.issuedBeforeMs >= fact.issuedBeforeMs ? held : fact)", "...fact"],
  ]),
];

/** Mistakes that the simulation cannot show, and why. */
export const BEYOND: readonly { readonly name: string; readonly why: string }[] = [
  {
    name: "the index takes a digest for another with the same home and tag",
    why: "few tokens have the one chance in a hundred thousand; digest-index.test.ts shows it",
  },
  {
    name: "a token that is packed loses how often it was used, or that it is being renewed",
    why: "the upstream is asked more often, or less; revalidator.test.ts shows it",
  },
  {
    name: "invalidating everything leaves the entries in memory",
    why: "an entry's own time is compared with the invalidation's on every use: dropping it only frees room",
  },
  {
    name: "an invalidated answer that was in flight is put into memory",
    why: "the same comparison keeps it from deciding",
  },
  {
    name: "shared verdicts are not kept apart by epoch, or are filed under the epoch of their answer",
    why: "a reader uses none that was observed before it entered its epoch, whatever the key; the epoch in the key is a second guard, for ages that a store tells wrong",
  },
  {
    name: "watchers are not told that the log started over",
    why: "the snapshot that follows repeats all, and facts that the log lost are appended again: sets differ only when every holder of a fact has died; watch.test.ts shows it",
  },
];

function mutant(name: string, file: string, replacements: readonly (readonly [string, string])[]): Mutant {
  return { name, edits: replacements.map(([before, after]) => ({ file, before, after })) };
}

function jwtMutant(...mistake: Parameters<typeof mutant>): Mutant {
  return { ...mutant(...mistake), seeds: { first: JWTS_IN_EVERY, step: JWTS_IN_EVERY } };
}
