import { createHmac } from "node:crypto";
import type { TokenSecret } from "../token/token.ts";

/** The keys of the log. Their common hash tag puts them into one slot, so that one script may use them in a cluster. */
export interface LogKeys {
  /** Hash: what the log is: its epoch and whose incarnation of the server that belongs to. */
  readonly meta: string;
  /** Stream: the entries. */
  readonly stream: string;
  /** Hash: how far each replica has applied the log, and when it said so. */
  readonly replicas: string;
}

const PREFIX_FORM = /^[A-Za-z0-9._:-]{1,64}$/;

/** @throws Error when `prefix` could break the hash tag or an ACL pattern */
export function logKeys(prefix: string): LogKeys {
  if (!PREFIX_FORM.test(prefix)) {
    throw new Error("the Redis key prefix must be 1 to 64 letters, digits or . _ : -");
  }
  const stream = `{${prefix}}:log`;
  return { stream, meta: `${stream}:meta`, replicas: `${stream}:replicas` };
}

/** The channel on which every entry is published as JSON. */
export function revocationsChannel(prefix: string): string {
  return `${prefix}:revocations`;
}

export interface VerdictKeysOptions {
  readonly prefix: string;
  /** Shared by the replicas: whoever lacks it can neither find a token's verdict nor make one up. */
  readonly hmacKey: Buffer | string;
  /** Names the upstream and the credential: verdicts are not shared between scopes. */
  readonly scope: string;
}

/**
 * Names and seals verdicts. Every field that goes into a digest is preceded by its length, so that no two lists of
 * fields digest alike, and the first one says what the digest is for.
 */
export class VerdictKeys {
  readonly #prefix: string;
  readonly #hmacKey: Buffer | string;
  readonly #scope: string;

  constructor({ prefix, hmacKey, scope }: VerdictKeysOptions) {
    if (hmacKey.length === 0) throw new Error("the key of the verdict digests is empty");
    this.#prefix = prefix;
    this.#hmacKey = hmacKey;
    this.#scope = scope;
  }

  /** Where the verdict on a secret is, for replicas that follow the log in `epoch`. */
  verdict(secret: TokenSecret, epoch: string): string {
    return `${this.#prefix}:v:${epoch}:${this.#digest(secret)}`;
  }

  /** Where it says which replica asks the upstream about a secret. */
  claim(secret: TokenSecret): string {
    return `${this.#prefix}:c:${this.#digest(secret)}`;
  }

  /** Binds a value to its key: neither can be changed, or moved to another, without the shared key. 22 characters. */
  seal(key: string, value: string): string {
    return this.#hmac(["seal", key, value]).subarray(0, 16).toString("base64url");
  }

  #digest(secret: TokenSecret): string {
    return this.#hmac(["key", this.#scope, secret]).toString("base64url");
  }

  #hmac(fields: readonly string[]): Buffer {
    const hmac = createHmac("sha256", this.#hmacKey);
    for (const field of fields) hmac.update(`${Buffer.byteLength(field)}:`).update(field);
    return hmac.digest();
  }
}
