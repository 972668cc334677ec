import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import type { SigningKeys } from "./ports.ts";

/** A public RSA key as a key set names it. */
export interface Jwk {
  readonly keyId: string;
  readonly modulus: string;
  readonly exponent: string;
}

const MIN_MODULUS_BITS = 2048;

/** The one key that the configuration gives, under whatever id a JWT names it. */
export class FixedKey implements SigningKeys {
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  find(): KeyObject {
    return this.#key;
  }

  async reach(): Promise<true> {
    return true;
  }
}

/** @throws TypeError when it is no public RSA key that signatures can be trusted under; the message does not repeat it */
export function parsePublicKey(pem: string): KeyObject {
  const key = importKey(() => createPublicKey({ key: pem, format: "pem" }));
  if (key === undefined || !/^-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(pem.trimStart())) {
    throw new TypeError(`it is not the PEM text of a public RSA key of at least ${MIN_MODULUS_BITS} bits`);
  }
  return key;
}

/** `undefined` when signatures cannot be trusted under it. */
export function importJwk({ modulus, exponent }: Jwk): KeyObject | undefined {
  const key: JsonWebKey = { kty: "RSA", n: modulus, e: exponent };
  return importKey(() => createPublicKey({ key, format: "jwk" }));
}

/** RS256, in the calling thread: RSASSA-PKCS1-v1_5 with SHA-256. */
export function isSignedBy(key: KeyObject, signed: string, signature: Buffer): boolean {
  return verify("RSA-SHA256", Buffer.from(signed, "latin1"), key, signature);
}

/** With an exponent of 1 everybody could sign, and a key of type rsa-pss would make it another algorithm. */
function importKey(read: () => KeyObject): KeyObject | undefined {
  try {
    const key = read();
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    const isSound = modulusLength >= MIN_MODULUS_BITS && publicExponent > 2n && publicExponent % 2n === 1n;
    return key.asymmetricKeyType === "rsa" && isSound ? key : undefined;
  } catch {
    return undefined;
  }
}
