import { LineCounter, parseDocument } from "yaml";
import { nearest } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { type Setting, settingPath } from "./settings.ts";
import { failureCode, type ReadFile, type Source, secretGiven } from "./source.ts";

/** The suffix of a key that holds the path of a file with the secret, instead of the secret. */
export const FILE_KEY_SUFFIX = "File";

/** Names the JSON schema of a file for editors, and says nothing to the gateway. */
export const SCHEMA_KEY = "$schema";

type Table = Readonly<Record<string, unknown>>;

/** Reads settings from a YAML or JSON file. Unknown keys are problems. */
export function fileSource(
  path: string,
  settings: readonly Setting[],
  readFile: ReadFile,
  problems: Problem[],
): Source {
  const content = readContent(path, readFile, problems);
  reportUnknownKeys(path, content, settings, problems);
  return (setting) => {
    const group = content[setting.group];
    if (!isTable(group)) return undefined;
    const at = (key: string) => ({ where: placeOf(path, `${setting.group}.${key}`), value: group[key] ?? undefined });
    const direct = at(setting.key);
    if (setting.facts.kind !== "secret") {
      return direct.value === undefined ? undefined : { origin: "file", ...direct };
    }
    return secretGiven({ origin: "file", direct, path: at(setting.key + FILE_KEY_SUFFIX) }, readFile, problems);
  };
}

function readContent(path: string, readFile: ReadFile, problems: Problem[]): Table {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    const what = `cannot be read (${failureCode(error)})`;
    problems.push({ where: path, what, fix: "give the path of a YAML or JSON file that this process may read" });
    return {};
  }
  const parsed = parse(text);
  if ("fault" in parsed) {
    problems.push({ where: path, what: parsed.fault, fix: "correct it; texts that begin with [ or & need quotes" });
    return {};
  }
  if (parsed.value === null || parsed.value === undefined) return {};
  if (isTable(parsed.value)) return parsed.value;
  problems.push({ where: path, what: "is not a table of groups", fix: "begin with a group, for example rpc:" });
  return {};
}

/** The parser's own messages quote the text, which may hold a secret: only its code and the place are passed on. */
function parse(text: string): { readonly value: unknown } | { readonly fault: string } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: "silent" });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) {
    const { line, col } = lineCounter.linePos(fault.pos[0]);
    return { fault: `is not plain YAML or JSON at line ${line}, column ${col} (${fault.code})` };
  }
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) };
  } catch {
    return { fault: "has aliases that lead nowhere or multiply too far" };
  }
}

function reportUnknownKeys(path: string, content: Table, settings: readonly Setting[], problems: Problem[]): void {
  const known = new Set(settings.flatMap(keysOf));
  const groups = [...new Set(settings.map((setting) => setting.group))];
  const unknown = (key: string, what: string, suggestion: string | undefined) => {
    const fix = suggestion === undefined ? "remove it, or correct its name" : `did you mean ${suggestion}?`;
    problems.push({ where: placeOf(path, key), what, fix });
  };
  for (const [name, group] of Object.entries(content)) {
    if (name === SCHEMA_KEY) continue;
    if (!groups.includes(name)) {
      const moved = [...known].find((key) => key.endsWith(`.${name}`));
      unknown(name, "is not a group of settings", moved ?? nearest(name, groups));
    } else if (isTable(group)) {
      for (const key of Object.keys(group).map((part) => `${name}.${part}`)) {
        if (!known.has(key)) unknown(key, "is not a setting", nearest(key, [...known]));
      }
    } else if (group !== null) {
      unknown(name, "is not a table of settings", undefined);
    }
  }
}

function keysOf(setting: Setting): string[] {
  const path = settingPath(setting);
  return setting.facts.kind === "secret" ? [path, path + FILE_KEY_SUFFIX] : [path];
}

/** A key that does not look like a name is not repeated: it may be a secret in the wrong place. */
function placeOf(path: string, key: string): string {
  const isName = /^[A-Za-z][\w.-]{0,63}$/.test(key) && !/(?:ak|sk|mt)_|\bey[JA]/.test(key);
  return isName ? `${path}: ${key}` : `${path}: a key of ${key.length} characters`;
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
