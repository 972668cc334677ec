import { apiError } from "./errors.ts";
import type { MachineRecord, State } from "./state.ts";

/** Who a request comes from: the holder of the instance's key, or a machine. */
export type Principal =
  | { readonly kind: "instance"; readonly key: string }
  | { readonly kind: "machine"; readonly key: string; readonly machine: MachineRecord };

/** Which keys an operation takes. */
export type KeysTaken = "machine" | "instance" | "any";

/** @throws ApiError 401 */
export function authenticate(header: string | undefined, state: State): Principal {
  if (header === undefined) throw apiError("authentication_invalid");
  const key = /^Bearer ([^\s]+)$/i.exec(header)?.[1];
  if (key === undefined) throw apiError("authorization_header_format_invalid");
  if (key === state.instanceKey) return { kind: "instance", key };
  const machine = state.machineOfKey(key);
  if (machine !== undefined) return { kind: "machine", key, machine };
  throw apiError(key.startsWith("ak_") ? "machine_secret_key_invalid" : "clerk_key_invalid");
}

/**
 * That the key is of a kind the operation takes. The wrong kind is answered as an invalid key of the right kind.
 *
 * @throws ApiError 401
 */
export function admit(principal: Principal, taken: KeysTaken): void {
  if (taken === "any" || taken === principal.kind) return;
  throw apiError(taken === "machine" ? "machine_secret_key_invalid" : "clerk_key_invalid");
}
