import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { fromFile, INSTANCE_KEY, MACHINE_KEY, problemsOf } from "../../test/support/config-cases.ts";
import { loadConfig } from "../config.ts";
import { describeConfig } from "./describe.ts";

describe("the upstream's URL", () => {
  test.each([
    ["https://api.clerk.com/", "https://api.clerk.com"],
    ["https://api.clerk.com/v1//", "https://api.clerk.com/v1"],
    ["http://127.0.0.1:50053", "http://127.0.0.1:50053"],
    ["http://[::1]:50053", "http://[::1]:50053"],
    ["http://localhost:1", "http://localhost:1"],
  ])("%s is taken as %s", (text, url) => {
    expect(loadConfig({ env: { CLERK_API_URL: text } }).config.clerk.url).toBe(url);
  });

  test.each([
    "api.clerk.com",
    "ftp://api.clerk.com",
    "https://user:hunter2@api.clerk.com",
    "https://api.clerk.com?key=hunter2",
    "https://api.clerk.com/?",
    "https://api.clerk.com#hunter2",
    "javascript:hunter2",
    "https://",
  ])("%s is refused and not repeated", (text) => {
    const { lines, text: all } = problemsOf({ env: { CLERK_API_URL: text } });
    expect(lines).toHaveLength(1);
    expect(all).not.toContain("hunter2");
  });

  test("plain http leaves this machine only with GATEWAY_INSECURE", () => {
    const env = { CLERK_API_URL: "http://clerk.test" };
    expect(problemsOf({ env }).lines[0]).toMatch(/^CLERK_API_URL would send keys and tokens unencrypted/);
    expect(problemsOf({ env: { ...env, GATEWAY_INSECURE: "true" } }).lines).toEqual([]);
  });
});

