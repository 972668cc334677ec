import { readFile } from "node:fs/promises";

export interface FileFollowerOptions {
  readonly path: string;
  /** What is known to be in it. */
  readonly text: string;
  readonly intervalMs: number;
  /** Told of each new content. Must not throw. */
  readonly onText: (text: string) => void;
  /** Told once for each time that it begins to be unreadable. */
  readonly onUnreadable: (error: unknown) => void;
}

/**
 * Reads a file again and again, and tells when something else is in it: the one way that works for files in place, for
 * renames, and for the symbolic links of a Kubernetes volume alike. Returns how to stop.
 */
export function followFile(options: FileFollowerOptions): () => void {
  let known: string | undefined = options.text;
  let isReadable = true;
  let isReading = false;
  const look = async () => {
    if (isReading) return;
    isReading = true;
    try {
      const text = await readFile(options.path, "utf8");
      isReadable = true;
      if (text !== known) {
        known = text;
        options.onText(text);
      }
    } catch (error) {
      if (isReadable) options.onUnreadable(error);
      isReadable = false;
      // Whoever was told so is to be told when it is over, whatever is in it then.
      known = undefined;
    }
    isReading = false;
  };
  const timer = setInterval(() => void look(), options.intervalMs).unref();
  return () => clearInterval(timer);
}
