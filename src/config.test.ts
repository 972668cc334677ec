import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { describeConfig } from "./config/describe.ts";
import { ConfigError } from "./config/problem.ts";
import { type LoadOptions, loadConfig } from "./config.ts";

const MACHINE_KEY = "ak_LCWGdaM8mv8K4PC/57IICZQXAeWfCgF30DZaFXHoGn9=";
const INSTANCE_KEY = "sk_test_0a1B2c3D4e5F6g7H8i9J";

function problemsOf(options: LoadOptions): { lines: string[]; text: string } {
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
function files(texts: Record<string, string>): (path: string) => string {
  return (path) => {
    const text = texts[path];
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: "ENOENT" });
    return text;
  };
}

function fromFile(text: string, env: Record<string, string> = {}): LoadOptions {
  return { env, file: "g.yaml", readFile: files({ "g.yaml": text }) };
}

describe("sources", () => {
  test("with nothing given every setting has its documented default", () => {
    const { config } = loadConfig({ env: {} });
    expect(config).toMatchObject({
      gateway: { insecure: false },
      rpc: { listen: { host: "127.0.0.1", port: 50051 }, maxMessageBytes: 4194304, drainGraceMs: 10000 },
      admin: { listen: { host: "127.0.0.1", port: 50052 } },
      emulator: { listen: { host: "127.0.0.1", port: 50053 } },
      clerk: { url: "https://api.clerk.com", apiVersion: "2026-05-12", timeoutMs: 5000, attemptTimeoutMs: 2500 },
      cache: {
        verdictTtlMs: 30000,
        refusalTtlMs: 2000,
        maxEntries: 100000,
        maxBytes: 134217728,
        refusalMaxEntries: 10000,
      },
      revocations: { stalenessBoundMs: 1000, retentionMs: 3600000 },
      watch: { maxLag: 1024, heartbeatMs: 5000 },
      log: { level: "info", format: "json" },
    });
    expect(config.clerk.machineSecretKey).toBeUndefined();
    expect(config.gateway.replica).toMatch(/^[\w.-]{1,64}$/);
    expect(config.gateway.replica).not.toBe(loadConfig({ env: {} }).config.gateway.replica);
  });

  test("a flag wins over the environment, the environment over the file, the file over the default", () => {
    const loaded = loadConfig({
      ...fromFile("clerk: { timeoutMs: 3001, maxAttempts: 5, maxQueue: 7 }", {
        CLERK_TIMEOUT_MS: "3002",
        CLERK_MAX_ATTEMPTS: "6",
      }),
      overrides: { CLERK_TIMEOUT_MS: "3003", CLERK_MAX_ATTEMPTS: undefined },
    });
    expect(loaded.config.clerk).toMatchObject({ timeoutMs: 3003, maxAttempts: 6, maxQueue: 7 });
    const shown = new Map(describeConfig(loaded).map((setting) => [setting.path, setting]));
    expect(shown.get("clerk.timeoutMs")).toMatchObject({ name: "CLERK_TIMEOUT_MS", value: "3003", origin: "flag" });
    expect(shown.get("clerk.maxAttempts")).toMatchObject({ origin: "env", where: "CLERK_MAX_ATTEMPTS" });
    expect(shown.get("clerk.maxQueue")).toMatchObject({ origin: "file", where: "g.yaml: clerk.maxQueue" });
    expect(shown.get("clerk.maxConcurrency")).toMatchObject({ value: "64", origin: "default", where: "" });
    expect(shown.get("rpc.listen")).toMatchObject({ value: "127.0.0.1:50051" });
  });

  test("GATEWAY_CONFIG names the file where no flag does", () => {
    const readFile = files({ "a.yaml": "log: { level: warn }", "b.json": '{"log":{"level":"debug"}}' });
    const env = { GATEWAY_CONFIG: "a.yaml" };
    expect(loadConfig({ env, readFile }).config.log.level).toBe("warn");
    expect(loadConfig({ env, file: "b.json", readFile }).config.log.level).toBe("debug");
  });

  test("an empty variable, an empty file and an empty group are as good as none", () => {
    expect(loadConfig({ env: { GATEWAY_LISTEN: "", CLERK_SECRET_KEY: " " } }).config.clerk.secretKey).toBeUndefined();
    expect(loadConfig(fromFile("")).config.log.level).toBe("info");
    expect(loadConfig(fromFile("clerk:\nrpc:\n  listen:\n")).config.rpc.listen.port).toBe(50051);
  });

  test("what a stronger source overrides is not looked at", () => {
    expect(loadConfig(fromFile("clerk: { timeoutMs: -1 }", { CLERK_TIMEOUT_MS: "4000" })).config.clerk.timeoutMs).toBe(
      4000,
    );
  });

  test.each([
    ["true", true],
    ["TRUE", true],
    ["1", true],
    ["false", false],
    ["0", false],
  ])("a boolean variable may say %s", (text, value) => {
    expect(loadConfig({ env: { GATEWAY_INSECURE: text } }).config.gateway.insecure).toBe(value);
  });

  test("the loaded configuration cannot be changed", () => {
    const { config } = loadConfig({ env: {} });
    expect(Object.isFrozen(config) && Object.isFrozen(config.clerk)).toBe(true);
  });
});

