import type { MachineId, TokenId, TokenSecret } from "../../../src/token/token.ts";
import { ClerkUpstream, type ClerkUpstreamOptions } from "../../../src/upstream/clerk-upstream.ts";
import { FakeClock } from "./fake-clock.ts";
import { ScriptedServer } from "./scripted-server.ts";

export const MACHINE_KEY = "ak_machineKEYmachineKEYmachineKEY00";
export const INSTANCE_KEY = "sk_test_instanceKEYinstanceKEYinst";
export const SECRET = "mt_8XOIucKvqHVr5tYP123456789abcdefghij" as TokenSecret;
export const ID = "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e" as TokenId;
export const SUBJECT = "mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk" as MachineId;
export const BODY = {
  object: "machine_to_machine_token",
  id: ID,
  subject: SUBJECT,
  claims: null,
  scopes: [],
  revoked: false,
  revocation_reason: null,
  expired: false,
  expiration: 1716883200000,
  last_used_at: null,
  created_at: 1716879600000,
  updated_at: 1716879600000,
};
export const CREATE = {
  format: "opaque",
  ttlSeconds: undefined,
  claims: undefined,
  minRemainingTtlSeconds: undefined,
} as const;
export const LIST = { subject: SUBJECT, includeRevoked: false, includeExpired: false, limit: 10, offset: 0 } as const;

export interface Rig extends AsyncDisposable {
  readonly server: ScriptedServer;
  readonly clock: FakeClock;
  readonly upstream: ClerkUpstream;
  readonly url: string;
}

/** A client of a scripted server, on a clock that stands still. */
export async function createRig(options: Partial<ClerkUpstreamOptions> = {}, path = ""): Promise<Rig> {
  const server = new ScriptedServer();
  const clock = new FakeClock();
  const url = await server.listen();
  const upstream = new ClerkUpstream({
    baseUrl: url + path,
    machineSecretKey: MACHINE_KEY,
    secretKey: INSTANCE_KEY,
    timeoutMs: 5000,
    attemptTimeoutMs: 2500,
    maxAttempts: 3,
    maxConcurrency: 16,
    maxQueue: 64,
    maxRequestsPerSecond: 1000,
    apiVersion: "2026-05-12",
    clock,
    // No jitter: repeats go out at once, without the clock.
    random: () => 0,
    ...options,
  });
  const dispose = async (): Promise<void> => {
    await upstream.close();
    await server.close();
  };
  return { server, clock, upstream, url, [Symbol.asyncDispose]: dispose };
}
