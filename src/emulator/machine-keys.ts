import type { Call, World } from "./call.ts";
import { objectBody, Problems, unknownKeys } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import { machineAt } from "./machines.ts";

const MAX_GRACE_SECONDS = 28_800;

/** GET /machines/{id}/secret_key */
export function getMachineKey({ params }: Call, { state }: World): Answer {
  return ok({ object: "machine_secret_key", secret: machineAt(params[0], state).secretKey });
}

/** POST /machines/{id}/secret_key/rotate: the present key stays valid for `previous_token_ttl` seconds. */
export function rotateMachineKey({ params, body }: Call, { state }: World): Answer {
  const machine = machineAt(params[0], state);
  const fields = objectBody(body);
  const problems = new Problems();
  for (const key of unknownKeys(fields, ["previous_token_ttl"])) problems.unknown(key);
  const ttl = fields.previous_token_ttl;
  if (ttl === undefined) problems.missing("previous_token_ttl");
  else if (typeof ttl !== "number") problems.wrongType("previous_token_ttl", "a number");
  else if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_GRACE_SECONDS) {
    problems.wrongValue("previous_token_ttl", `a whole number from 0 to ${MAX_GRACE_SECONDS}`);
  }
  problems.throwIfAny(422);
  state.rotateKey(machine, Number(ttl));
  return ok({ object: "machine_secret_key", secret: machine.secretKey });
}
