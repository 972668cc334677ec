import type { JsonObject } from "./json.ts";
import type { MachineRecord, State } from "./state.ts";

/** The wire form of a machine, with the machines it has access to. Times are milliseconds since the epoch. */
export function machineView(machine: MachineRecord, state: State): JsonObject {
  const scoped = [...machine.scopes].flatMap((id) => state.machine(id) ?? []);
  return { ...flatView(machine, state), scoped_machines: scoped.map((other) => flatView(other, state)) };
}

function flatView(machine: MachineRecord, state: State): JsonObject {
  return {
    object: "machine",
    id: machine.id,
    name: machine.name,
    instance_id: state.instanceId,
    created_at: machine.createdAtMs,
    updated_at: machine.updatedAtMs,
    default_token_ttl: machine.defaultTokenTtlSeconds,
  };
}
