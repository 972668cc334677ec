import type { World } from "./call.ts";
import type { Faults } from "./faults.ts";
import type { JsonObject } from "./json.ts";
import type { RequestCounters } from "./requests.ts";
import { isExpired } from "./state.ts";

/** What the emulator holds, for people to read. Without `secrets`, no key and no token's secret is in it. */
export function describeState(
  { state, clock, switches }: World,
  faults: Faults,
  requests: RequestCounters,
  secrets: boolean,
): JsonObject {
  const nowMs = clock.nowMs();
  const tokens = state.tokens().map((token) => ({
    id: token.id,
    subject: token.subject,
    revoked: token.revokedAtMs !== undefined,
    expired: isExpired(token, nowMs),
    ...(secrets ? { token: token.secret } : {}),
  }));
  return {
    instance: { id: state.instanceId, ...(secrets ? { secret_key: state.instanceKey } : {}) },
    now_ms: nowMs,
    clock_offset_ms: clock.offsetMs,
    machines: state.machines().map((machine) => ({
      id: machine.id,
      name: machine.name,
      default_token_ttl: machine.defaultTokenTtlSeconds,
      scoped_machines: [...machine.scopes],
      ...(secrets ? { secret_key: machine.secretKey } : {}),
    })),
    tokens,
    token_counts: {
      total: tokens.length,
      live: tokens.filter(({ revoked, expired }) => !revoked && !expired).length,
      revoked: tokens.filter(({ revoked }) => revoked).length,
      expired: tokens.filter(({ expired }) => expired).length,
    },
    switches: { ...switches.current },
    faults: faults.list().map((fault) => ({ ...fault })),
    requests: requests.counts(),
  };
}
