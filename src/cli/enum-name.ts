/** The name of a value, or the number where this program is older than the gateway. */
export function enumName(names: Readonly<Record<number | string, number | string>>, value: number): string {
  return String(names[value] ?? value);
}
