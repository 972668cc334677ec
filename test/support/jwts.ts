import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import type { JwtRules } from "../../src/token/jwt.ts";
import type { Jwk } from "../../src/token/signing-keys.ts";
import type { TokenSecret } from "../../src/token/token.ts";
import { BILLING, REPORTS, tokenId } from "./tokens.ts";

/** A key of an issuer, made anew for every run. */
export interface IssuerKey {
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly pem: string;
  readonly jwk: Jwk;
}

export const ISSUER = "https://clerk.example.test";
export const M2M_CATEGORY = "cl_B7d4PD333AAA";
/** What the fake clock shows, in seconds. */
export const NOW_S = 1_700_000_000;

export const RULES: JwtRules = {
  issuer: ISSUER,
  machineId: REPORTS,
  grant: "required",
  clockSkewMs: 5_000,
  maxLifetimeMs: 365 * 86_400_000,
};

export function makeIssuerKey(keyId = "ins_first"): IssuerKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { n = "", e = "" } = publicKey.export({ format: "jwk" });
  const pem = publicKey.export({ format: "pem", type: "spki" }).toString();
  return { keyId, privateKey, publicKey, pem, jwk: { keyId, modulus: n, exponent: e } };
}

/** The claims of a good token that BILLING minted for REPORTS, valid for an hour. */
export function goodClaims(n = 1, overrides: JWTPayload = {}): JWTPayload {
  return {
    iss: ISSUER,
    sub: BILLING,
    aud: [REPORTS],
    exp: NOW_S + 3_600,
    nbf: NOW_S - 10,
    iat: NOW_S,
    jti: tokenId(n),
    ...overrides,
  };
}

export function goodHeader(key: IssuerKey, overrides: Partial<JWTHeaderParameters> = {}): JWTHeaderParameters {
  return { alg: "RS256", typ: "JWT", kid: key.keyId, cat: M2M_CATEGORY, ...overrides };
}

/** Signed by jose, which shares no code with the gateway or the emulator. */
export async function mint(
  key: IssuerKey,
  claims: JWTPayload = goodClaims(),
  header: Partial<JWTHeaderParameters> = {},
): Promise<TokenSecret> {
  const jwt = new SignJWT(claims).setProtectedHeader(goodHeader(key, header));
  return (await jwt.sign(key.privateKey)) as TokenSecret;
}

/** For what no library would make: header and payload as texts or bytes, signed with RS256 whatever they say. */
export function mintRaw(key: IssuerKey, header: string | object, payload: string | object | Buffer): TokenSecret {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${sign("RSA-SHA256", Buffer.from(input), key.privateKey).toString("base64url")}` as TokenSecret;
}

export function encode(part: string | object | Buffer): string {
  const bytes = Buffer.isBuffer(part) ? part : Buffer.from(typeof part === "string" ? part : JSON.stringify(part));
  return bytes.toString("base64url");
}
