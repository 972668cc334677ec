import { type JsonObject, memberOf, parseJwtText } from "./jwt-text.ts";
import type { SignedToken } from "./observation.ts";
import type { Json, MachineId, Token, TokenId } from "./token.ts";

/**
 * What a JWT failed, in the order in which it is tried. Stable names: callers see them, and docs/jwt.md explains each.
 */
export type JwtCheck =
  | "form"
  | "header"
  | "algorithm"
  | "type"
  | "category"
  | "claims"
  | "subject"
  | "token_id"
  | "lifetime"
  | "issuer"
  | "key"
  | "signature"
  | "expiration"
  | "not_before"
  | "issued_at"
  | "grant";

/** What is demanded of JWTs, apart from a good signature. */
export interface JwtRules {
  /** The one issuer whose JWTs are accepted; `undefined` accepts whichever holds the key. */
  readonly issuer: string | undefined;
  /** The machine that verifies; `undefined` only where `grant` is `any`. */
  readonly machineId: MachineId | undefined;
  /**
   * Whether the verifying machine must be among those that the JWT names in `aud` or `scopes`: always, or where it names
   * anything there at all, or never.
   */
  readonly grant: "required" | "if_stated" | "any";
  /** By how much the issuer's clock may be ahead or behind, in milliseconds. */
  readonly clockSkewMs: number;
  /** JWTs that live longer, by their own account, are refused: what revokes them must be remembered for as long. */
  readonly maxLifetimeMs: number;
}

/** A JWT that passes every check but those of its signature and of the time. */
export interface Jwt extends Omit<SignedToken, "key"> {
  readonly token: Token;
  readonly signed: string;
  readonly signature: Buffer;
}

const TOKEN_ID = /^mt_[0-9A-Za-z]{32}$/;
const MACHINE_ID = /^mch_\w{27}$/;
const KEY_ID = /^[\w-]{1,128}$/;
/** Tells M2M tokens from the other JWTs that an instance signs. Those minted before 27 May 2026 carry no category. */
const M2M_CATEGORY = "cl_B7d4PD333AAA";
/** Parameters that change how a JWS is read, or that offer a key to check it with. No M2M token has any. */
const FOREIGN_PARAMETERS = ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"];
/** Claims that the issuer sets; all others are the token's custom claims. */
const RESERVED_CLAIMS: ReadonlySet<string> = new Set(["iss", "sub", "exp", "nbf", "iat", "jti"]);
/** The last instant that a Date can hold, in seconds. */
const MAX_TIME_S = 8.64e12;

/** Reads a JWT and checks all that needs neither a key nor the time. */
export function parseJwt(presented: string, rules: JwtRules): Jwt | JwtCheck {
  const text = parseJwtText(presented);
  if (text === undefined) return "form";
  const { header, payload, signed, signature } = text;
  const failed = failedClass(header) ?? failedClaims(payload, rules);
  if (failed !== undefined) return failed;
  const token = tokenOf(payload, memberOf(header, "kid") as string | undefined);
  const { expiresAtMs = 0, createdAtMs } = token;
  return {
    token,
    keyId: token.keyId,
    signed,
    signature,
    notBeforeMs: (msOf(payload, "nbf") ?? 0) - rules.clockSkewMs,
    issuedAtMs: createdAtMs - rules.clockSkewMs,
    validUntilMs: expiresAtMs + rules.clockSkewMs,
    granted: isGranted(token, payload, rules),
  };
}

/** What the time has against it at `wallMs`, or a grant that is missing. */
export function failedNow(jwt: Omit<SignedToken, "key">, wallMs: number): JwtCheck | undefined {
  if (wallMs >= jwt.validUntilMs) return "expiration";
  if (wallMs < jwt.notBeforeMs) return "not_before";
  if (wallMs < jwt.issuedAtMs) return "issued_at";
  return jwt.granted ? undefined : "grant";
}

/** The `kid` that a JWT names, unchecked; `undefined` when it names none that could be one. */
export function keyIdOf(presented: string): string | undefined {
  const text = parseJwtText(presented);
  const keyId = text && memberOf(text.header, "kid");
  return matches(keyId, KEY_ID) ? String(keyId) : undefined;
}

