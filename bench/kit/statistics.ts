/** The medians of several rounds and how far apart these were. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** (max - min) / median. */
  readonly spread: number;
  readonly rounds: readonly number[];
}

export function summarize(rounds: readonly number[]): Summary {
  const sorted = [...rounds].sort((a, b) => a - b);
  const [min = Number.NaN, max = Number.NaN] = [sorted[0], sorted.at(-1)];
  const median = medianOfSorted(sorted);
  return { median, min, max, spread: (max - min) / median, rounds };
}

/** The value below which `share` of the values lie (nearest rank); NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** `value` in significant digits, as a number. */
export function rounded(value: number, digits = 4): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : value;
}

/**
 * How many times each other's value the subject's is, by name. A name whose value is not a positive number has no ratio.
 */
export function ratiosOf(subject: number, others: Readonly<Record<string, number>>): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const [name, value] of Object.entries(others)) {
    if (value > 0 && subject > 0) ratios[name] = rounded(subject / value);
  }
  return ratios;
}

function medianOfSorted(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
