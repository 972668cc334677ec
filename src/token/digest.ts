import { hash, randomBytes } from "node:crypto";
import type { TokenDigest } from "./token.ts";

/**
 * Makes the digester of one process and one credential scope. Its key is SHA-256 over a random prefix of fixed length and
 * the scope; a digest is SHA-256 over the key, of fixed length too, and the presented string: no two (scope, string) pairs
 * give the same input, nobody outside the process can compute one, and the string does not stay in memory.
 */
export function createDigester(scope: string, prefix = randomBytes(32)): (presented: string) => TokenDigest {
  const key = hash("sha256", prefix.toString("hex") + scope, "base64url");
  return (presented) => hash("sha256", key + presented, "binary") as TokenDigest;
}
