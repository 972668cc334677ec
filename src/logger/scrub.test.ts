import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scrub } from "./scrub.ts";

const ID = "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e";
const JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtY2hfMTIzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

describe("scrub removes", () => {
  test.each([
    ["a token's secret", "mt_8XOIucKvqHVr5tYP123456789abcdefghij"],
    ["a secret as long as an id", "mt_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"],
    ["a secret that begins like an id", `${ID}0`],
    ["a secret that is an id and more", `${ID}_tail`],
    ["a short secret", "mt_secret"],
    ["a machine key in base64", "ak_LCWGdaM8mv8K4PC/57IICZQXAeWfCgF30DZaFXHoGn9="],
    ["a live key", "sk_live_0a1B2c3D4e5F"],
    ["a test key", "sk_test_0a1B2c3D4e5F"],
    ["a JWT", JWT],
    ["a JWT without a signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtY2hfMTIzIn0."],
    ["a JWT cut off", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtY2h"],
    ["a JWT whose header begins with a line break", "ewogICJhbGciOiJSUzI1NiJ9.ewogICJzdWIiOiIxIn0.c2lnbmF0"],
    ["three long parts of anything", "0123456789abcdefghijKL.0123456789abcdefghijKL.0123456789abcdefghijKL"],
  ])("%s wherever it stands", (_, secret) => {
    const places = [
      (s: string) => s,
      (s: string) => `before ${s} after`,
      (s: string) => `(${s})`,
      (s: string) => `token=${s};x`,
      (s: string) => `/verify?token=${s}&x=1`,
      (s: string) => `/verify?token=${encodeURIComponent(s)}`,
      (s: string) => JSON.stringify({ token: s }),
      (s: string) => JSON.stringify(JSON.stringify({ token: s })),
      (s: string) => JSON.stringify(`line\n${s}\tx`),
      (s: string) => JSON.stringify(JSON.stringify(`line\n${s}`)),
      (s: string) => JSON.stringify(`"${s}"`).replaceAll("/", "\\/").replaceAll("=", "\\u003d"),
      (s: string) => JSON.stringify({ s }).replaceAll("_", "\\u005F").replaceAll("-", "\\u002d"),
      (s: string) => `\u001b[31m${s}\u001b[0m`,
      (s: string) => `é${s}é`,
      (s: string) => `${s} ${s}`,
    ];
    for (const place of places) {
      const text = place(secret);
      expectGone(scrub(text), secret, text);
    }
  });

  test("keys that a template glued to a word", () => {
    for (const key of ["ak_LCWGdaM8mv8K4PC57IICZQXAeWf", "sk_test_0a1B2c3D4e5F6g7H", "mt_8XOIucKvqHVr5tYP123"]) {
      expect(scrub(`key${key}`)).toBe("key[redacted]");
    }
    expectGone(scrub(`token${JWT}`), JWT, "glued");
  });

  test.each([
    ["Bearer abc", "Bearer [redacted]"],
    ["authorization: bearer   hunter2-hunter2==, next", "authorization: bearer [redacted], next"],
    ["Bearer%20abc&x", "Bearer [redacted]&x"],
    ['"Bearer\\thunter2"', '"Bearer [redacted]"'],
    ["Bearer mt_a Bearer sk_test_b", "Bearer [redacted] Bearer [redacted]"],
  ])("bearer credentials of any form: %s", (text, scrubbed) => {
    expect(scrub(text)).toBe(scrubbed);
  });

  test("the user part of a URL", () => {
    expect(scrub("connect redis://default:hunter2@redis:6379/0")).toBe("connect redis://[redacted]@redis:6379/0");
    expect(scrub("https://hunter2@clerk.test/a@b")).toBe("https://[redacted]@clerk.test/a@b");
  });
});

describe("scrub keeps", () => {
  test.each([
    ID,
    ID.toUpperCase().replace("MT_", "mt_"),
    `token ${ID} of mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk.`,
    `POST /v1/m2m_tokens/${ID}/revoke`,
    `["${ID}","${ID}"]`,
    `{\\"id\\":\\"${ID}\\"}`,
    `line\\n${ID}\\nline`,
    "mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk ins_2GIoQhbUpy0hX7B2cVkuTMinXoD",
    "m2m_gateway_verify_total",
    "leak_detection, task_id, peak_rss, break_even, fmt_name, risk_score",
    "https://api.clerk.com/v1/m2m_tokens?limit=10",
    "prometheus.monitoring.svc.cluster.local:9090",
    "ip-10-0-0-1.us-west-2.compute.internal",
    "framework.production.example",
    "src/token/verifier.test.ts:12:34 node:internal/process/task_queues",
    "2026-11-23T12:00:01.000Z 127.0.0.1:50051 [::1]:50051 1.2.3",
    "set (ak_…), set (sk_test_…)",
    "C:\\users\\new \\u0022quoted\\u0022 \\\\",
    "0123456789abcdef0123456789abcdef",
    "",
  ])("%s", (text) => {
    expect(scrub(text)).toBe(text);
  });
});

describe("scrub is linear", () => {
  test.each([
    "a",
    "\\",
    "\\u005",
    ".",
    "a.",
    "eyJ",
    "eyJaaaaaaaa.",
    "mt_",
    "ak_a",
    "xak_",
    "task_",
    "bearer",
    "bearer ",
    "bearer\\",
    "://",
    "://a",
    "%2",
    " ",
    "-",
    '"',
    "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e",
  ])("on a megabyte of %j", (part) => {
    const text = part.repeat(Math.ceil(1_000_000 / part.length));
    expect(scrub(text).length).toBeGreaterThan(0);
    expectGone(scrub(`${text} ak_LCWGdaM8mv8K4PC`), "ak_LCWGdaM8mv8K4PC", part);
  });
});

test("scrubbing what is scrubbed changes nothing", () => {
  const pieces = fc.constantFrom(
    "ak_a1",
    ID,
    JWT,
    "Bearer x",
    "\\",
    "\\n",
    '"',
    "\\u002f",
    "/",
    " ",
    "é",
    "mt_",
    "a",
    ".",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (list) => {
      const once = scrub(list.join(""));
      expect(scrub(once)).toBe(once);
    }),
  );
});

/** Nothing of the secret is left but its public prefix: no eight characters in a row. */
function expectGone(scrubbed: string, secret: string, context: string): void {
  const body = secret.replace(/^(?:mt|ak|sk_live|sk_test)_/, "");
  const length = Math.min(8, body.length);
  for (let at = 0; at + length <= body.length; at += 1) {
    expect(scrubbed.includes(body.slice(at, at + length)), `${context} → ${scrubbed.slice(-300)}`).toBe(false);
  }
}
