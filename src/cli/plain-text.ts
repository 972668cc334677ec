/**
 * Control characters (C0, DEL, C1) can move the cursor or start an escape sequence; bidirectional controls and line
 * separators can make a line read as another.
 */
const UNSAFE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Text that came from elsewhere, safe to print on one line of a terminal. Line breaks and tabs become spaces. */
export function plainText(text: string): string {
  return text.replace(/[\r\n\t]+/g, " ").replace(UNSAFE, "");
}

/** As `plainText`, but keeps the line breaks. */
export function plainLines(text: string): string {
  return text.split("\n").map(plainText).join("\n");
}

/** One-line JSON text with the same characters escaped, so that its value stays what it was. */
export function plainJson(json: string): string {
  return json.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
