import { describe, expect, it } from "vitest";
import { INSTANCE_KEY, problemsOf } from "../../test/support/config-cases.ts";

const MACHINE = `mch_${"a".repeat(27)}`;
const PEM = "-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----";
const ISSUER = "https://clerk.example.test";

const linesFor = (env: Record<string, string>) =>
  problemsOf({ env: { CLERK_SECRET_KEY: INSTANCE_KEY, ...env } }).lines.map((line) => line.replace(/: .*/, ""));

const needsMachine = (name: string) => [`${name} is given, but not the machine that JWTs must be granted to`];
const UNENCRYPTED = ["CLERK_JWT_ISSUER would fetch keys unencrypted from another machine"];

describe("what the settings of JWTs say together", () => {
  it.each<[string, Record<string, string>, string[]]>([
    ["nothing", {}, []],
    ["a machine alone", { CLERK_MACHINE_ID: MACHINE }, []],
    ["a key without a machine", { CLERK_JWT_KEY: PEM }, needsMachine("CLERK_JWT_KEY")],
    ["a key with a machine", { CLERK_JWT_KEY: PEM, CLERK_MACHINE_ID: MACHINE }, []],
    ["a key where any grant will do", { CLERK_JWT_KEY: PEM, GATEWAY_JWT_GRANT: "any" }, []],
    [
      "a key where a stated grant must name the machine",
      { CLERK_JWT_KEY: PEM, GATEWAY_JWT_GRANT: "if_stated" },
      needsMachine("CLERK_JWT_KEY"),
    ],
    ["an issuer without a machine", { CLERK_JWT_ISSUER: ISSUER }, needsMachine("CLERK_JWT_ISSUER")],
    ["an issuer with a machine", { CLERK_JWT_ISSUER: ISSUER, CLERK_MACHINE_ID: MACHINE }, []],
    ["an issuer where any grant will do", { CLERK_JWT_ISSUER: ISSUER, GATEWAY_JWT_GRANT: "any" }, []],
    [
      "both without a machine",
      { CLERK_JWT_KEY: PEM, CLERK_JWT_ISSUER: ISSUER },
      [...needsMachine("CLERK_JWT_KEY"), ...needsMachine("CLERK_JWT_ISSUER")],
    ],
    [
      "an issuer in clear text elsewhere",
      { CLERK_JWT_ISSUER: "http://clerk.example.test", CLERK_MACHINE_ID: MACHINE },
      UNENCRYPTED,
    ],
    [
      "an issuer in clear text elsewhere, on a safe network",
      { CLERK_JWT_ISSUER: "http://clerk.example.test", CLERK_MACHINE_ID: MACHINE, GATEWAY_INSECURE: "true" },
      [],
    ],
    ["an issuer in clear text here", { CLERK_JWT_ISSUER: "http://127.0.0.1:80", CLERK_MACHINE_ID: MACHINE }, []],
    ["the same by IPv6", { CLERK_JWT_ISSUER: "http://[::1]:80", CLERK_MACHINE_ID: MACHINE }, []],
    ["the same by name", { CLERK_JWT_ISSUER: "http://localhost:80", CLERK_MACHINE_ID: MACHINE }, []],
    [
      "an issuer at a name that begins like this machine's",
      { CLERK_JWT_ISSUER: "http://127.0.0.1.example.test", CLERK_MACHINE_ID: MACHINE },
      UNENCRYPTED,
    ],
    [
      "keys that are dropped before they are fetched anew",
      { GATEWAY_JWKS_MAX_AGE_MS: "299999" },
      ["GATEWAY_JWKS_MAX_AGE_MS is 299999, less than GATEWAY_JWKS_REFRESH_MS, which is 300000"],
    ],
    ["keys that are dropped as they are fetched anew", { GATEWAY_JWKS_MAX_AGE_MS: "300000" }, []],
  ])("%s", (_what, env, lines) => {
    expect(linesFor(env)).toEqual(lines);
  });

  it("does not repeat the key", () => {
    expect(problemsOf({ env: { CLERK_JWT_KEY: PEM } }).text).not.toContain("AAAA");
  });
});
