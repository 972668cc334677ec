import { constants, createHmac, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createDomain, verifyRequest } from "../../test/support/domain.ts";
import {
  encode,
  goodClaims,
  goodHeader,
  ISSUER,
  makeIssuerKey,
  mint,
  mintRaw,
  NOW_S,
  RULES,
} from "../../test/support/jwts.ts";
import { BILLING, REPORTS, tokenId } from "../../test/support/tokens.ts";
import type { JwtRules } from "./jwt.ts";
import { FixedKey } from "./signing-keys.ts";
import { MAX_SECRET_LENGTH } from "./token-form.ts";

const KEY = makeIssuerKey();
const OTHER = makeIssuerKey();

async function verdictOn(presented: string, rules: Partial<JwtRules> = {}) {
  const jwts = { keys: new FixedKey(KEY.publicKey), rules: { ...RULES, ...rules } };
  const { verifier, upstream } = await createDomain({ jwts });
  const { verdict, source, failedCheck } = await verifier.verify(verifyRequest(presented));
  expect(upstream.verifyCount).toBe(0);
  return source === "local"
    ? `${verdict}${failedCheck === undefined ? "" : ` ${failedCheck}`}`
    : `${verdict} by ${source}`;
}

describe("a JWT minted by another implementation", () => {
  it("is VALID when every check passes, and looks like an opaque token in the answer", async () => {
    const jwts = { keys: new FixedKey(KEY.publicKey), rules: RULES };
    const { verifier } = await createDomain({ jwts });
    const presented = await mint(KEY, goodClaims(1, { scopes: `${REPORTS} ${BILLING}`, plan: "pro" }));
    expect(await verifier.verify(verifyRequest(presented))).toMatchObject({
      verdict: "valid",
      source: "local",
      observedAtMs: undefined,
      failedCheck: undefined,
      token: {
        id: tokenId(1),
        subject: BILLING,
        format: "jwt",
        claims: { aud: [REPORTS], scopes: `${REPORTS} ${BILLING}`, plan: "pro" },
        scopes: [REPORTS, BILLING],
        revoked: false,
        expired: false,
        expiresAtMs: (NOW_S + 3_600) * 1000,
        createdAtMs: NOW_S * 1000,
        keyId: "ins_first",
      },
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["without a category, as before May 2026", { cat: undefined }, "valid"],
    ["without a type", { typ: undefined }, "valid"],
    ["without a key id, where there is one key", { kid: undefined }, "valid"],
    ["of a session", { cat: "cl_B7d4PD111AAA" }, "invalid category"],
    ["of a JWT template", { cat: "cl_B7d4PD222AAA" }, "invalid category"],
    ["to be ignored", { cat: "cl_I7d4PD111III" }, "invalid category"],
    ["of a category that is null", { cat: null }, "invalid category"],
    ["of the category in lower case", { cat: "cl_b7d4pd333aaa" }, "invalid category"],
    ["that is an OAuth access token", { typ: "at+jwt" }, "invalid type"],
    ["of the type jwt", { typ: "jwt" }, "invalid type"],
    ["of a type with a look-alike letter", { typ: "ЈWT" }, "invalid type"],
    ["with critical parameters", { crit: ["exp"], exp: 1 }, "invalid header"],
    ["with an empty crit", { crit: [] }, "invalid header"],
    ["with an unencoded payload", { b64: false }, "invalid header"],
    ["that says how it is encoded as usual", { b64: true }, "invalid header"],
    ["that is compressed", { zip: "DEF" }, "invalid header"],
    ["that brings its own key", { jwk: { kty: "RSA", n: OTHER.jwk.modulus, e: "AQAB" } }, "invalid header"],
    ["that says where its key is", { jku: "https://evil.example/jwks.json" }, "invalid header"],
    ["that says where its certificate is", { x5u: "file:///etc/passwd" }, "invalid header"],
    ["that brings its certificate", { x5c: ["MIIB"] }, "invalid header"],
    ["with a path for a key id", { kid: "../../../../dev/null" }, "invalid key"],
    ["with SQL for a key id", { kid: "x' UNION SELECT 'key" }, "invalid key"],
    ["with a URL for a key id", { kid: "https://evil.example/key" }, "invalid key"],
    ["with a NUL in its key id", { kid: "ins_first\u0000" }, "invalid key"],
    ["with an empty key id", { kid: "" }, "invalid key"],
    ["with a number for a key id", { kid: 1 }, "invalid key"],
    ["with null for a key id", { kid: null }, "invalid key"],
    ["with a list for a key id", { kid: ["ins_first"] }, "invalid key"],
    ["with a key id of 129 characters", { kid: "k".repeat(129) }, "invalid key"],
    ["with a parameter that nobody knows", { cty: "JWT", x: 1 }, "valid"],
  ])("%s", async (_what, header, expected) => {
    expect(await verdictOn(mintRaw(KEY, { ...goodHeader(KEY), ...header }, goodClaims()))).toBe(expected);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["of another issuer", { iss: "https://clerk.evil.test" }, "invalid issuer"],
    ["of the issuer with a slash more", { iss: `${ISSUER}/` }, "invalid issuer"],
    ["of the issuer with a look-alike letter", { iss: ISSUER.replace("c", "с") }, "invalid issuer"],
    ["without an issuer", { iss: undefined }, "invalid claims"],
    ["of a list of issuers", { iss: [ISSUER] }, "invalid claims"],
    ["of a user", { sub: "user_2vYVtestuser0000000000000000" }, "invalid subject"],
    ["without a subject", { sub: undefined }, "invalid subject"],
    ["of a machine with a look-alike letter", { sub: BILLING.replace("b", "Ь") }, "invalid subject"],
    ["of a machine with a line break", { sub: `${BILLING}\n` }, "invalid subject"],
    ["of two machines", { sub: [BILLING] }, "invalid subject"],
    ["without an id", { jti: undefined }, "invalid token_id"],
    ["with an id that is none", { jti: "1" }, "invalid token_id"],
    ["with a number for an id", { jti: 7 }, "invalid token_id"],
    ["that never expires", { exp: undefined }, "invalid claims"],
    ["whose expiration is null", { exp: null }, "invalid claims"],
    ["whose expiration is text", { exp: String(NOW_S + 60) }, "invalid claims"],
    ["whose expiration is beyond all time", { exp: 1e300 }, "invalid claims"],
    ["whose expiration is negative", { exp: -1 }, "invalid claims"],
    ["that lives longer than is remembered", { exp: NOW_S + 366 * 86_400 }, "invalid lifetime"],
    ["that expires before it is issued", { exp: NOW_S - 1 }, "invalid lifetime"],
    ["that expires as it is issued", { exp: NOW_S }, "invalid lifetime"],
    ["without a time of issue", { iat: undefined }, "invalid claims"],
    ["whose time of issue is text", { iat: "now" }, "invalid claims"],
    ["whose start is text", { nbf: "now" }, "invalid claims"],
    ["whose start is null", { nbf: null }, "invalid claims"],
    ["whose start is negative", { nbf: -1e10 }, "invalid claims"],
    ["without a start", { nbf: undefined }, "valid"],
    ["expired for as long as the skew", { iat: NOW_S - 60, exp: NOW_S - 5 }, "expired expiration"],
    ["expired for less than the skew", { iat: NOW_S - 60, exp: NOW_S - 4 }, "valid"],
    ["that starts beyond the skew", { nbf: NOW_S + 6 }, "invalid not_before"],
    ["that starts within the skew", { nbf: NOW_S + 5 }, "valid"],
    ["issued beyond the skew", { iat: NOW_S + 6 }, "invalid issued_at"],
    ["issued within the skew", { iat: NOW_S + 5 }, "valid"],
    ["issued at a fraction of a second", { iat: NOW_S + 0.5, exp: NOW_S + 60.25 }, "valid"],
  ])("%s", async (_what, claims, expected) => {
    expect(await verdictOn(mintRaw(KEY, goodHeader(KEY), { ...goodClaims(), ...claims }))).toBe(expected);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["aud is the machine", { aud: REPORTS }, "valid"],
    ["aud holds the machine", { aud: [BILLING, REPORTS] }, "valid"],
    ["scopes is the machine", { aud: undefined, scopes: REPORTS }, "valid"],
    ["scopes holds the machine between spaces", { aud: undefined, scopes: `${BILLING} ${REPORTS}` }, "valid"],
    ["scopes is a list with the machine", { aud: undefined, scopes: [REPORTS] }, "valid"],
    ["aud names another service and scopes the machine", { aud: "convex", scopes: REPORTS }, "valid"],
    ["aud is another machine", { aud: BILLING }, "not_granted grant"],
    ["aud holds other machines", { aud: [BILLING] }, "not_granted grant"],
    ["aud is empty", { aud: [] }, "not_granted grant"],
    ["aud is null", { aud: null }, "not_granted grant"],
    ["aud is a number", { aud: 1 }, "not_granted grant"],
    ["aud is true", { aud: true }, "not_granted grant"],
    ["aud is an object with the machine as a name", { aud: { [REPORTS]: true } }, "not_granted grant"],
    ["aud holds a list that holds the machine", { aud: [[REPORTS]] }, "not_granted grant"],
    ["aud holds something that is no text as well", { aud: [REPORTS, 1] }, "not_granted grant"],
    ["aud is text that begins with the machine", { aud: `${REPORTS}x` }, "not_granted grant"],
    ["aud is text with the machine between spaces", { aud: `${BILLING} ${REPORTS}` }, "not_granted grant"],
    ["aud is the machine with a look-alike letter", { aud: REPORTS.replace("o", "о") }, "not_granted grant"],
    ["aud is the machine in upper case", { aud: REPORTS.toUpperCase() }, "not_granted grant"],
    ["neither is there", { aud: undefined }, "not_granted grant"],
    ["a scope claim of OAuth names it", { aud: undefined, scope: REPORTS }, "not_granted grant"],
  ])("is granted by aud or scopes alone: %s", async (_what, claims, expected) => {
    expect(await verdictOn(mintRaw(KEY, goodHeader(KEY), { ...goodClaims(), ...claims }))).toBe(expected);
  });

  it("may be asked for a grant only where it states one, or never", async () => {
    const silent = mintRaw(KEY, goodHeader(KEY), { ...goodClaims(), aud: undefined });
    const other = await mint(KEY, goodClaims(1, { aud: BILLING }));
    const empty = await mint(KEY, goodClaims(1, { aud: [] }));
    expect(await verdictOn(silent, { grant: "if_stated" })).toBe("valid");
    expect(await verdictOn(other, { grant: "if_stated" })).toBe("not_granted grant");
    expect(await verdictOn(empty, { grant: "if_stated" })).toBe("not_granted grant");
    expect(await verdictOn(other, { grant: "any", machineId: undefined })).toBe("valid");
  });

  it("may come of any issuer where none is configured: the key is what counts", async () => {
    const foreign = await mint(KEY, goodClaims(1, { iss: "https://elsewhere.test" }));
    expect(await verdictOn(foreign, { issuer: undefined })).toBe("valid");
  });
});

describe("a JWT that an attacker made", () => {
  const [head, body] = [encode(goodHeader(KEY)), encode(goodClaims())];
  const good = mintRaw(KEY, goodHeader(KEY), goodClaims());
  const tail = good.split(".")[2] ?? "";

  function hs256(secret: string | Buffer): string {
    const input = `${encode({ ...goodHeader(KEY), alg: "HS256" })}.${body}`;
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  }

  function withAlgorithm(alg: string, padding?: number, signer = KEY.privateKey): string {
    const input = `${encode({ ...goodHeader(KEY), alg })}.${body}`;
    const options = padding === undefined ? signer : { key: signer, padding, saltLength: 32 };
    return `${input}.${sign("sha256", Buffer.from(input), options).toString("base64url")}`;
  }

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const pss = (key = `${head}.${body}`) => {
    const options = { key: KEY.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    return `${key}.${sign("sha256", Buffer.from(key), options).toString("base64url")}`;
  };

  it.each<[string, string, string]>([
    ["is signed by another key of the same id", mintRaw(OTHER, goodHeader(KEY), goodClaims()), "invalid signature"],
    ["has no algorithm and no signature", `${encode({ ...goodHeader(KEY), alg: "none" })}.${body}.`, "invalid"],
    [
      "has no algorithm and some signature",
      `${encode({ ...goodHeader(KEY), alg: "none" })}.${body}.${tail}`,
      "invalid algorithm",
    ],
    ["spells none otherwise", `${encode({ ...goodHeader(KEY), alg: "nOnE" })}.${body}.${tail}`, "invalid algorithm"],
    ["is a MAC with the public key's PEM", hs256(KEY.pem), "invalid algorithm"],
    [
      "is a MAC with the public key's DER",
      hs256(KEY.publicKey.export({ format: "der", type: "spki" })),
      "invalid algorithm",
    ],
    ["is a MAC with nothing", hs256(""), "invalid algorithm"],
    ["is signed as PS256 and says so", withAlgorithm("PS256", constants.RSA_PKCS1_PSS_PADDING), "invalid algorithm"],
    ["is signed as PS256 and says RS256", pss(), "invalid signature"],
    ["is signed as ES256 and says so", withAlgorithm("ES256", undefined, ec), "invalid algorithm"],
    ["is signed as ES256 and says RS256", withAlgorithm("RS256", undefined, ec), "invalid signature"],
    ["says RS512", withAlgorithm("RS512"), "invalid algorithm"],
    ["says rs256", withAlgorithm("rs256"), "invalid algorithm"],
    ["lists algorithms", mintRaw(KEY, { ...goodHeader(KEY), alg: ["RS256"] }, goodClaims()), "invalid algorithm"],
    [
      "has its signature cut",
      `${head}.${body}.${encode(Buffer.from(tail, "base64url").subarray(0, 252))}`,
      "invalid signature",
    ],
    ["has a signature of zeros", `${head}.${body}.${Buffer.alloc(256).toString("base64url")}`, "invalid signature"],
    ["has its signature twice", `${good}${tail}`, "invalid"],
    ["has its payload changed", `${head}.${encode(goodClaims(2))}.${tail}`, "invalid signature"],
    ["has its header changed", `${encode(goodHeader(KEY, { kid: "other" }))}.${body}.${tail}`, "invalid signature"],
  ])("is refused when it %s", async (_what, presented, expected) => {
    expect(await verdictOn(presented)).toMatch(expected);
  });

  const stray = `${good.slice(0, -1)}${String.fromCharCode(good.charCodeAt(good.length - 1) + 1)}`;
  it.each<[string, string]>([
    ["stray bits at its end", stray],
    ["padding", `${good}==`],
    ["a dot at its end", `${good}.`],
    ["two dots in a row", `${head}..${tail}`],
    ["a fourth part", `${good}.${tail}`],
    ["five parts, as an encrypted one", `${head}.${head}.${body}.${body}.${tail}`],
    ["a blank before it", ` ${good}`],
    ["a line break after it", `${good}\n`],
    ["letters of plain base64", good.replaceAll("-", "+").replaceAll("_", "/").concat("+")],
    ["a header that is a list", mintRaw(KEY, "[]", goodClaims())],
    ["a header that is no JSON", mintRaw(KEY, "{alg:RS256}", goodClaims())],
    ["a payload that is text", mintRaw(KEY, goodHeader(KEY), '"text"')],
    ["a payload that is null", mintRaw(KEY, goodHeader(KEY), "null")],
    ["a payload that is not UTF-8", mintRaw(KEY, goodHeader(KEY), Buffer.from([0x7b, 0xff, 0x7d]))],
    ["a payload with a byte order mark", mintRaw(KEY, goodHeader(KEY), `\ufeff${JSON.stringify(goodClaims())}`)],
    ["a payload with something after it", mintRaw(KEY, goodHeader(KEY), `${JSON.stringify(goodClaims())}{}`)],
    ["a claim twice", mintRaw(KEY, goodHeader(KEY), JSON.stringify(goodClaims()).replace("{", `{"sub":"${REPORTS}",`))],
    [
      "a claim twice, once with an escape",
      mintRaw(KEY, goodHeader(KEY), JSON.stringify(goodClaims()).replace("{", `{"\\u0073ub":"${REPORTS}",`)),
    ],
    ["a custom claim that names something twice", mintRaw(KEY, goodHeader(KEY), withMember('"a":{"b":1,"b":2}'))],
    ["an algorithm twice", mintRaw(KEY, JSON.stringify(goodHeader(KEY)).replace("{", '{"alg":"none",'), goodClaims())],
    [
      "claims nested 40 levels deep",
      mintRaw(KEY, goodHeader(KEY), withMember(`"a":${"[".repeat(40)}${"]".repeat(40)}`)),
    ],
    ["64 KiB", mintRaw(KEY, goodHeader(KEY), goodClaims(1, { fill: "x".repeat(64 * 1024) }))],
    [
      "one character more than a token may",
      `${head}.${body}.${"A".repeat(MAX_SECRET_LENGTH - head.length - body.length - 1)}`,
    ],
  ])("is INVALID with %s", async (_what, presented) => {
    expect(await verdictOn(presented)).toMatch(/^invalid(?: form)?$/);
  });

  it("gives no object a prototype by a claim of that name", async () => {
    const jwts = { keys: new FixedKey(KEY.publicKey), rules: RULES };
    const { verifier } = await createDomain({ jwts });
    const presented = mintRaw(KEY, goodHeader(KEY), withMember('"__proto__":{"admin":true},"constructor":1'));
    const { token } = await verifier.verify(verifyRequest(presented));
    const claims = token?.claims as Record<string, unknown>;
    expect(Object.getPrototypeOf(claims)).toBe(Object.prototype);
    expect(Object.hasOwn(claims, "__proto__")).toBe(true);
    expect("admin" in claims).toBe(false);
    const policy = { allowedSubjects: new Set<never>(), requiredClaims: new Map([["admin", true]]) };
    expect((await verifier.verify(verifyRequest(presented, { policy }))).verdict).toBe("not_granted");
  });

  it("is not described in the answer unless its signature is good", async () => {
    const jwts = { keys: new FixedKey(KEY.publicKey), rules: RULES };
    const { verifier } = await createDomain({ jwts });
    const forged = mintRaw(OTHER, goodHeader(KEY), { ...goodClaims(), iat: NOW_S - 60, exp: NOW_S - 30 });
    expect(await verifier.verify(verifyRequest(forged))).toMatchObject({ verdict: "invalid", token: undefined });
  });

  function withMember(member: string): string {
    return JSON.stringify(goodClaims()).replace("{", `{${member},`);
  }
});