describe("problems", () => {
  test("all are reported at once, each with its place, what is wrong and what to do", () => {
    const { lines, text } = problemsOf({
      ...fromFile("clerk: { timeoutMs: ten, timoutMs: 10 }\nlogs: { level: info }", {
        GATEWAY_LISTEN: "nowhere",
        GATEWAY_VERDICT_TTL_MS: "-1",
        GATEWAY_LOG_LEVEL: "loud",
        GATEWAY_VERDICT_TTLMS: "1",
        GATEWAY_INSECURE: "maybe",
      }),
      overrides: { GATEWAY_ADMIN_LISTEN: "127.0.0.1:65536" },
      needsKey: true,
    });
    expect(lines).toEqual([
      "GATEWAY_VERDICT_TTLMS is not a setting: did you mean GATEWAY_VERDICT_TTL_MS?",
      "g.yaml: clerk.timoutMs is not a setting: did you mean clerk.timeoutMs?",
      "g.yaml: logs is not a group of settings: did you mean log?",
      "GATEWAY_INSECURE is not true or false: correct it, or leave it out for the default (false)",
      "GATEWAY_LISTEN is not host:port, [IPv6 address]:port or :port with a port from 0 to 65535: correct it, or leave it out for the default (127.0.0.1:50051)",
      "the flag for GATEWAY_ADMIN_LISTEN is not host:port, [IPv6 address]:port or :port with a port from 0 to 65535: correct it, or leave it out for the default (127.0.0.1:50052)",
      "g.yaml: clerk.timeoutMs is not a whole number from 100 to 60000 (milliseconds): correct it, or leave it out for the default (5000)",
      "GATEWAY_VERDICT_TTL_MS is not a whole number from 0 to 3600000 (milliseconds): correct it, or leave it out for the default (30000)",
      "GATEWAY_LOG_LEVEL is not one of trace, debug, info, warn, error, fatal, silent: correct it, or leave it out for the default (info)",
      "CLERK_MACHINE_SECRET_KEY and CLERK_SECRET_KEY are both missing: give at least one of them, or the path of a file that holds it in a variable of the same name with _FILE",
    ]);
    expect(text).toContain("the configuration has 10 problems:\n  GATEWAY_VERDICT_TTLMS is not a setting");
  });

  test.each([
    [
      "a key in snake_case",
      "clerk: { timeout_ms: 1000 }",
      "g.yaml: clerk.timeout_ms is not a setting: did you mean clerk.timeoutMs?",
    ],
    [
      "a key outside its group",
      "timeoutMs: 1000",
      "g.yaml: timeoutMs is not a group of settings: did you mean clerk.timeoutMs?",
    ],
    [
      "a key like no other",
      "clerk: { colour: red }",
      "g.yaml: clerk.colour is not a setting: remove it, or correct its name",
    ],
    [
      "a group that is no table",
      "clerk: 5",
      "g.yaml: clerk is not a table of settings: remove it, or correct its name",
    ],
    ["a list", "- clerk", "g.yaml is not a table of groups: begin with a group, for example rpc:"],
    [
      "a __proto__",
      '{"__proto__": {"rpc": {"listen": ":1"}}}',
      "g.yaml: a key of 9 characters is not a group of settings: remove it, or correct its name",
    ],
  ])("%s in a file is told, with what was meant", (_, text, line) => {
    expect(problemsOf(fromFile(text)).lines).toEqual([line]);
  });

  test.each([
    [
      "broken YAML",
      `clerk:\n  machineSecretKey: "${MACHINE_KEY}\n`,
      /^g\.yaml is not plain YAML or JSON at line \d+, column \d+/,
    ],
    [
      "a key given twice",
      `clerk: { secretKey: ${INSTANCE_KEY}, secretKey: ${INSTANCE_KEY} }`,
      /line 1, column \d+ \(DUPLICATE_KEY\)/,
    ],
    ["a tag", `clerk: { secretKey: !vault ${INSTANCE_KEY} }`, /TAG_RESOLVE_FAILED/],
    ["an alias that leads nowhere", `clerk: *${INSTANCE_KEY}`, /^g\.yaml (?:has aliases|is not plain)/],
    ["an alias bomb", bomb(), /^g\.yaml has aliases that lead nowhere or multiply too far/],
    [
      "a secret where a key belongs",
      `clerk: { ${INSTANCE_KEY}: 1 }`,
      /^g\.yaml: a key of \d+ characters is not a setting/,
    ],
  ])("%s in a file is told without quoting the file", (_, text, form) => {
    const { lines, text: all } = problemsOf(fromFile(text));
    expect(lines[0]).toMatch(form);
    expect(all).not.toContain("0a1B2c3D");
    expect(all).not.toContain("LCWGdaM8");
  });

  test("a file that cannot be read does not hide the other problems", () => {
    const { lines } = problemsOf({ env: { GATEWAY_LISTEN: "x" }, file: "gone.yaml", readFile: files({}) });
    expect(lines[0]).toMatch(/^gone\.yaml cannot be read \(ENOENT\): give the path/);
    expect(lines[1]).toMatch(/^GATEWAY_LISTEN is not/);
  });

  test("a flag that overrides nothing is told", () => {
    expect(problemsOf({ env: {}, overrides: { GATEWAY_LISTN: ":1" } }).lines).toEqual([
      "GATEWAY_LISTN is given as a flag but is not a setting: remove it",
    ]);
  });

  test("unknown GATEWAY_ and EMULATOR_ variables are told, others and those of Kubernetes are not", () => {
    const { lines } = problemsOf({
      env: {
        EMULATOR_LISTN: ":1",
        GATEWAY_NONSENSE_ENTIRELY: "1",
        GATEWAY_PORT: "eight",
        GATEWAY_URL: "http://127.0.0.1:1",
        GATEWAY_SERVICE_HOST: "10.0.0.1",
        GATEWAY_SERVICE_PORT_GRPC: "50051",
        GATEWAY_API_PORT: "tcp://10.0.0.1:50051",
        GATEWAY_PORT_50051_TCP_ADDR: "10.0.0.1",
        CLERK_PUBLISHABLE_KEY: "pk_test_x",
        PATH: "/bin",
      },
    });
    expect(lines).toEqual([
      "EMULATOR_LISTN is not a setting: did you mean EMULATOR_LISTEN?",
      "GATEWAY_NONSENSE_ENTIRELY is not a setting: remove it, or correct its name",
      "GATEWAY_PORT is not a setting: remove it, or correct its name",
    ]);
  });
});

