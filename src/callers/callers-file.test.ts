import { describe, expect, it } from "vitest";
import { createCallerKey, fingerprintOf } from "./caller-key.ts";
import { CallersFileError, parseCallersFile } from "./callers-file.ts";

const HASH = `sha256:${"0a".repeat(32)}`;
const entry = (more: object = {}) => ({ name: "orders", roles: ["verify"], keys: [HASH], ...more });
const fileOf = (...callers: object[]) => JSON.stringify({ callers });

function faultOf(text: string): string {
  try {
    parseCallersFile(text);
  } catch (error) {
    expect(error).toBeInstanceOf(CallersFileError);
    return (error as Error).message;
  }
  throw new Error("the file was taken");
}

describe("a callers' file", () => {
  it("is YAML", () => {
    const text = `
callers:
  - name: orders
    roles: [verify, watch]
    keys: ["${HASH}"]
    uris: [spiffe://example.org/ns/prod/sa/orders]
    dnsNames: [orders.internal]
    subjects: [mch_${"a".repeat(27)}]
    limits: { requestsPerSecond: 0.5, burst: 2, concurrency: 3 }
`;
    expect(parseCallersFile(text)).toEqual([
      {
        name: "orders",
        roles: ["verify", "watch"],
        keys: [HASH],
        uris: ["spiffe://example.org/ns/prod/sa/orders"],
        dnsNames: ["orders.internal"],
        subjects: [`mch_${"a".repeat(27)}`],
        limits: { requestsPerSecond: 0.5, burst: 2, concurrency: 3 },
      },
    ]);
  });

  it("is JSON, and needs no more than a name, a role and something to be known by", () => {
    expect(parseCallersFile(fileOf(entry()))).toEqual([
      { name: "orders", roles: ["verify"], keys: [HASH], uris: [], dnsNames: [], limits: {} },
    ]);
    expect(parseCallersFile("callers: []")).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    ["an empty file", "", /must hold a list named callers/],
    ["another list", '{"caller":[]}', /must hold a list named callers/],
    ["a text that is neither", "callers: [", /is not plain YAML or JSON at line 1/],
    ["aliases without end", "a: &a [1]\ncallers: *b", /is not plain YAML|aliases/],
    ["a caller without roles", fileOf(entry({ roles: [] })), /callers\[0\]\.roles is not a list of verify, mint/],
    ["an unknown role", fileOf(entry({ roles: ["root"] })), /callers\[0\]\.roles/],
    ["the name of those without", fileOf(entry({ name: "unnamed" })), /callers\[0\]\.name/],
    ["a name with blanks", fileOf(entry({ name: "a b" })), /callers\[0\]\.name/],
    [
      "a key that nobody knows",
      fileOf(entry({ role: "verify" })),
      /callers\[0\] has a key that is none of name, roles/,
    ],
    ["no subjects, which is not all of them", fileOf(entry({ subjects: [] })), /callers\[0\]\.subjects/],
    ["a wildcard", fileOf(entry({ dnsNames: ["*.example"] })), /callers\[0\]\.dnsNames/],
    ["a limit of nothing", fileOf(entry({ limits: { requestsPerSecond: 0 } })), /callers\[0\]\.limits/],
    ["nothing to be known by", fileOf(entry({ keys: [] })), /callers\[0\] has neither keys nor uris nor dnsNames/],
    ["a name twice", fileOf(entry(), entry({ keys: [], uris: ["spiffe://a/b"] })), /callers\[1\] has a name, key/],
    [
      "a key twice",
      fileOf(entry(), entry({ name: "b" })),
      /callers\[1\] has a name, key, URI or DNS name of callers\[0\]/,
    ],
    ["a DNS name twice", fileOf(entry({ dnsNames: ["a"] }), { name: "b", roles: ["mint"], dnsNames: ["A"] }), /\[1\]/],
    ["too much", `callers: []${" ".repeat(4_194_304)}`, /is longer than/],
  ])("is refused with %s", (_what, text, fault) => {
    expect(faultOf(text)).toMatch(fault);
  });

  it("is not quoted when it holds a key where its hash should be", () => {
    const key = createCallerKey();
    for (const text of [
      fileOf(entry({ keys: [key] })),
      fileOf(entry({ [key]: 1 })),
      fileOf(entry({ name: key.repeat(3) })),
      `${key}: [`,
      JSON.stringify({ [key]: 1 }),
    ]) {
      expect(faultOf(text)).not.toContain(key.slice(0, 12));
    }
    expect(fingerprintOf(key)).not.toContain(key);
  });
});
