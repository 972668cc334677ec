import { inspect } from "node:util";
import { ConfigError } from "../../src/config/problem.ts";
import { type LoadOptions, loadConfig } from "../../src/config.ts";

export const MACHINE_KEY = "ak_LCWGdaM8mv8K4PC/57IICZQXAeWfCgF30DZaFXHoGn9=";
export const INSTANCE_KEY = "sk_test_0a1B2c3D4e5F6g7H8i9J";

export function problemsOf(options: LoadOptions): { lines: string[]; text: string } {
  try {
    loadConfig(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.problems.map(({ where, what, fix }) => `${where} ${what}: ${fix}`);
    return { lines, text: `${error.message}\n${error.stack}\n${JSON.stringify(error)}\n${inspect(error)}` };
  }
  return { lines: [], text: "" };
}

/** A file system of texts. */
export function files(texts: Record<string, string>): (path: string) => string {
  return (path) => {
    const text = texts[path];
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: "ENOENT" });
    return text;
  };
}

export function fromFile(text: string, env: Record<string, string> = {}): LoadOptions {
  return { env, file: "g.yaml", readFile: files({ "g.yaml": text }) };
}
