import { signJwt } from "@clerk/backend/jwt";
import { describe, expect, it, vi } from "vitest";
import { JwtIssuer } from "../../src/emulator/jwt.ts";
import type { SigningKeys } from "../../src/token/ports.ts";
import { createDomain, verifyRequest } from "../support/domain.ts";
import { encode, goodHeader, ISSUER, type IssuerKey, makeIssuerKey, mint, NOW_S, RULES } from "../support/jwts.ts";
import { BILLING, REPORTS, tokenId } from "../support/tokens.ts";

const KEY = makeIssuerKey();
const SAME_ID = makeIssuerKey();
const OTHER_ID = makeIssuerKey("ins_other");
const STRANGER = `mch_${"s".repeat(27)}`;

/** What a JWT is to say. Times in seconds since the epoch. */
const GOOD = {
  issuer: ISSUER,
  id: tokenId(1) as string,
  subject: BILLING as string,
  issuedAt: NOW_S,
  expiresAt: NOW_S + 3_600,
  audience: [REPORTS] as readonly string[] | undefined,
  claims: {} as Record<string, string | string[]>,
  key: KEY,
};
type Wanted = typeof GOOD;

function payloadOf({ issuer, id, subject, issuedAt, expiresAt, audience, claims }: Wanted) {
  const times = { iat: issuedAt, nbf: issuedAt - 10, exp: expiresAt };
  return { ...claims, ...(audience && { aud: [...audience] }), iss: issuer, sub: subject, jti: id, ...times };
}

const pemOf = ({ privateKey }: IssuerKey) => privateKey.export({ format: "pem", type: "pkcs8" }).toString();

/** Three implementations that share no code, with each other or with the gateway. */
const MINTERS: Record<string, (wanted: Wanted) => Promise<string>> = {
  "the emulator": (wanted) => new JwtIssuer(wanted.key.keyId, () => wanted.issuer, pemOf(wanted.key)).sign(wanted),
  jose: (wanted) => mint(wanted.key, payloadOf(wanted)),
  "Clerk's SDK": async (wanted) => {
    // It says that it signs now, whatever it is told.
    vi.useFakeTimers({ toFake: ["Date"], now: wanted.issuedAt * 1000 });
    try {
      const options = { algorithm: "RS256", header: goodHeader(wanted.key) };
      return await signJwt(payloadOf(wanted), pemOf(wanted.key), options);
    } finally {
      vi.useRealTimers();
    }
  },
};

const KEYS: SigningKeys = {
  find: (keyId) => (keyId === KEY.keyId ? KEY.publicKey : "none"),
  reach: async () => true,
};

async function verdictOn(presented: string): Promise<string> {
  const { verifier, upstream } = await createDomain({ jwts: { keys: KEYS, rules: RULES } });
  const { verdict, failedCheck } = await verifier.verify(verifyRequest(presented));
  expect(upstream.verifyCount).toBe(0);
  return failedCheck === undefined ? verdict : `${verdict} ${failedCheck}`;
}

describe.each(Object.entries(MINTERS))("a JWT that %s mints", (_name, mintBy) => {
  it.each<[string, Partial<Wanted>, string]>([
    ["is good", {}, "valid"],
    ["names the machine in scopes", { audience: undefined, claims: { scopes: `${STRANGER} ${REPORTS}` } }, "valid"],
    ["names the machine among others", { audience: [STRANGER, REPORTS] }, "valid"],
    ["has claims of its own", { claims: { plan: "pro", "größer ✓": ["𝄞"] } }, "valid"],
    ["is for another machine", { audience: [STRANGER] }, "not_granted grant"],
    ["is for none", { audience: undefined }, "not_granted grant"],
    ["is of another issuer", { issuer: "https://clerk.elsewhere.test" }, "invalid issuer"],
    ["is a user's", { subject: "user_2vYVtestuser0000000000000000" }, "invalid subject"],
    ["has the id of no token", { id: "sess_1" }, "invalid token_id"],
    ["has expired", { issuedAt: NOW_S - 60, expiresAt: NOW_S - 5 }, "expired expiration"],
    ["has expired within the skew", { issuedAt: NOW_S - 60, expiresAt: NOW_S - 4 }, "valid"],
    ["is not good yet", { issuedAt: NOW_S + 16 }, "invalid not_before"],
    ["was issued in the future", { issuedAt: NOW_S + 6 }, "invalid issued_at"],
    ["lives too long", { expiresAt: NOW_S + 366 * 86_400 }, "invalid lifetime"],
    ["ends before it begins", { expiresAt: NOW_S - 1 }, "invalid lifetime"],
    ["is signed by another key of the same id", { key: SAME_ID }, "invalid signature"],
    ["is signed by a key that the issuer does not have", { key: OTHER_ID }, "invalid key"],
  ])("and that %s", async (_what, changes, expected) => {
    expect(await verdictOn(await mintBy({ ...GOOD, ...changes }))).toBe(expected);
  });

  const withHeader = (changes: object) => (parts: string[]) => [
    encode({ ...goodHeader(KEY), ...changes }),
    ...parts.slice(1),
  ];
  const withPayload =
    (changes: object) =>
    ([head = "", , tail = ""]: string[]) => [head, encode({ ...payloadOf(GOOD), ...changes }), tail];

  it.each<[string, (parts: string[]) => readonly string[], string]>([
    ["cut short", (parts) => parts.slice(0, 2), "invalid"],
    ["with a part more", (parts) => [...parts, "AA"], "invalid"],
    ["padded", ([head = "", body = "", tail = ""]) => [head, body, `${tail}=`], "invalid"],
    ["with a critical parameter", withHeader({ crit: ["exp"] }), "invalid header"],
    ["with a key of its own", withHeader({ jwk: { kty: "RSA" } }), "invalid header"],
    ["without an algorithm", withHeader({ alg: "none" }), "invalid algorithm"],
    ["made a MAC", withHeader({ alg: "HS256" }), "invalid algorithm"],
    ["made an access token", withHeader({ typ: "at+jwt" }), "invalid type"],
    ["made a session's", withHeader({ cat: "cl_B7d4PD111AAA" }), "invalid category"],
    ["with a path for a key", withHeader({ kid: "../../etc/passwd" }), "invalid key"],
    ["without an end", withPayload({ exp: undefined }), "invalid claims"],
    ["of another machine", withPayload({ sub: REPORTS }), "invalid signature"],
    ["for longer", withPayload({ exp: NOW_S + 7_200 }), "invalid signature"],
  ])("is refused once it is changed: %s", async (_what, change, expected) => {
    const parts = (await mintBy(GOOD)).split(".");
    expect(await verdictOn(change(parts).join("."))).toBe(expected);
  });
});
