const FIRST_VISIBLE = 0x21;
const LAST_VISIBLE = 0x7e;

/** The text that `bytes[start, end)` are, when all of them are visible ASCII, as those of every token are. */
export function visibleText(bytes: Buffer, start: number, end: number): string | undefined {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < FIRST_VISIBLE || byte > LAST_VISIBLE) return undefined;
  }
  return bytes.toString("latin1", start, end);
}
