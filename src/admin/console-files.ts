import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The page itself among the files. */
export const CONSOLE_PAGE = "index.html";

/**
 * Nothing but what is served here is loaded or called, nothing inline runs, and nobody frames the page. Text from the
 * gateway cannot become markup: no HTML is ever parsed from a string.
 */
export const CONSOLE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};

/**
 * The console as `npm run build` left it, by name, in memory from now on: it is small, and no name that a request
 * makes up reaches the file system. Empty when it was not built.
 */
export function readConsoleFiles(): ReadonlyMap<string, ConsoleFile> {
  const folder = consoleFolder();
  const files = new Map<string, ConsoleFile>();
  for (const name of namesIn(folder)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) files.set(name, { type, bytes: readFileSync(join(folder, name)) });
  }
  return files;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Beside this file's folder, once both are built; tests run this one from its source. */
function consoleFolder(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "../../dist/console" : "../console", import.meta.url));
}
