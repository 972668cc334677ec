/** Where an axis has its marks, from its end to its beginning. */
export interface Scale {
  readonly max: number;
  readonly ticks: readonly number[];
}

/** A scale from zero whose marks are 1, 2 or 5 of some power of ten apart, at most five of them. */
export function linearScale(largest: number): Scale {
  const wanted = Math.max(largest, 1) * 1.05;
  const power = 10 ** Math.floor(Math.log10(wanted / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one * 4 >= wanted) ?? power * 10;
  const count = Math.ceil(wanted / step);
  return { max: count * step, ticks: Array.from({ length: count + 1 }, (_, at) => at * step) };
}

/** Powers of ten from `least`, which is one, to the first beyond `largest`; two of them at least. */
export function logScale(least: number, largest: number): Scale {
  const decades = Math.max(2, Math.ceil(Math.log10(Math.max(largest, least) / least) - 1e-9));
  const ticks = Array.from({ length: decades + 1 }, (_, at) => Number((least * 10 ** at).toPrecision(1)));
  return { max: least * 10 ** decades, ticks };
}

/**
 * Moves labels apart that would overlap, as little as it takes, in the order they are in.
 *
 * @param wanted where they should be, from the top down
 */
export function spread(wanted: readonly number[], distance: number, bottom: number): number[] {
  const places: number[] = [];
  for (const place of wanted) places.push(Math.max(place, (places.at(-1) ?? Number.NEGATIVE_INFINITY) + distance));
  let lowest = bottom;
  for (let at = places.length - 1; at >= 0; at--) {
    places[at] = Math.min(places[at] ?? 0, lowest);
    lowest = (places[at] ?? 0) - distance;
  }
  return places;
}
