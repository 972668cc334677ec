import { GatewayError } from "../token/errors.ts";
import type { Exchange } from "./exchange.ts";
import type { MethodAccess } from "./method-access.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

/** What decides a call, where its caller's own key makes a difference. */
export type CallServices = Pick<RpcDependencies, "verifier" | "revoker" | "upstream">;

/** @throws GatewayError CALLER_CREDENTIAL_REJECTED */
export type OwnKeys = (key: string) => CallServices;

/** Metadata in which callers give a key of their own for the upstream. */
export const OWN_KEY_HEADER = "x-clerk-secret-key";

/**
 * What decides a call whose caller brings a key of its own; `undefined` for one that does not.
 *
 * @param ownKeys `undefined` where no such keys are taken
 * @throws GatewayError PASSTHROUGH_DISABLED, CALLER_CREDENTIAL_REJECTED
 */
export function ownKeyServices(
  exchange: Exchange,
  { ownKey }: MethodAccess,
  ownKeys: OwnKeys | undefined,
): CallServices | undefined {
  const key = exchange.header(OWN_KEY_HEADER);
  if (key === undefined || ownKey === "ignored") return undefined;
  if (ownKey === "refused") throw disabled("this call is never made with a key of the caller's own");
  if (ownKeys === undefined) throw disabled("this gateway takes no keys of its callers' own");
  return ownKeys(key);
}

function disabled(message: string): GatewayError {
  return new GatewayError("PASSTHROUGH_DISABLED", message);
}
