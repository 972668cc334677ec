import { expect, it } from "vitest";
import { fingerprintOf } from "../callers/caller-key.ts";
import { callerKey } from "./caller-key.ts";

async function run(output: "text" | "json") {
  let out = "";
  let err = "";
  const context = {
    env: {},
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    signal: new AbortController().signal,
    invocation: "m2m-gateway",
    version: "1.2.3",
    colorErr: false,
    quit: () => undefined,
    crash: { drainThrough: () => undefined },
  };
  expect(await callerKey({ output }, context)).toBe(0);
  return { out, err };
}

it("a key for a caller comes with the hash that the file holds", async () => {
  const { out, err } = await run("text");
  expect(out).toMatch(/^mgk_[\w-]{43}\n$/);
  expect(err).toContain(`keys: ["${fingerprintOf(out.trim())}"]`);
  expect(err).not.toContain(out.trim());
  const { key, fingerprint } = JSON.parse((await run("json")).out) as Record<string, string>;
  expect(fingerprint).toBe(fingerprintOf(key ?? ""));
  expect(key).not.toBe(out.trim());
});
