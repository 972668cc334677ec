import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
import { GatewayError } from "./token/errors.ts";

const ID = "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e";
const SECRETS = {
  token: "mt_8XOIucKvqHVr5tYP123456789abcdefghij",
  machineKey: "ak_LCWGdaM8mv8K4PC/57IICZQXAeWfCgF30DZaFXHoGn9=",
  instanceKey: "sk_live_0a1B2c3D4e5F6g7H8i9J",
  jwt: "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtY2hfMTIzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
};

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const log = createLogger({
    level: "trace",
    format: "json",
    stream: { write: (line) => lines.push(line) },
    ...options,
  });
  return { log, lines, text: () => lines.join(""), last: () => JSON.parse(lines.at(-1) ?? "") };
}

describe("a log line", () => {
  test("is one JSON object with time, level, message and fields", () => {
    const { log, lines, last } = capture({ fields: { replica: "r1" } });
    log.info({ port: 1, nested: { list: [1, "two", null] } }, "listening %s", "now");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith("\n")).toBe(true);
    expect(last()).toMatchObject({ level: "info", replica: "r1", port: 1, msg: "listening now" });
    expect(last()).toMatchObject({ nested: { list: [1, "two", null] } });
    expect(last().time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("below the level is not written", () => {
    const { log, lines } = capture({ level: "warn" });
    log.info("no");
    log.warn("yes");
    expect(lines).toHaveLength(1);
    const silent = capture({ level: "silent" });
    silent.log.fatal("no");
    expect(silent.lines).toEqual([]);
  });

  test("names a token by its id", () => {
    const { log, last } = capture();
    log.info({ tokenId: ID, path: `/m2m_tokens/${ID}/revoke` }, `revoked ${ID}`);
    expect(last()).toMatchObject({ tokenId: ID, path: `/m2m_tokens/${ID}/revoke`, msg: `revoked ${ID}` });
  });
});

const places: [string, (log: Logger, secret: string) => void][] = [
  ["the message", (log, s) => log.info(`got ${s}`)],
  ["a template string without a blank", (log, s) => log.info(`value=${s}x`)],
  ["an argument of the message", (log, s) => log.info("got %s and %j and %o", s, { s }, [s])],
  ["a field", (log, s) => log.info({ value: s })],
  ["the name of a field", (log, s) => log.info({ [s]: 1 })],
  ["a nested field", (log, s) => log.info({ a: { b: { c: { d: { e: { f: { g: s } } } } } } })],
  ["an array", (log, s) => log.info({ list: ["x", [s, [s]]] })],
  ["a child's field", (log, s) => log.child({ value: s }).info("x")],
  ["a field that serialises itself", (log, s) => log.info({ value: { toJSON: () => s } })],
  ["a field of a class", (log, s) => log.info({ value: new URL(`https://clerk.test/?t=${s}`) })],
  ["JSON in text", (log, s) => log.info({ body: JSON.stringify({ token: s }) })],
  ["JSON in JSON in text", (log, s) => log.info({ body: JSON.stringify(JSON.stringify({ x: [s] })) })],
  ["JSON that escapes what it need not", (log, s) => log.info({ body: escaped(JSON.stringify({ x: s })) })],
  ["text after a line break", (log, s) => log.info({ body: `a\n${s}\nb\t${s}` })],
  ["JSON with a line break before it", (log, s) => log.info({ body: JSON.stringify(`a\n${s}`) })],
  ["a bearer header", (log, s) => log.info({ headers: { authorization: `Bearer ${s}` } })],
  ["raw headers", (log, s) => log.info({ rawHeaders: ["Authorization", `Bearer ${s}`] })],
  ["a query", (log, s) => log.info(`GET /?token=${encodeURIComponent(s)}&x=1`)],
  ["what inspect prints", (log, s) => log.info(inspect({ a: new Map([["k", s]]) }))],
  ["a buffer", (log, s) => log.info({ chunk: Buffer.from(s), bytes: new TextEncoder().encode(s) })],
  ["an error's message", (log, s) => log.error(new Error(`bad ${s}`))],
  ["an error's message, with a message", (log, s) => log.error({ err: new Error(`bad ${s}`) }, "failed")],
  ["an error under another name", (log, s) => log.error({ failure: new Error(`bad ${s}`) })],
  ["an error in a field", (log, s) => log.error({ a: { b: [new GatewayError("INTERNAL", `bad ${s}`)] } })],
  ["a cause", (log, s) => log.error(new Error("x", { cause: new Error("y", { cause: new Error(s) }) }))],
  ["a cause that is no error", (log, s) => log.error(new Error("x", { cause: s }))],
  ["a cause that is an object", (log, s) => log.error(new Error("x", { cause: { body: s } }))],
  ["gathered errors", (log, s) => log.error(new AggregateError([new Error(s), s], s))],
  [
    "an error's other properties",
    (log, s) => log.error(Object.assign(new Error("x"), { body: s, code: s, reason: s })),
  ],
  [
    "an error's name and stack",
    (log, s) => log.error(Object.assign(new Error("x"), { name: s, stack: `Error\n  at ${s}` })),
  ],
  ["the facts of an error of ours", (log, s) => log.error(new GatewayError("INTERNAL", "x", { upstreamCode: s }, s))],
  ["a very long line", (log, s) => log.info({ long: `${"x".repeat(300_000)} ${s} ${"\\".repeat(300_000)}${s}` })],
];

describe.each(["json", "pretty"] as const)("no credential leaves in %s, be it in", (format) => {
  test.each(places)("%s", (_, write) => {
    for (const secret of Object.values(SECRETS)) {
      const { log, lines, text } = capture({ format });
      write(log, secret);
      expect(lines).toHaveLength(1);
      for (const part of fragments(secret)) expect(text()).not.toContain(part);
      if (format === "json") expect(() => JSON.parse(text())).not.toThrow();
      const bytes = Buffer.from(secret).toJSON().data.slice(4, 12);
      expect(text()).not.toContain(bytes.join(","));
    }
  });
});

test("fields that are credentials by name are not shown whatever they hold", () => {
  const { log, text } = capture();
  log.info({
    token: "hunter2",
    deep: { Authorization: "Basic hunter2", "set-cookie": ["a=hunter2"], secret_key: "hunter2" },
  });
  expect(text()).not.toContain("hunter2");
  expect(text()).toContain('"token":"[redacted]"');
});

describe("an error", () => {
  test("is logged by name, message, reason and chain of causes, without a stack when it is ours", () => {
    const { log, last } = capture();
    const socket = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const error = new GatewayError(
      "UPSTREAM_UNAVAILABLE",
      "cannot reach it",
      {},
      new TypeError("fetch failed", { cause: socket }),
    );
    log.warn({ err: error }, "verify failed");
    expect(last()).toMatchObject({
      msg: "verify failed",
      err: {
        name: "GatewayError",
        reason: "UPSTREAM_UNAVAILABLE",
        message: "cannot reach it",
        cause: { name: "TypeError", message: "fetch failed", cause: { code: "ECONNREFUSED" } },
      },
    });
    expect(last().err.stack).toBeUndefined();
    expect(last().err.cause.stack[0]).toMatch(/^at .*logger\.test\.ts/);
  });

  test("that causes itself ends", () => {
    const { log, text } = capture();
    const error = new Error("round");
    error.cause = error;
    log.error(error);
    expect(text()).toContain("[further causes]");
  });

  test("in a field that cannot be serialised does not lose the line", () => {
    const { log, last } = capture();
    const loop: Record<string, unknown> = { a: 1 };
    loop.self = loop;
    log.info({ loop, deep: nested(200) }, "kept");
    expect(last().msg).toBe("kept");
  });
});

describe("pretty", () => {
  test("is a line for people", () => {
    const { log, lines } = capture({ format: "pretty" });
    log.info({ rpc: "127.0.0.1:50051", note: "two words", n: 3, list: [1] }, "listening");
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d info {2}listening rpc=127\.0\.0\.1:50051 note="two words" n=3 list=\[1\]\n$/,
    );
  });

  test("has the error and its causes below the line", () => {
    const { log, lines } = capture({ format: "pretty" });
    log.error({ err: new GatewayError("UPSTREAM_TIMEOUT", "no answer", {}, "late") }, "failed");
    expect(lines[0]?.split("\n").slice(1)).toEqual([
      "  GatewayError UPSTREAM_TIMEOUT: no answer",
      "  caused by late",
      "",
    ]);
  });

  test("does not let what it logs forge lines or steer the terminal", () => {
    const { log, lines } = capture({ format: "pretty" });
    log.info({ a: "x\n00:00:00 info forged", "k\n": "\u009b2J", b: "\u202e" }, "m\r\n\u001b[2J");
    expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1);
    expect(lines[0]?.trimEnd()).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  });

  test("has colours only when asked for", () => {
    const { log, text } = capture({ format: "pretty", color: true });
    log.warn("x");
    expect(text()).toContain("\u001b[33mwarn \u001b[0m");
  });
});

function escaped(json: string): string {
  return json.replaceAll("/", "\\/").replaceAll("=", "\\u003D").replaceAll("_", "\\u005f").replaceAll("-", "\\u002d");
}

/** Every run of ten characters of the secret, its public prefix left out. */
function fragments(secret: string): string[] {
  const body = secret.replace(/^(?:mt|ak|sk_live)_/, "");
  return Array.from({ length: body.length - 9 }, (_, at) => body.slice(at, at + 10));
}

function nested(depth: number): unknown {
  return depth === 0 ? SECRETS.token : { a: nested(depth - 1) };
}
