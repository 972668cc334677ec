/**
 * Loaded into a gateway's process before its program: every token is known upstream, at once. Nothing else of the
 * gateway is replaced.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { MachineId, Token, TokenId, TokenSecret } from "../../../src/token/token.ts";

const path = pathToFileURL(resolve("dist/upstream/clerk-upstream.js")).href;
const { ClerkUpstream } = (await import(path)) as typeof import("../../../src/upstream/clerk-upstream.ts");
ClerkUpstream.prototype.verifyToken = (secret) => Promise.resolve(tokenOf(secret));

/** Built anew for each secret, as from an answer of the upstream: no two tokens share what they hold. */
function tokenOf(secret: TokenSecret): Token {
  const nowMs = Date.now();
  const machine = `mch_${"2benchBENCH".padEnd(27, "0")}` as MachineId;
  return {
    id: `mt_${createHash("md5").update(secret).digest("hex")}` as TokenId,
    subject: machine,
    format: "opaque",
    claims: { role: "reader", region: "eu-west-1" },
    scopes: [machine],
    revoked: false,
    revocationReason: undefined,
    expired: false,
    expiresAtMs: nowMs + 86_400_000,
    lastUsedAtMs: nowMs,
    createdAtMs: nowMs - 60_000,
    updatedAtMs: nowMs - 60_000,
  };
}