function failedClass(header: JsonObject): JwtCheck | undefined {
  if (FOREIGN_PARAMETERS.some((name) => Object.hasOwn(header, name))) return "header";
  if (memberOf(header, "alg") !== "RS256") return "algorithm";
  if (Object.hasOwn(header, "typ") && header.typ !== "JWT") return "type";
  if (Object.hasOwn(header, "cat") && header.cat !== M2M_CATEGORY) return "category";
  return !Object.hasOwn(header, "kid") || matches(memberOf(header, "kid"), KEY_ID) ? undefined : "key";
}

function failedClaims(payload: JsonObject, rules: JwtRules): JwtCheck | undefined {
  const issuer = memberOf(payload, "iss");
  const expiresAtMs = msOf(payload, "exp");
  const issuedAtMs = msOf(payload, "iat");
  if (typeof issuer !== "string" || expiresAtMs === undefined || issuedAtMs === undefined) return "claims";
  if (Object.hasOwn(payload, "nbf") && msOf(payload, "nbf") === undefined) return "claims";
  if (!matches(memberOf(payload, "sub"), MACHINE_ID)) return "subject";
  if (!matches(memberOf(payload, "jti"), TOKEN_ID)) return "token_id";
  if (expiresAtMs <= issuedAtMs || expiresAtMs - issuedAtMs > rules.maxLifetimeMs) return "lifetime";
  return rules.issuer === undefined || issuer === rules.issuer ? undefined : "issuer";
}

/** Times are seconds since the epoch, whole or not. */
function msOf(payload: JsonObject, name: string): number | undefined {
  const seconds = memberOf(payload, name);
  return typeof seconds === "number" && seconds >= 0 && seconds <= MAX_TIME_S ? seconds * 1000 : undefined;
}

function tokenOf(payload: JsonObject, keyId: string | undefined): Token {
  // fromEntries defines members, so that one named __proto__ is a claim like any other.
  const custom = Object.entries(payload).filter(([name]) => !RESERVED_CLAIMS.has(name));
  const issuedAtMs = msOf(payload, "iat") ?? 0;
  return {
    id: memberOf(payload, "jti") as TokenId,
    subject: memberOf(payload, "sub") as MachineId,
    format: "jwt",
    claims: custom.length === 0 ? undefined : Object.fromEntries(custom),
    scopes: machinesIn(payload),
    revoked: false,
    revocationReason: undefined,
    expired: false,
    expiresAtMs: msOf(payload, "exp"),
    lastUsedAtMs: undefined,
    createdAtMs: issuedAtMs,
    updatedAtMs: issuedAtMs,
    keyId,
  };
}

function isGranted({ scopes }: Token, payload: JsonObject, { grant, machineId }: JwtRules): boolean {
  if (grant === "any") return true;
  if (machineId !== undefined && scopes.includes(machineId)) return true;
  return grant === "if_stated" && !Object.hasOwn(payload, "aud") && !Object.hasOwn(payload, "scopes");
}

/** The machines that it names as those it grants access to. */
function machinesIn(payload: JsonObject): MachineId[] {
  const audience = memberOf(payload, "aud");
  const scopes = memberOf(payload, "scopes");
  const named = [
    ...(typeof audience === "string" ? [audience] : stringsIn(audience)),
    ...(typeof scopes === "string" ? scopes.split(" ") : stringsIn(scopes)),
  ];
  return [...new Set(named.filter((name) => MACHINE_ID.test(name)))] as MachineId[];
}

/** A list that holds anything but strings says nothing. */
function stringsIn(claim: Json | undefined): readonly string[] {
  if (!Array.isArray(claim)) return [];
  const strings = (claim as readonly Json[]).filter((item) => typeof item === "string");
  return strings.length === claim.length ? strings : [];
}

function matches(claim: Json | undefined, pattern: RegExp): boolean {
  return typeof claim === "string" && pattern.test(claim);
}
