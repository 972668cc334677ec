import type { Answer, StaleAnswer } from "./ledger.ts";

/** What clients saw during one fault and until every gateway was synced again, or during a healthy time. */
export interface Spell {
  readonly kind: string;
  readonly beganAtMs: number;
  endedAtMs: number;
  /** From when all was mended until every gateway was SYNCED; `undefined` for a healthy time. */
  syncedAfterMs: number | undefined;
  verifies: number;
  /** Decided by the upstream, of all verifications. */
  fromUpstream: number;
  /** Verifications without a verdict, by code, from gateways that were up. */
  readonly errors: Map<string, number>;
  revocations: number;
  /** The longest time in which one gateway that was up decided nothing. */
  longestGapMs: number;
  upstreamRequests: number;
}

/** One row of the report. */
export interface Row {
  readonly kind: string;
  readonly times: number;
  readonly verifies: number;
  readonly from_upstream: number;
  readonly errors: number;
  readonly revocations: number;
  readonly worst_staleness_ms: number;
  readonly longest_gap_ms: number;
  /** Mean over the spell, all gateways together. */
  readonly upstream_per_s: number;
  /** The worst. */
  readonly synced_after_ms: number | undefined;
}

export const HEALTHY = "healthy";

/** Sorts what is seen into spells as they follow each other. */
export class Spells {
  readonly #spells: Spell[] = [];
  readonly #lastDecisionMs = new Map<string, number>();
  #upstreamTotal = 0;

  /** Ends the spell that is under way and begins the next. `upstreamTotal` counts from the start of the run. */
  begin(kind: string, upstreamTotal: number): void {
    const nowMs = performance.now();
    this.end(upstreamTotal);
    this.#spells.push({
      kind,
      beganAtMs: nowMs,
      endedAtMs: nowMs,
      syncedAfterMs: undefined,
      verifies: 0,
      fromUpstream: 0,
      errors: new Map(),
      revocations: 0,
      longestGapMs: 0,
      upstreamRequests: 0,
    });
  }

  end(upstreamTotal: number): void {
    const spell = this.#current;
    if (spell !== undefined) {
      spell.endedAtMs = performance.now();
      spell.upstreamRequests = upstreamTotal - this.#upstreamTotal;
    }
    this.#upstreamTotal = upstreamTotal;
  }

  synced(afterMs: number): void {
    if (this.#current !== undefined) this.#current.syncedAfterMs = afterMs;
  }

  acknowledged(): void {
    if (this.#current !== undefined) this.#current.revocations += 1;
  }

  answered({ replica, incarnation, endedAtMs, verdict, source }: Answer, gatewayWasUp: boolean): void {
    const spell = this.#current;
    if (spell === undefined) return;
    if (verdict === "error") {
      if (gatewayWasUp) spell.errors.set(source, (spell.errors.get(source) ?? 0) + 1);
      return;
    }
    spell.verifies += 1;
    if (source === "UPSTREAM") spell.fromUpstream += 1;
    const gateway = `${replica}#${incarnation}`;
    const beforeMs = this.#lastDecisionMs.get(gateway);
    this.#lastDecisionMs.set(gateway, endedAtMs);
    if (beforeMs !== undefined) spell.longestGapMs = Math.max(spell.longestGapMs, endedAtMs - beforeMs);
  }

  /** A row for each kind, in the order in which they first came. */
  rows(stale: readonly StaleAnswer[]): Row[] {
    const kinds = [...new Set(this.#spells.map(({ kind }) => kind))];
    return kinds.map((kind) =>
      rowOf(
        kind,
        this.#spells.filter((spell) => spell.kind === kind),
        stale,
      ),
    );
  }

  /** Errors by code. */
  errors(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { errors } of this.#spells) {
      for (const [code, count] of errors) sums[code] = (sums[code] ?? 0) + count;
    }
    return sums;
  }

  get #current(): Spell | undefined {
    return this.#spells.at(-1);
  }
}

function rowOf(kind: string, spells: readonly Spell[], stale: readonly StaleAnswer[]): Row {
  const sum = (pick: (spell: Spell) => number) => spells.reduce((total, spell) => total + pick(spell), 0);
  const worst = (values: readonly number[]) => Math.round(Math.max(0, ...values));
  const within = stale.filter(({ beganAtMs }) =>
    spells.some((spell) => beganAtMs >= spell.beganAtMs && beganAtMs < spell.endedAtMs),
  );
  const seconds = sum(({ beganAtMs, endedAtMs }) => endedAtMs - beganAtMs) / 1_000;
  return {
    kind,
    times: spells.length,
    verifies: sum(({ verifies }) => verifies),
    from_upstream: sum(({ fromUpstream }) => fromUpstream),
    errors: sum(({ errors }) => [...errors.values()].reduce((total, count) => total + count, 0)),
    revocations: sum(({ revocations }) => revocations),
    worst_staleness_ms: within.reduce((most, { stalenessMs }) => Math.max(most, Math.round(stalenessMs)), 0),
    longest_gap_ms: worst(spells.map(({ longestGapMs }) => longestGapMs)),
    upstream_per_s: Math.round(sum(({ upstreamRequests }) => upstreamRequests) / Math.max(seconds, 0.001)),
    synced_after_ms: kind === HEALTHY ? undefined : worst(spells.map(({ syncedAfterMs }) => syncedAfterMs ?? 0)),
  };
}
