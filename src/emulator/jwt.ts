import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { isJsonObject, type Json, type JsonObject, parseJson } from "./json.ts";

/** Claims that the issuer sets and nobody else may. */
export const RESERVED_CLAIMS = ["iss", "sub", "exp", "nbf", "iat", "jti"];

/** Tells an M2M token from the instance's other JWTs. */
const M2M_CATEGORY = "cl_B7d4PD333AAA";

/** How long before its minting a JWT is valid, for verifiers whose clocks run behind. */
const BACKDATED_SECONDS = 10;

const makeKeyPair = promisify(generateKeyPair);

/** What a JWT that the instance signed says. Times are seconds since the epoch. */
export interface JwtFacts {
  readonly id: string;
  readonly subject: string;
  /** Machines it grants access to, by `scopes` or `aud`. */
  readonly scopes: readonly string[];
  /** All claims but the reserved ones; `null` when there are none. */
  readonly claims: Json;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
}

interface NewJwt {
  readonly id: string;
  readonly subject: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly claims: JsonObject;
  /** `undefined` adds none. */
  readonly audience: readonly string[] | undefined;
}

interface SigningKey {
  readonly kid: string;
  readonly key: Promise<KeyObject>;
}

/** Signs the instance's JWTs with its RSA key, and checks those that it signed with any key that it has not withdrawn. */
export class JwtIssuer {
  readonly #issuer: () => string;
  readonly #first: { readonly kid: string; key: Promise<KeyObject> | undefined };
  /** The newest signs. Empty while the first key is the only one. */
  #rotated: readonly SigningKey[] = [];

  /** @param signingKey RSA private key in PEM; without one, a key is generated when first needed */
  constructor(kid: string, issuer: () => string, signingKey: string | undefined) {
    this.#issuer = issuer;
    this.#first = { kid, key: signingKey === undefined ? undefined : Promise.resolve(createPrivateKey(signingKey)) };
  }

  /**
   * Signs with a new key from now on and returns its id. The key set goes on showing the previous ones, unless they are
   * withdrawn: JWTs that they signed are good no more then.
   */
  rotate(kid: string, withdrawsPrevious: boolean): string {
    this.#rotated = [{ kid, key: newKey() }, ...(withdrawsPrevious ? [] : this.#all())];
    return kid;
  }

  /** Back to the first key. */
  reset(): void {
    this.#rotated = [];
  }

  async sign(jwt: NewJwt): Promise<string> {
    const { kid, key } = this.#newest();
    const header = { alg: "RS256", cat: M2M_CATEGORY, kid, typ: "JWT" };
    const payload = {
      ...(jwt.audience === undefined ? {} : { aud: jwt.audience }),
      ...jwt.claims,
      iss: this.#issuer(),
      sub: jwt.subject,
      exp: jwt.expiresAt,
      nbf: jwt.issuedAt - BACKDATED_SECONDS,
      iat: jwt.issuedAt,
      jti: jwt.id,
    };
    const input = `${encode(header)}.${encode(payload)}`;
    const signature = sign("RSA-SHA256", Buffer.from(input), await key);
    return `${input}.${signature.toString("base64url")}`;
  }

  /** What the JWT says, if this instance signed it as an M2M token. Whether it is expired is not judged. */
  async read(token: string): Promise<JwtFacts | undefined> {
    const [head, body, signature, ...rest] = token.split(".");
    if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined;
    const header = decode(head);
    const known = this.#all().find(({ kid }) => kid === header?.kid);
    if (header?.alg !== "RS256" || header.typ !== "JWT" || known === undefined || header.cat !== M2M_CATEGORY) {
      return undefined;
    }
    const input = Buffer.from(`${head}.${body}`);
    const publicKey = createPublicKey(await known.key);
    if (!verify("RSA-SHA256", input, publicKey, Buffer.from(signature, "base64url"))) return undefined;
    const payload = decode(body);
    return payload === undefined ? undefined : factsOf(payload);
  }

  /** The public keys as a JSON Web Key Set. */
  async keySet(): Promise<Json> {
    const keys = this.#all().map(async ({ kid, key }) => {
      const { n = "", e = "" } = createPublicKey(await key).export({ format: "jwk" });
      return { use: "sig", kty: "RSA", kid, alg: "RS256", n, e };
    });
    return { keys: await Promise.all(keys) };
  }

  #newest(): SigningKey {
    const [newest] = this.#all();
    if (newest === undefined) throw new Error("the instance has no signing key");
    return newest;
  }

  #all(): readonly SigningKey[] {
    if (this.#rotated.length > 0) return this.#rotated;
    this.#first.key ??= newKey();
    return [{ kid: this.#first.kid, key: this.#first.key }];
  }
}

function newKey(): Promise<KeyObject> {
  return makeKeyPair("rsa", { modulusLength: 2048 }).then(({ privateKey }) => privateKey);
}

export function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
}

function factsOf(payload: JsonObject): JwtFacts | undefined {
  const { jti, sub, iat, nbf, exp } = payload;
  if (typeof jti !== "string" || typeof sub !== "string") return undefined;
  if (typeof iat !== "number" || typeof nbf !== "number" || typeof exp !== "number") return undefined;
  const claims = Object.fromEntries(Object.entries(payload).filter(([name]) => !RESERVED_CLAIMS.includes(name)));
  return {
    id: jti,
    subject: sub,
    scopes: [...new Set([...machineIdsIn(payload.scopes), ...machineIdsIn(payload.aud)])],
    claims: Object.keys(claims).length === 0 ? null : claims,
    issuedAt: iat,
    notBefore: nbf,
    expiresAt: exp,
  };
}

/** Machine ids in a claim that is a list, or text with spaces between. */
function machineIdsIn(claim: Json | undefined): string[] {
  const parts: readonly unknown[] = typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
  return parts.filter((part) => typeof part === "string" && /^mch_\w{27}$/.test(part)).map(String);
}

function encode(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(part: string): JsonObject | undefined {
  try {
    const value = parseJson(Buffer.from(part, "base64url").toString("utf8"));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