describe("numbers", () => {
  test.each(["199", "60001", "1000.5", "1e3", "0x3e8", "-1000", "1_000", "NaN", "9".repeat(400)])(
    "the staleness bound is not %s",
    (text) => {
      expect(problemsOf({ env: { GATEWAY_STALENESS_BOUND_MS: text } }).lines).toHaveLength(1);
    },
  );

  test.each(["200", "60000", " 1000 "])("the staleness bound may be %s", (text) => {
    const { config } = loadConfig({ env: { GATEWAY_STALENESS_BOUND_MS: text } });
    expect(config.revocations.stalenessBoundMs).toBe(Number(text));
  });

  test("a number in quotes in a file is not a number", () => {
    expect(problemsOf(fromFile('clerk: { timeoutMs: "3000" }')).lines).toHaveLength(1);
  });
});

describe("settings that depend on each other", () => {
  test("revocations outlive every cached answer", () => {
    const env = { GATEWAY_VERDICT_TTL_MS: "3600000", CLERK_TIMEOUT_MS: "5000" };
    expect(problemsOf({ env }).lines).toEqual([
      "GATEWAY_REVOCATION_RETENTION_MS is 3600000, so a cached answer could outlive the revocation that contradicts it: give at least 3665000 (GATEWAY_VERDICT_TTL_MS + CLERK_TIMEOUT_MS + 60000)",
    ]);
    expect(problemsOf({ env: { ...env, GATEWAY_REVOCATION_RETENTION_MS: "3665000" } }).lines).toEqual([]);
  });

  test("an attempt takes no longer than the call", () => {
    expect(problemsOf({ env: { CLERK_TIMEOUT_MS: "1000", CLERK_ATTEMPT_TIMEOUT_MS: "1001" } }).lines).toEqual([
      "CLERK_ATTEMPT_TIMEOUT_MS is 1001, more than CLERK_TIMEOUT_MS, which is 1000: lower it, or raise CLERK_TIMEOUT_MS",
    ]);
  });

  test("a broken setting is not blamed a second time for what depends on it", () => {
    expect(problemsOf({ env: { CLERK_TIMEOUT_MS: "x", GATEWAY_VERDICT_TTL_MS: "3600000" } }).lines).toHaveLength(1);
  });

  test.each(["GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN", "EMULATOR_LISTEN"])(
    "%s leaves this machine only with GATEWAY_INSECURE",
    (variable) => {
      for (const address of ["0.0.0.0:1", ":1", "[::]:1", "10.1.2.3:1", "example.test:1", "[::ffff:10.0.0.1]:1"]) {
        const [line] = problemsOf({ env: { [variable]: address } }).lines;
        expect(line, address).toContain("neither TLS nor caller authentication");
        expect(line).toContain("GATEWAY_INSECURE=true");
        expect(problemsOf({ env: { [variable]: address, GATEWAY_INSECURE: "true" } }).lines).toEqual([]);
      }
      for (const address of ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:0"]) {
        expect(problemsOf({ env: { [variable]: address } }).lines, address).toEqual([]);
      }
    },
  );

  test("the two ports of the gateway are not one", () => {
    const env = { GATEWAY_LISTEN: "127.0.0.1:7", GATEWAY_INSECURE: "true" };
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: "127.0.0.1:7" } }).lines).toHaveLength(1);
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: ":7" } }).lines).toHaveLength(1);
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: "127.0.0.2:7" } }).lines).toEqual([]);
    expect(
      problemsOf({ env: { GATEWAY_LISTEN: ":0", GATEWAY_ADMIN_LISTEN: ":0", GATEWAY_INSECURE: "1" } }).lines,
    ).toEqual([]);
  });
});

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

function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 8; i += 1)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(", ")}]`,
    );
  return lines.join("\n");
}
