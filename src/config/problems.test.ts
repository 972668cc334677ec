import { describe, expect, test } from "vitest";
import { files, fromFile, INSTANCE_KEY, MACHINE_KEY, problemsOf } from "../../test/support/config-cases.ts";
import { loadConfig } from "../config.ts";

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
      "GATEWAY_LISTEN is not host:port, [IPv6 address]:port or :port with a port from 0 to 65535, nor unix: and an absolute path of at most 103 bytes: correct it, or leave it out for the default (127.0.0.1:50051)",
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
        CLERK_FAPI: "x",
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
