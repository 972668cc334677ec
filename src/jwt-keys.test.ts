import { describe, expect, it } from "vitest";
import { INSTANCE_KEY, MACHINE_KEY } from "../test/support/config-cases.ts";
import { FakeClock, settle } from "../test/support/fake-clock.ts";
import { makeIssuerKey } from "../test/support/jwts.ts";
import { BILLING } from "../test/support/tokens.ts";
import { ConfigError } from "./config/problem.ts";
import { loadConfig } from "./config.ts";
import { openJwtKeys } from "./jwt-keys.ts";
import { createLogger } from "./logger.ts";

const KEY = makeIssuerKey();
const ISSUER = "https://clerk.example.test";
const publishable = (text: string) => `pk_test_${Buffer.from(text).toString("base64")}`;

function open(env: Record<string, string>) {
  const { config } = loadConfig({ env: { CLERK_MACHINE_SECRET_KEY: MACHINE_KEY, ...env } });
  const clock = new FakeClock();
  const asked = { fetches: 0 };
  const instanceKeys = {
    async fetchKeys() {
      asked.fetches += 1;
      return [KEY.jwk];
    },
  };
  const log = createLogger({ ...config.log, level: "silent" });
  return { keys: openJwtKeys(config, log, clock, instanceKeys), clock, asked };
}

describe("where the keys of JWTs come from", () => {
  it.each<[string, Record<string, string>]>([
    ["the machine that JWTs must be granted to is not known", { CLERK_SECRET_KEY: INSTANCE_KEY }],
    ["no source of keys is known", { CLERK_MACHINE_ID: BILLING }],
    ["no source of keys is known, and none is asked for a grant", { GATEWAY_JWT_GRANT: "any" }],
  ])("is nowhere when %s", (_what, env) => {
    expect(open(env).keys).toBeUndefined();
  });

  it("is the key that is given, however its lines are broken, before all others", async () => {
    for (const pem of [KEY.pem, KEY.pem.replaceAll("\n", "\\n")]) {
      const { keys, asked } = open({
        CLERK_MACHINE_ID: BILLING,
        CLERK_JWT_KEY: pem,
        CLERK_SECRET_KEY: INSTANCE_KEY,
        CLERK_JWT_ISSUER: ISSUER,
      });
      keys?.start();
      await settle();
      const found = keys?.keys.find("whatever", 0);
      expect(typeof found === "object" && found.equals(KEY.publicKey)).toBe(true);
      expect(asked.fetches).toBe(0);
      await keys?.close();
    }
  });

  it("is the instance's key set where its key is known, fetched anew when that key has changed", async () => {
    const { keys, clock, asked } = open({ CLERK_MACHINE_ID: BILLING, CLERK_SECRET_KEY: INSTANCE_KEY });
    keys?.start();
    await settle();
    expect(keys?.keys.find(KEY.keyId, clock.monotonicMs())).toMatchObject({ type: "public" });
    keys?.renew();
    await settle();
    expect(asked.fetches).toBe(2);
    await keys?.close();
  });

  it("is the issuer's published set otherwise: the instance's is not asked for", async () => {
    // Nothing listens there.
    const { keys, clock, asked } = open({ CLERK_MACHINE_ID: BILLING, CLERK_JWT_ISSUER: "http://127.0.0.1:1" });
    const reached = await keys?.keys.reach(KEY.keyId, new AbortController().signal);
    expect(reached).toBe(false);
    expect(keys?.keys.find(KEY.keyId, clock.monotonicMs())).toBeUndefined();
    expect(asked.fetches).toBe(0);
    await keys?.close();
  });
});

describe("the issuer", () => {
  const withKey = { CLERK_MACHINE_ID: BILLING, CLERK_JWT_KEY: KEY.pem };

  it.each<[string, Record<string, string>, string | undefined]>([
    ["is the one that is configured", { CLERK_JWT_ISSUER: ISSUER }, ISSUER],
    [
      "is the host that the publishable key names",
      { CLERK_PUBLISHABLE_KEY: publishable("clerk.example.test$") },
      ISSUER,
    ],
    [
      "is that of a live key, without padding too",
      { CLERK_PUBLISHABLE_KEY: publishable("clerk.example.test$").replace("test_", "live_").replace(/=+$/, "") },
      ISSUER,
    ],
    [
      "is the configured one where both are given",
      { CLERK_JWT_ISSUER: ISSUER, CLERK_PUBLISHABLE_KEY: publishable("other.example.test$") },
      ISSUER,
    ],
    ["is any where neither is given", {}, undefined],
  ])("%s", (_what, env, issuer) => {
    expect(open({ ...withKey, ...env }).keys?.rules.issuer).toBe(issuer);
  });

  it.each([
    ["no dollar sign", "clerk.example.test"],
    ["two dollar signs", "clerk.example.test$$"],
    ["a path", "clerk.example.test/keys$"],
    ["a port", "clerk.example.test:8443$"],
    ["a user", "user@clerk.example.test$"],
    ["a line break", "clerk.example\n.test$"],
    ["a letter that looks like another", "clеrk.example.test$"],
    ["capital letters", "CLERK.example.test$"],
    ["nothing", "$"],
    ["a host longer than any", `${"a".repeat(254)}$`],
  ])("is not taken from a publishable key with %s", (_what, text) => {
    const env = { ...withKey, CLERK_PUBLISHABLE_KEY: publishable(text) };
    expect(() => open(env)).toThrow(ConfigError);
    expect(() => open(env)).toThrow(/CLERK_PUBLISHABLE_KEY names no host/);
  });
});

describe("the key that is given", () => {
  it.each([
    ["a private key", KEY.privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
    ["no PEM", "AAAA"],
    ["cut short", KEY.pem.slice(0, 200)],
  ])("is refused by name, and not repeated, when it is %s", (_what, pem) => {
    const env = { CLERK_MACHINE_ID: BILLING, CLERK_JWT_KEY: pem };
    const told = () => {
      try {
        return String(open(env).keys);
      } catch (error) {
        return error instanceof ConfigError ? JSON.stringify(error.problems) : `no ConfigError: ${error}`;
      }
    };
    expect(told()).toContain("CLERK_JWT_KEY");
    expect(told()).not.toContain(pem.slice(30, 60).trim() || pem);
  });
});
