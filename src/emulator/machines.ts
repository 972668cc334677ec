import type { Call, World } from "./call.ts";
import { notFound } from "./errors.ts";
import { objectBody, Problems, unknownKeys, wholeNumber } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import type { Json, JsonObject } from "./json.ts";
import { DEFAULT_TOKEN_TTL_SECONDS, MAX_SCOPES } from "./limits.ts";
import { machineView } from "./machine-view.ts";
import type { MachineRecord, State } from "./state.ts";

/** GET /machines */
export function listMachines({ query }: Call, { state }: World): Answer {
  const problems = new Problems();
  const number = (name: string, fallback: number, min: number, max: number) => {
    const value = wholeNumber(query.get(name) ?? String(fallback), min, max);
    if (value === undefined) problems.wrongValue(name, `a whole number from ${min} to ${max}`);
    return value ?? fallback;
  };
  const limit = number("limit", 10, 1, 500);
  const offset = number("offset", 0, 0, Number.MAX_SAFE_INTEGER);
  const order = parseOrder(query.get("order_by") ?? "-created_at", problems);
  problems.throwIfAny(422);
  const wanted = query.get("query") ?? "";
  const matching = state.machines().filter(({ id, name }) => id === wanted || contains(name, wanted));
  const page = sorted(matching, order).slice(offset, offset + limit);
  return ok({ data: page.map((machine) => machineView(machine, state)), total_count: matching.length });
}

/** POST /machines: the only answer, but for its own operation, that has the machine's key. */
export function createMachine({ body }: Call, { state }: World): Answer {
  const fields = objectBody(body ?? {});
  const problems = new Problems();
  for (const key of unknownKeys(fields, ["name", "scoped_machines", "default_token_ttl"])) problems.unknown(key);
  if (fields.name === undefined) problems.missing("name");
  const name = parseName(fields, problems) ?? "";
  const scopes = parseScopes(fields.scoped_machines, state, problems);
  const defaultTokenTtlSeconds = parseTtl(fields, problems) ?? DEFAULT_TOKEN_TTL_SECONDS;
  problems.throwIfAny(422);
  const machine = state.addMachine({ name, scopes, defaultTokenTtlSeconds });
  return ok({ ...machineView(machine, state), secret_key: machine.secretKey });
}

/** GET /machines/{id} */
export function getMachine({ params }: Call, { state }: World): Answer {
  return ok(machineView(machineAt(params[0], state), state));
}

/** PATCH /machines/{id}: only the fields given change. */
export function updateMachine({ params, body }: Call, { state, clock }: World): Answer {
  const machine = machineAt(params[0], state);
  const fields = objectBody(body ?? {});
  const problems = new Problems();
  for (const key of unknownKeys(fields, ["name", "default_token_ttl"])) problems.unknown(key);
  const name = parseName(fields, problems);
  const ttlSeconds = parseTtl(fields, problems);
  problems.throwIfAny(422);
  machine.name = name ?? machine.name;
  machine.defaultTokenTtlSeconds = ttlSeconds ?? machine.defaultTokenTtlSeconds;
  machine.updatedAtMs = clock.nowMs();
  return ok(machineView(machine, state));
}

/** DELETE /machines/{id} */
export function deleteMachine({ params }: Call, { state, switches }: World): Answer {
  const machine = machineAt(params[0], state);
  state.removeMachine(machine, switches.current.machine_deletion_kills_tokens);
  return ok({ object: "machine", id: machine.id, deleted: true });
}

/** @throws ApiError resource_not_found */
export function machineAt(id: string | undefined, state: State): MachineRecord {
  const machine = id === undefined ? undefined : state.machine(id);
  if (machine === undefined) throw notFound();
  return machine;
}

interface Order {
  readonly by: "name" | "created_at";
  readonly descending: boolean;
}

/** A `+` that the client did not escape arrives as a space. */
function parseOrder(text: string, problems: Problems): Order {
  const [, sign, by] = /^([-+ ]?)(name|created_at)$/.exec(text) ?? [];
  if (by === undefined) problems.wrongValue("order_by", "name or created_at, with + or - before it or nothing");
  return { by: by === "name" ? "name" : "created_at", descending: sign === "-" };
}

/** Machines that tie stay in the order of their creation, or in its reverse. */
function sorted(machines: readonly MachineRecord[], { by, descending }: Order): MachineRecord[] {
  const ascending =
    by === "name"
      ? machines.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))
      : machines.toSorted((a, b) => a.createdAtMs - b.createdAtMs);
  return descending ? ascending.toReversed() : ascending;
}

function contains(name: string, wanted: string): boolean {
  return name.toLowerCase().includes(wanted.toLowerCase());
}

function parseName({ name }: JsonObject, problems: Problems): string | undefined {
  if (name === undefined) return undefined;
  if (typeof name !== "string") return problems.wrongType("name", "text");
  return name.length >= 1 && name.length <= 255 ? name : problems.wrongValue("name", "1 to 255 characters long");
}

function parseTtl({ default_token_ttl: ttl }: JsonObject, problems: Problems): number | undefined {
  if (ttl === undefined) return undefined;
  if (typeof ttl !== "number") return problems.wrongType("default_token_ttl", "a number");
  const fits = Number.isInteger(ttl) && ttl >= 1 && ttl <= 315_360_000;
  return fits ? ttl : problems.wrongValue("default_token_ttl", "a whole number from 1 to 315360000");
}

function parseScopes(value: Json | undefined, state: State, problems: Problems): string[] {
  if (value === undefined) return [];
  const list: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
  const ids = list?.filter((id) => typeof id === "string").map(String) ?? [];
  if (list === undefined || ids.length < list.length) problems.wrongType("scoped_machines", "a list of machine ids");
  if (ids.length > MAX_SCOPES) problems.wrongValue("scoped_machines", `at most ${MAX_SCOPES} machine ids`);
  if (ids.some((id) => state.machine(id) === undefined)) {
    problems.wrongValue("scoped_machines", "ids of machines of this instance");
  }
  return ids;
}
