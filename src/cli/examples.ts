/** Help text: command lines that work when pasted. Each is the rest of a line after the program's name, or a whole line. */
export function examples(invocation: string, ...lines: readonly string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  ${line.replaceAll("{cli}", invocation)}`)].join("\n");
}
