import type { Problem } from "./problem.ts";
import { MAX_KEY_CHARS } from "./setting.ts";
import type { Setting } from "./settings.ts";

export type Origin = "default" | "env" | "file" | "flag";

/** What one source says of one setting. */
export interface Given {
  readonly origin: Exclude<Origin, "default">;
  /** Its name there, for people. */
  readonly where: string;
  /** As a file would give it; `undefined` when it could not be read, which is then among the problems. */
  readonly value: unknown;
  /** The file that holds it alone, where it was given so. */
  readonly file?: string;
}

/** Where settings are looked up: the flags, the environment or the file. */
export type Source = (setting: Setting) => Given | undefined;

export type ReadFile = (path: string) => string;

/** Why a file cannot be read, for example `ENOENT`, without the system's own text. */
export function failureCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "unknown reason";
}

/** A secret given directly, by the path of a file that holds it, or not at all. Both is a problem. */
interface SecretPlaces {
  readonly origin: Given["origin"];
  readonly direct: { readonly where: string; readonly value: unknown };
  readonly path: { readonly where: string; readonly value: unknown };
}

export function secretGiven(
  { origin, direct, path }: SecretPlaces,
  readFile: ReadFile,
  problems: Problem[],
): Given | undefined {
  if (path.value === undefined) return direct.value === undefined ? undefined : { origin, ...direct };
  const given = { origin, where: path.where, value: undefined };
  if (direct.value !== undefined) {
    problems.push({ where: direct.where, what: `is given along with ${path.where}`, fix: "keep one of the two" });
  } else if (typeof path.value !== "string" || looksLikeKey(path.value)) {
    const fix = "give the path of a file that holds the key alone, with ./ in front if its name begins like a key";
    problems.push({ where: path.where, what: "is not a path", fix });
  } else {
    return { ...given, value: readSecret(path.value, path.where, readFile, problems), file: path.value };
  }
  return given;
}

/** A key given where its path belongs must not be repeated in a problem. */
function looksLikeKey(path: string): boolean {
  return /^\s*(?:ak|sk|pk|mt)_|[\r\n]/.test(path);
}

/** The key in a file; `undefined` when there is none, which is then among the problems. */
export function readSecret(path: string, where: string, readFile: ReadFile, problems: Problem[]): string | undefined {
  const fix = "give the path of a file that holds the key alone and that this process may read";
  let text: string;
  try {
    text = readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    problems.push({ where, what: `names ${path}, which cannot be read (${failureCode(error)})`, fix });
    return undefined;
  }
  if (text !== "" && text.length <= MAX_KEY_CHARS) return text;
  problems.push({ where, what: `names ${path}, which ${text === "" ? "is empty" : "is too long to be a key"}`, fix });
  return undefined;
}
