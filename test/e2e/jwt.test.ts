import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { RevocationKind } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { Enforcement, JwtCheck, Source, TokenFormat, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { makeAuthority } from "../support/certificates.ts";
import {
  type GatewayFixture,
  type RunningGateway,
  startGatewayFixture,
  until,
  Watcher,
} from "../support/gateway-fixture.ts";
import { goodClaims, makeIssuerKey, mint } from "../support/jwts.ts";
import { BILLING, REPORTS } from "../support/tokens.ts";
import { MountedFiles } from "../tls/live-files.ts";

const SIGNING_KEY = makeIssuerKey();
const EMULATOR = {
  seed: {
    // Given, because making one takes seconds on a busy machine.
    instance: {
      id: `ins_${"e".repeat(27)}`,
      signing_key: SIGNING_KEY.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
    machines: [
      { name: "billing", id: BILLING, scoped_machines: ["billing", "reports"] },
      { name: "reports", id: REPORTS, scoped_machines: ["reports"] },
    ],
  },
};

function start(env: Record<string, string> = {}, keys: "both" | "machine" = "both") {
  return startGatewayFixture({ emulator: EMULATOR, keys, env: { CLERK_MACHINE_ID: BILLING, ...env } });
}

async function mintJwt({ tokens }: GatewayFixture) {
  const { token, secret } = await tokens.createToken({ format: TokenFormat.JWT });
  return { id: token?.id ?? "", secret };
}

function publishableKeyOf(host: string): string {
  return `pk_test_${Buffer.from(`${host}$`).toString("base64")}`;
}

function keyFetches({ emulator }: GatewayFixture): number {
  return emulator.control.requests.total("jwks.get") + emulator.control.requests.total("jwks.public");
}

describe("a JWT that Clerk mints", () => {
  it("is decided here, without a request for it, and answered in the shape of an opaque token", async () => {
    await using fixture = await start();
    const { id, secret } = await mintJwt(fixture);
    const response = await fixture.tokens.verifyToken({ token: secret });
    expect(response).toMatchObject({
      verdict: Verdict.VALID,
      source: Source.LOCAL,
      failedCheck: JwtCheck.UNSPECIFIED,
      token: { id, subject: BILLING, format: TokenFormat.JWT, scopes: [BILLING, REPORTS], revoked: false },
    });
    expect(response.token?.expireTime).toBeDefined();
    expect(response.observedTime).toBeUndefined();
    expect(fixture.verifyRequests()).toBe(0);
    expect(keyFetches(fixture)).toBe(1);
  });

  it("says which check it failed", async () => {
    await using fixture = await start({ CLERK_MACHINE_ID: `mch_stranger${"0".repeat(19)}` });
    const { secret } = await mintJwt(fixture);
    const verify = async (token: string) => {
      const { verdict, failedCheck } = await fixture.tokens.verifyToken({ token });
      return [verdict, failedCheck];
    };
    expect(await verify(secret)).toEqual([Verdict.NOT_GRANTED, JwtCheck.GRANT]);
    expect(await verify(`${secret.slice(0, -8)}AAAAAAAA`)).toEqual([Verdict.INVALID, JwtCheck.SIGNATURE]);
    expect(await verify("eyJ9.e30.AA")).toEqual([Verdict.INVALID, JwtCheck.FORM]);
    expect(await verify("nothing")).toEqual([Verdict.INVALID, JwtCheck.UNSPECIFIED]);
  });

  it("is decided with the issuer's published keys where there is no instance key", async () => {
    await using other = await start();
    await using fixture = await start({ CLERK_JWT_ISSUER: other.emulator.url }, "machine");
    const { secret } = await mintJwt(other);
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.VALID });
    expect(other.emulator.control.requests.total("jwks.public")).toBe(1);
    const foreign = await mintJwt(fixture);
    expect(await fixture.tokens.verifyToken({ token: foreign.secret })).toMatchObject({
      verdict: Verdict.INVALID,
      failedCheck: JwtCheck.ISSUER,
    });
  });

  it("is decided with the key that is given, of the issuer that the publishable key names, and nothing is fetched", async () => {
    const { seed } = EMULATOR;
    const issuer = "https://clerk.example.test";
    await using fixture = await startGatewayFixture({
      emulator: { seed: { ...seed, instance: { ...seed.instance, issuer } } },
      keys: "machine",
      env: {
        CLERK_MACHINE_ID: BILLING,
        CLERK_JWT_KEY: SIGNING_KEY.pem.replaceAll("\n", "\\n"),
        CLERK_PUBLISHABLE_KEY: publishableKeyOf("clerk.example.test"),
      },
    });
    const { id, secret } = await mintJwt(fixture);
    const verify = async (token: string, { tokens }: RunningGateway = fixture) => {
      const { verdict, source, failedCheck } = await tokens.verifyToken({ token });
      return [verdict, source, failedCheck];
    };
    const good = [Verdict.VALID, Source.LOCAL, JwtCheck.UNSPECIFIED];
    expect(await verify(secret)).toEqual(good);
    expect(await verify(secret)).toEqual(good);

    // Whatever id it names for the key, and whoever minted it.
    const nowS = Math.floor(Date.now() / 1000);
    const times = { iat: nowS, nbf: nowS - 10, exp: nowS + 60 };
    const claims = goodClaims(1, { ...times, iss: issuer, aud: [BILLING] });
    expect(await verify(await mint(SIGNING_KEY, claims, { kid: "another" }))).toEqual(good);
    const forged = await mint(makeIssuerKey(), claims);
    expect(await verify(forged)).toEqual([Verdict.INVALID, Source.LOCAL, JwtCheck.SIGNATURE]);
    const foreign = await mint(SIGNING_KEY, { ...claims, iss: "https://clerk.elsewhere.test" });
    expect(await verify(foreign)).toEqual([Verdict.INVALID, Source.LOCAL, JwtCheck.ISSUER]);
    const other = await fixture.startAnother({ CLERK_PUBLISHABLE_KEY: publishableKeyOf("clerk.elsewhere.test") });
    expect(await verify(secret, other)).toEqual([Verdict.INVALID, Source.LOCAL, JwtCheck.ISSUER]);
    expect(await verify(foreign, other)).toEqual(good);

    await fixture.tokens.revokeToken({ target: { case: "tokenId", value: id }, format: TokenFormat.JWT });
    expect(await verify(secret)).toEqual([Verdict.REVOKED, Source.FACT, JwtCheck.UNSPECIFIED]);
    expect(keyFetches(fixture)).toBe(0);
    expect(fixture.verifyRequests()).toBe(0);
    expect(fixture.logLines.join("")).not.toContain(secret);
  });

  it("is decided with the keys of an issuer whose certificate comes from CLERK_CA_FILE", async () => {
    await using other = await start();
    const authority = makeAuthority();
    using files = new MountedFiles({ ca: authority.cert });
    const proxy = https.createServer(authority.issue({ name: "issuer" }), (request, response) => {
      http.get(`${other.emulator.url}${request.url}`, (answer) => answer.pipe(response));
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    try {
      const issuer = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const { seed } = EMULATOR;
      await using fixture = await startGatewayFixture({
        emulator: { seed: { ...seed, instance: { ...seed.instance, issuer } } },
        keys: "machine",
        env: { CLERK_MACHINE_ID: BILLING, CLERK_JWT_ISSUER: issuer, CLERK_CA_FILE: files.path("ca") },
      });
      const { secret } = await mintJwt(fixture);
      expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({
        verdict: Verdict.VALID,
        source: Source.LOCAL,
      });
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  it("goes to Clerk where it is not known which machine it must be granted to", async () => {
    await using fixture = await startGatewayFixture({ emulator: EMULATOR });
    const { secret } = await mintJwt(fixture);
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({
      verdict: Verdict.VALID,
      source: Source.UPSTREAM,
    });
    expect(keyFetches(fixture)).toBe(0);
  });

  it("is revoked by itself, by its id, with its machine and with its key, and watchers hear what was revoked", async () => {
    await using fixture = await start();
    const { tokens, revocations } = fixture;
    const [first, second, third] = [await mintJwt(fixture), await mintJwt(fixture), await mintJwt(fixture)];
    const verdictOn = async (token: string) => (await tokens.verifyToken({ token })).verdict;
    using watcher = new Watcher(fixture);
    await watcher.snapshot();
    const next = async () => (await watcher.nextNews()).event.value;

    const revoked = await tokens.revokeToken({ target: { case: "token", value: first.secret }, reason: "leaked" });
    expect(revoked).toMatchObject({ enforcement: Enforcement.GATEWAYS, token: { id: first.id, revoked: true } });
    expect(await verdictOn(first.secret)).toBe(Verdict.REVOKED);
    expect(await next()).toMatchObject({ kind: RevocationKind.TOKEN, tokenId: first.id, reason: "leaked" });

    const target = { case: "tokenId", value: second.id } as const;
    await expect(tokens.revokeToken({ target })).rejects.toThrow("the id of a JWT must be given as one");
    await tokens.revokeToken({ target, format: TokenFormat.JWT });
    expect(await verdictOn(second.secret)).toBe(Verdict.REVOKED);
    expect(await next()).toMatchObject({ kind: RevocationKind.TOKEN, tokenId: second.id });

    const opaque = await fixture.mint();
    expect(await verdictOn(opaque.secret)).toBe(Verdict.VALID);
    const kinds: (string | undefined)[] = [];
    for await (const { event } of revocations.revokeSubject({ subject: BILLING, reason: "incident" })) {
      kinds.push(event.case);
      if (event.case === "watermark") expect(await verdictOn(third.secret)).toBe(Verdict.REVOKED);
    }
    expect(kinds).toEqual(["watermark", "progress", "summary"]);
    expect(await verdictOn(opaque.secret)).toBe(Verdict.REVOKED);
    expect(fixture.emulator.control.tokens().map(({ revocationReason }) => revocationReason)).toEqual(["incident"]);
    expect(await next()).toMatchObject({ kind: RevocationKind.SUBJECT, subject: BILLING, reason: "incident" });

    await revocations.revokeKey({ keyId: fixture.emulator.instanceId });
    expect(await next()).toMatchObject({ kind: RevocationKind.KEY, keyId: fixture.emulator.instanceId });
    const { revocations: listed } = await revocations.listRevocations({});
    expect(listed.map(({ kind }) => kind)).toEqual([
      RevocationKind.TOKEN,
      RevocationKind.TOKEN,
      RevocationKind.SUBJECT,
      RevocationKind.KEY,
    ]);
  });
});

describe("the key endpoint", () => {
  it("adds no request for callers while it is down, and what was fetched last decides", async () => {
    await using fixture = await start({ GATEWAY_JWKS_REFRESH_MS: "1000", GATEWAY_JWKS_COOLDOWN_MS: "1000" });
    const { emulator, tokens } = fixture;
    const secrets = await Promise.all(Array.from({ length: 20 }, async () => (await mintJwt(fixture)).secret));
    emulator.control.faults.add({ route: "jwks.get", status: 503 });
    const [before, startedAtMs] = [keyFetches(fixture), performance.now()];
    await until(() => keyFetches(fixture) > before);
    const verdicts = await Promise.all(
      Array.from(
        { length: 1_000 },
        async (_, n) => (await tokens.verifyToken({ token: secrets[n % 20] ?? "" })).verdict,
      ),
    );
    expect(new Set(verdicts)).toEqual(new Set([Verdict.VALID]));
    // Each second's refresh is tried three times, as every call is; callers added none.
    const refreshes = 2 + Math.floor((performance.now() - startedAtMs) / 1_000);
    expect(keyFetches(fixture) - before).toBeLessThanOrEqual(3 * refreshes);
  });

  it("that hangs holds up nobody whose key is known", async () => {
    await using fixture = await start({ GATEWAY_JWKS_REFRESH_MS: "1000" });
    const { secret } = await mintJwt(fixture);
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.VALID });
    fixture.emulator.control.faults.add({ route: "jwks.get", hang: true });
    const before = keyFetches(fixture);
    await until(() => keyFetches(fixture) > before);
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.VALID });
  });

  it("may rotate the key under load: no wrong verdict, and no more requests than the cooldown allows", async () => {
    await using fixture = await start({ GATEWAY_JWKS_COOLDOWN_MS: "100" });
    const { emulator, tokens } = fixture;
    const old = await mintJwt(fixture);
    await tokens.verifyToken({ token: old.secret });
    const startedAtMs = performance.now();
    for (let rotation = 0; rotation < 3; rotation += 1) {
      emulator.control.rotateSigningKey();
      const { secret } = await mintJwt(fixture);
      const outcomes = await Promise.all(
        Array.from(
          { length: 200 },
          async (_, n) => await settled(tokens.verifyToken({ token: n % 2 === 0 ? secret : old.secret })),
        ),
      );
      // Either VALID, or not decided because it is too early to ask for the new key: never INVALID.
      expect(outcomes.filter((outcome) => outcome !== "valid" && outcome !== "SIGNING_KEY_UNKNOWN")).toEqual([]);
      await until(async () => (await settled(tokens.verifyToken({ token: secret }))) === "valid");
    }
    const elapsedMs = performance.now() - startedAtMs;
    expect(keyFetches(fixture)).toBeLessThanOrEqual(2 + elapsedMs / 100);
    emulator.control.rotateSigningKey(true);
    const { secret: last } = await mintJwt(fixture);
    await until(async () => (await settled(tokens.verifyToken({ token: last }))) === "valid");
    await until(async () => (await settled(tokens.verifyToken({ token: old.secret }))) === "invalid");
  });

  async function settled(call: Promise<{ verdict: Verdict }>): Promise<string> {
    try {
      return Verdict[(await call).verdict].toLowerCase();
    } catch (error) {
      const text = String(error);
      return text.includes("not in the issuer's key set") ? "SIGNING_KEY_UNKNOWN" : text;
    }
  }
});
