/** The candidate that `name` is most likely a misspelling of; `undefined` when none is near. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const plain = plainForm(name);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(plain.length / 4)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, plainForm(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

// Case and separators are what people most often get wrong, so they do not count.
function plainForm(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9.]/g, "");
}

/** Insertions, deletions and replacements from `a` to `b`; `limit` when there are that many or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? limit) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? limit) + 1, (next[j - 1] ?? limit) + 1));
    }
    row = next;
  }
  return Math.min(row[b.length] ?? limit, limit);
}
