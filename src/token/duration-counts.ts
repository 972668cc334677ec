/** Upper bounds of the buckets, in milliseconds: from a millisecond, a machine away, to ten seconds, longer than anybody waits. */
const BOUNDS_MS: readonly number[] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/** How long things took: plain numbers, written often and read by whoever asks. */
export class DurationCounts {
  readonly boundsMs: readonly number[] = BOUNDS_MS;
  /** How many took at most a bucket's bound and more than the one before; last, those longer than all. */
  readonly counts: Float64Array = new Float64Array(BOUNDS_MS.length + 1);
  sumMs = 0;

  add(durationMs: number): void {
    let bucket = 0;
    while (durationMs > (BOUNDS_MS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += durationMs;
  }
}
