import { GatewayError } from "./errors.ts";
import type { Upstream } from "./ports.ts";
import type { MachineId, TokenId } from "./token.ts";

const PAGE_SIZE = 100;
/** Of one search: 10,000 tokens. */
const MAX_PAGES = 100;

/**
 * Whether a token is of one of the machines. The upstream does not tell of a token by its id, so the machines' tokens are
 * listed until it is among them.
 *
 * @throws GatewayError CALLER_FORBIDDEN when they have more tokens than are searched, and those of the upstream
 */
export async function isTokenOf(
  upstream: Upstream,
  id: TokenId,
  subjects: ReadonlySet<MachineId>,
  signal: AbortSignal,
): Promise<boolean> {
  let pagesLeft = MAX_PAGES;
  for (const subject of subjects) {
    for (let offset = 0; ; offset += PAGE_SIZE) {
      if (pagesLeft === 0) throw tooMany();
      pagesLeft -= 1;
      const tokens = await pageOf(upstream, subject, offset, signal);
      if (tokens.some((token) => token.id === id && token.subject === subject)) return true;
      if (tokens.length < PAGE_SIZE) break;
    }
  }
  return false;
}

/** A machine that the upstream does not know has no tokens. */
async function pageOf(upstream: Upstream, subject: MachineId, offset: number, signal: AbortSignal) {
  const wanted = { subject, includeRevoked: true, includeExpired: true, limit: PAGE_SIZE, offset };
  try {
    return (await upstream.listTokens(wanted, signal)).tokens;
  } catch (error) {
    if (error instanceof GatewayError && error.reason === "UPSTREAM_NOT_FOUND") return [];
    throw error;
  }
}

function tooMany(): GatewayError {
  const message = "the caller's subjects have too many tokens to search: revoke it by its secret";
  return new GatewayError("CALLER_FORBIDDEN", message);
}
