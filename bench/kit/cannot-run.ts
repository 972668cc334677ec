/** Something that this machine or this build lacks: reported, and the rest goes on. */
export class CannotRun extends Error {}

/** The part of an error that fits on a line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n").slice(0, 2).join(" ").slice(0, 300);
}
