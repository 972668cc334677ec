import { hash, randomBytes } from "node:crypto";
import type { TokenDigest } from "./token.ts";
import { MAX_SECRET_LENGTH } from "./token-form.ts";

/**
 * Makes the digests of one process. Its key is SHA-256 over a random prefix of fixed length and the credential scope; a
 * digest is SHA-256 over the key, of fixed length too, and the presented string in UTF-8: no two (scope, string) pairs give
 * the same input, nobody outside the process can compute one, and the string does not stay in memory.
 */
export class Digester {
  #key: string;
  /** The key, and room for what is presented as bytes. Made for the first of them, and of zeros in between. */
  #input: Buffer | undefined;
  /** The part of the input that was digested last: most tokens are equally long. */
  #digested: Buffer | undefined;

  constructor(scope: string, prefix: Buffer = randomBytes(32)) {
    this.#key = keyOf(scope, prefix);
  }

  /** From now on digests are others, with this scope. */
  useScope(scope: string): void {
    this.#key = keyOf(scope, randomBytes(32));
    this.#input = undefined;
    this.#digested = undefined;
  }

  of(presented: string): TokenDigest {
    return hash("sha256", this.#key + presented, "binary") as TokenDigest;
  }

  /** The same digest for the string that `bytes[start, end)` are in UTF-8. At most `MAX_SECRET_LENGTH` bytes. */
  ofBytes(bytes: Buffer, start: number, end: number): TokenDigest {
    this.#input ??= Buffer.alloc(this.#key.length + MAX_SECRET_LENGTH).fill(this.#key, 0, this.#key.length, "latin1");
    const input = this.#input;
    const from = this.#key.length;
    const to = from + end - start;
    bytes.copy(input, from, start, end);
    if (this.#digested?.length !== to) this.#digested = input.subarray(0, to);
    const digest = hash("sha256", this.#digested, "binary") as TokenDigest;
    input.fill(0, from, to);
    return digest;
  }
}

function keyOf(scope: string, prefix: Buffer): string {
  return hash("sha256", prefix.toString("hex") + scope, "base64url");
}
