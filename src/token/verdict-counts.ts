import type { Verdict, VerdictSource } from "./token.ts";

/** Counts verdicts by what they were and where they came from, without allocating. */
export class VerdictCounts {
  readonly #counts = new Map<Verdict, Record<VerdictSource, number>>(
    (["valid", "revoked", "expired", "not_granted", "invalid"] as const).map((verdict) => [
      verdict,
      { memory: 0, redis: 0, upstream: 0, local: 0, fact: 0 },
    ]),
  );
  /** Verifications that had to ask the upstream, or to join those who asked. */
  misses = 0;

  add(verdict: Verdict, source: VerdictSource): void {
    const row = this.#counts.get(verdict);
    if (row !== undefined) row[source] += 1;
  }

  /** Verifications that a cached observation or a fact answered. */
  get hits(): number {
    return this.#sum("memory") + this.#sum("redis") + this.#sum("fact");
  }

  rows(): { verdict: Verdict; source: VerdictSource; count: number }[] {
    return [...this.#counts].flatMap(([verdict, row]) =>
      (Object.keys(row) as VerdictSource[]).map((source) => ({ verdict, source, count: row[source] })),
    );
  }

  #sum(source: VerdictSource): number {
    let sum = 0;
    for (const row of this.#counts.values()) sum += row[source];
    return sum;
  }
}
