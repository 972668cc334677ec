import type { CreatedToken, Token } from "../../src/token/token.ts";
import type { AcquireRequest } from "../../src/token/token-pool.ts";
import type { Domain } from "./domain.ts";
import { secretOf, token } from "./tokens.ts";

export const HOUR_MS = 3_600_000;

/** A token as the upstream gives it: minted `agoMs` before now by the domain's clock, to live `ttlMs`. */
export function minted(
  { clock }: Pick<Domain, "clock">,
  n: number,
  { ttlMs = HOUR_MS, agoMs = 0, ...overrides }: Partial<Token> & { ttlMs?: number; agoMs?: number } = {},
): CreatedToken {
  const createdAtMs = clock.wallMs() - agoMs;
  const expiresAtMs = ttlMs === Number.POSITIVE_INFINITY ? undefined : createdAtMs + ttlMs;
  return { token: token(n, { createdAtMs, updatedAtMs: createdAtMs, expiresAtMs, ...overrides }), secret: secretOf(n) };
}

export function acquireRequest(overrides: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    identity: undefined,
    format: "opaque",
    ttlSeconds: undefined,
    claims: undefined,
    minRemainingMs: undefined,
    signal: new AbortController().signal,
    ...overrides,
  };
}

/** Asks, and keeps what came of it: the secret, or the reason of the error. */
export function acquire({ pool }: Pick<Domain, "pool">, overrides: Partial<AcquireRequest> = {}) {
  const outcome: { secret?: string; token?: Token; error?: unknown } = {};
  const ask = async () => pool.acquire(acquireRequest(overrides));
  ask().then(
    (created) => Object.assign(outcome, { secret: created.secret, token: created.token }),
    (error: unknown) => Object.assign(outcome, { error }),
  );
  return outcome;
}
