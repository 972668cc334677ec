import type { Json } from "./token.ts";

/**
 * The one text of a JSON value, as RFC 8785 has it: no blanks, members in the order of their names' UTF-16 code units,
 * numbers and strings as JSON.stringify writes them. Two values have the same text exactly when they are equal as JSON.
 *
 * @param json with well-formed text and finite numbers, not nested deeper than the stack allows
 */
export function canonicalJson(json: Json): string {
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  if (isArray(json)) return `[${json.map(canonicalJson).join(",")}]`;
  // Entries, so that names that objects inherit are members like any other. The default order is that of code units.
  const members = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${canonicalJson(value)}`).join(",")}}`;
}

function isArray(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
