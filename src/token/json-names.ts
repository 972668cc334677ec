/**
 * Whether an object anywhere in a JSON text names a member twice. Parsers differ in which one counts, so a text that does is
 * two texts at once. The text must be JSON.
 */
export function repeatsNames(json: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let expectsName = false;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case "{":
        open.push(new Set());
        expectsName = true;
        break;
      case "[":
        open.push(undefined);
        expectsName = false;
        break;
      case "}":
      case "]":
        open.pop();
        expectsName = false;
        break;
      case ",":
        expectsName = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(json, at);
        if (expectsName && !isNew(open.at(-1), json.slice(at, end + 1))) return true;
        expectsName = false;
        at = end;
      }
    }
  }
  return false;
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at;
}

/** Names are compared as they are meant, not as they are escaped. */
function isNew(names: Set<string> | undefined, literal: string): boolean {
  const name: unknown = JSON.parse(literal);
  if (names === undefined || typeof name !== "string") return true;
  if (names.has(name)) return false;
  names.add(name);
  return true;
}
