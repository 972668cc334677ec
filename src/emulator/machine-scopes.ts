import type { Call, World } from "./call.ts";
import { apiError, notFound } from "./errors.ts";
import { objectBody, Problems, unknownKeys } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import { MAX_SCOPES } from "./limits.ts";
import { machineAt } from "./machines.ts";

/** POST /machines/{id}/scopes: tokens minted from now on grant access to the other machine; older ones do not change. */
export function createScope({ params, body }: Call, { state, clock }: World): Answer {
  const machine = machineAt(params[0], state);
  const fields = objectBody(body ?? {});
  const problems = new Problems();
  for (const key of unknownKeys(fields, ["to_machine_id"])) problems.unknown(key);
  const to = fields.to_machine_id;
  if (to === undefined) problems.missing("to_machine_id");
  else if (typeof to !== "string") problems.wrongType("to_machine_id", "a machine id");
  problems.throwIfAny(422);
  const other = machineAt(String(to), state);
  if (machine.scopes.has(other.id)) throw apiError("conflict");
  if (machine.scopes.size >= MAX_SCOPES) problems.wrongValue("to_machine_id", `one of at most ${MAX_SCOPES} scopes`);
  problems.throwIfAny(422);
  machine.scopes.add(other.id);
  machine.updatedAtMs = clock.nowMs();
  return ok({
    object: "machine_scope",
    from_machine_id: machine.id,
    to_machine_id: other.id,
    created_at: machine.updatedAtMs,
  });
}

/** DELETE /machines/{id}/scopes/{other_id} */
export function deleteScope({ params }: Call, { state, clock }: World): Answer {
  const machine = machineAt(params[0], state);
  const otherId = params[1] ?? "";
  if (!machine.scopes.delete(otherId)) throw notFound();
  machine.updatedAtMs = clock.nowMs();
  return ok({ object: "machine_scope", from_machine_id: machine.id, to_machine_id: otherId, deleted: true });
}
