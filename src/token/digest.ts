import { hash, randomBytes } from "node:crypto";
import type { TokenDigest } from "./token.ts";

/**
 * Makes the digester of one process and one credential scope. The key is SHA-256 over a random prefix of fixed length,
 * the length-prefixed scope and, last, the presented string: no two (scope, string) pairs give the same input, nobody
 * outside the process can compute one, and the string does not stay in memory.
 */
export function createDigester(scope: string, prefix = randomBytes(32)): (presented: string) => TokenDigest {
  const head = `${prefix.toString("hex")}${scope.length}:${scope}`;
  return (presented) => hash("sha256", head + presented, "binary") as TokenDigest;
}
