import { readFile } from "node:fs/promises";
import type { JsonValue } from "@bufbuild/protobuf";
import type { CliIo } from "./io.ts";
import { readAll } from "./standard-input.ts";
import { UsageError } from "./usage-error.ts";

/**
 * JSON given as itself, as `@file`, or as `-` for standard input.
 * @throws UsageError
 */
export async function readJsonInput(io: CliIo, option: string, given: string): Promise<JsonValue> {
  if (given === "-") {
    return parseJson(option, await readAll(io, "the JSON"));
  }
  return parseJson(option, given.startsWith("@") ? await readText(option, given.slice(1)) : given);
}

/**
 * `key=json` pairs as one object.
 * @throws UsageError
 */
export function parseJsonPairs(option: string, pairs: readonly string[]): { [key: string]: JsonValue } {
  const entries = pairs.map((pair): [string, JsonValue] => {
    const at = pair.indexOf("=");
    if (at < 1) {
      throw new UsageError(`${option}: give key=json, for example role='"admin"' or level=3`);
    }
    const key = pair.slice(0, at);
    refusePrototypeKey(option, key);
    return [key, parseJson(option, pair.slice(at + 1))];
  });
  return Object.fromEntries(entries);
}

function parseJson(option: string, text: string): JsonValue {
  try {
    return JSON.parse(text, (key, value) => {
      refusePrototypeKey(option, key);
      return value;
    });
  } catch (error) {
    if (error instanceof UsageError) {
      throw error;
    }
    throw new UsageError(`${option}: not JSON`, `text must be quoted twice: '"like this"'`);
  }
}

/** Objects in memory cannot all carry such a key, so it could be lost on the way. The gateway refuses it too. */
function refusePrototypeKey(option: string, key: string): void {
  if (key === "__proto__") {
    throw new UsageError(`${option}: a key must not be named __proto__`);
  }
}

async function readText(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new UsageError(`${option}: cannot read the file (${code})`);
  }
}