describe("secrets", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  function secretFile(content: string): string {
    const folder = mkdtempSync(join(tmpdir(), "config-"));
    folders.push(folder);
    const path = join(folder, "key");
    writeFileSync(path, content);
    return path;
  }

  test.each(["", "\n", "\r\n"])("are read from a file whose last line ends with %j", (end) => {
    const env = { CLERK_MACHINE_SECRET_KEY_FILE: secretFile(MACHINE_KEY + end) };
    const loaded = loadConfig({ env, needsKey: true });
    expect(loaded.config.clerk.machineSecretKey?.reveal()).toBe(MACHINE_KEY);
    const shown = describeConfig(loaded).find(({ name }) => name === "CLERK_MACHINE_SECRET_KEY");
    expect(shown).toMatchObject({ value: "set (ak_…)", origin: "env", where: "CLERK_MACHINE_SECRET_KEY_FILE" });
  });

  test("are read from the configuration file, directly or by path", () => {
    const path = secretFile(`${INSTANCE_KEY}\n`);
    const text = `clerk: { secretKeyFile: ${path}, machineSecretKey: ${MACHINE_KEY} }`;
    const { config } = loadConfig({ env: {}, file: secretFile(text) });
    expect(config.clerk.secretKey?.reveal()).toBe(INSTANCE_KEY);
    expect(config.clerk.machineSecretKey?.reveal()).toBe(MACHINE_KEY);
  });

  test("are given once, not directly and by path", () => {
    const env = { CLERK_SECRET_KEY: INSTANCE_KEY, CLERK_SECRET_KEY_FILE: secretFile(INSTANCE_KEY) };
    expect(problemsOf({ env, needsKey: true }).lines).toEqual([
      "CLERK_SECRET_KEY is given along with CLERK_SECRET_KEY_FILE: keep one of the two",
    ]);
    const text = `clerk: { secretKey: ${INSTANCE_KEY}, secretKeyFile: /k }`;
    expect(problemsOf(fromFile(text)).lines).toEqual([
      "g.yaml: clerk.secretKey is given along with g.yaml: clerk.secretKeyFile: keep one of the two",
    ]);
  });

  test("in a file that cannot be used are told by the file's path", () => {
    const at = (path: string) => problemsOf({ env: { CLERK_SECRET_KEY_FILE: path }, needsKey: true });
    expect(at("/nowhere/key").lines).toEqual([
      "CLERK_SECRET_KEY_FILE names /nowhere/key, which cannot be read (ENOENT): give the path of a file that holds the key alone and that this process may read",
    ]);
    expect(at(secretFile("\n")).lines[0]).toContain("which is empty");
    expect(at(secretFile("x".repeat(10_000))).lines[0]).toContain("which is too long to be a key");
    expect(at(tmpdir()).lines[0]).toContain("(EISDIR)");
    const wrong = at(secretFile(`${MACHINE_KEY}\n`));
    expect(wrong.lines[0]).toContain("belongs in CLERK_MACHINE_SECRET_KEY");
    expect(wrong.text).not.toContain("LCWG");
  });

  test.each([
    ["CLERK_MACHINE_SECRET_KEY", INSTANCE_KEY, "belongs in CLERK_SECRET_KEY"],
    ["CLERK_SECRET_KEY", MACHINE_KEY, "belongs in CLERK_MACHINE_SECRET_KEY"],
    ["CLERK_SECRET_KEY", "pk_test_0a1B2c3D4e5F", "publishable key"],
    ["CLERK_SECRET_KEY", "mt_0a1B2c3D4e5F", "is not a key"],
    ["CLERK_SECRET_KEY", "sk_test_0a1B2c3D 4e5F", "blanks"],
    ["CLERK_SECRET_KEY", `${INSTANCE_KEY}\n`, "blanks"],
    ["CLERK_SECRET_KEY", `sk_test_${"0a1B2c3D".repeat(100)}`, "is not an instance secret key"],
    ["CLERK_SECRET_KEY_FILE", INSTANCE_KEY, "is not a path"],
    ["CLERK_MACHINE_SECRET_KEY_FILE", `\n${MACHINE_KEY}`, "is not a path"],
    ["CLERK_API_URL", INSTANCE_KEY, "is not an http or https URL"],
    ["GATEWAY_LISTEN", INSTANCE_KEY, "is not host:port"],
    ["GATEWAY_LOG_LEVEL", INSTANCE_KEY, "is not one of"],
    ["GATEWAY_VERDICT_TTL_MS", INSTANCE_KEY, "is not a whole number"],
    ["GATEWAY_INSECURE", INSTANCE_KEY, "is not true or false"],
    ["CLERK_API_VERSION", INSTANCE_KEY, "is not a date"],
    ["GATEWAY_REPLICA", `${INSTANCE_KEY}!`, "is not 1 to 64"],
  ])("%s refuses what does not fit without repeating it", (variable, text, what) => {
    const { lines, text: all } = problemsOf({ env: { [variable]: text } });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(variable);
    expect(lines[0]).toContain(what);
    for (const part of ["0a1B2c3D", "LCWGdaM8"]) expect(all).not.toContain(part);
  });

  test("never show in any form of the loaded configuration but reveal()", () => {
    const loaded = loadConfig({ env: { CLERK_MACHINE_SECRET_KEY: MACHINE_KEY, CLERK_SECRET_KEY: INSTANCE_KEY } });
    const { machineSecretKey, secretKey } = loaded.config.clerk;
    const shown = [
      String(machineSecretKey),
      `${secretKey}`,
      JSON.stringify(loaded.config),
      inspect(loaded, { depth: 9, showHidden: true }),
      JSON.stringify(describeConfig(loaded)),
      JSON.stringify(structuredClone({ ...loaded.config.clerk, url: "" })),
    ].join("\n");
    for (const part of ["0a1B2c3D", "LCWGdaM8"]) expect(shown).not.toContain(part);
    expect(shown).toContain("set (sk_test_…)");
    expect(machineSecretKey?.reveal()).toBe(MACHINE_KEY);
  });
});
