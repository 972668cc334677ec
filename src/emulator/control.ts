import type { IncomingMessage } from "node:http";
import type { EmulatorClock } from "./clock.ts";
import { assertFault, type Faults } from "./faults.ts";
import { type Answer, ok, readBody } from "./http.ts";
import { InvalidInput } from "./invalid-input.ts";
import { isJsonObject, type Json, type JsonObject, parseJson } from "./json.ts";
import type { RequestCounters } from "./requests.ts";
import { assertSwitches, type Switchboard } from "./switches.ts";

export const CONTROL_PREFIX = "/__emulator";

export interface Controls {
  readonly faults: Faults;
  readonly switches: Switchboard;
  readonly requests: RequestCounters;
  readonly clock: EmulatorClock;
  /** Everything the emulator holds, for people to read; keys and token secrets only if asked for. */
  describe(secrets: boolean): JsonObject;
  /** Signs JWTs with a new key from now on. Returns its id. */
  rotateSigningKey(withdrawsPrevious: boolean): string;
  reset(): void;
}

/**
 * The control API, under `/__emulator`. It takes and gives JSON and asks for no key: the emulator is a development tool.
 *
 *     GET    /state              machines, tokens' ids, counts; ?secrets=true adds keys
 *     POST   /reset              back to the seed: tokens, machines, faults, switches, counters and clock
 *     GET    /faults             what is left of them
 *     POST   /faults             adds a Fault; answers {"id"}
 *     DELETE /faults             removes all
 *     DELETE /faults/{id}        removes one
 *     GET    /switches           all, as they stand
 *     POST   /switches           sets those given; answers all
 *     GET    /requests           counts by operation
 *     DELETE /requests           sets them to zero
 *     POST   /signing_key        signs JWTs with a new key; {"withdraw_previous": true} takes the old ones out of the key
 *                                set; answers {"kid"}
 *     POST   /clock              {"advance_ms": n} moves the clock forward; answers {"now_ms", "offset_ms"}
 *
 * What is wrong with a request is answered with 400 and {"problems": [text, …]}. Requests that a browser sends for a web
 * page of another origin are refused, so that no page can drive an emulator on the reader's machine.
 */
export async function answerControl(
  request: IncomingMessage,
  path: string,
  query: URLSearchParams,
  controls: Controls,
) {
  if (request.headers.origin !== undefined) return problems(403, ["web pages may not use the control API"]);
  try {
    const body = request.method === "POST" ? await readControlBody(request) : null;
    return dispatch(`${request.method} ${path.slice(CONTROL_PREFIX.length)}`, query, body, controls);
  } catch (error) {
    if (error instanceof InvalidInput) return problems(400, error.problems);
    if (error instanceof RangeError) return problems(400, [error.message]);
    return problems(400, ["the body must be JSON of at most 1 MiB"]);
  }
}

function dispatch(what: string, query: URLSearchParams, body: Json, controls: Controls): Answer {
  const { faults, switches, requests, clock } = controls;
  const faultId = /^DELETE \/faults\/([^/]+)$/.exec(what)?.[1];
  if (faultId !== undefined) {
    return faults.remove(faultId) ? ok({}) : problems(404, ["there is no such fault, or it has been used up"]);
  }
  switch (what) {
    case "GET /state":
      return ok(controls.describe(query.get("secrets") === "true"));
    case "POST /reset":
      controls.reset();
      return ok({});
    case "GET /faults":
      return ok(faults.list().map((fault) => ({ ...fault })));
    case "POST /faults":
      assertFault(body);
      return { status: 201, body: { id: faults.add(body) } };
    case "DELETE /faults":
      faults.clear();
      return ok({});
    case "GET /switches":
      return ok({ ...switches.current });
    case "POST /switches":
      assertSwitches(body);
      switches.set(body);
      return ok({ ...switches.current });
    case "GET /requests":
      return ok(requests.counts());
    case "DELETE /requests":
      requests.reset();
      return ok({});
    case "POST /signing_key":
      return ok({ kid: controls.rotateSigningKey(isJsonObject(body) && body.withdraw_previous === true) });
    case "POST /clock":
      clock.advance(parseAdvance(body));
      return ok({ now_ms: clock.nowMs(), offset_ms: clock.offsetMs });
    default:
      return problems(404, ["no such operation; src/emulator/README.md lists them"]);
  }
}

async function readControlBody(request: IncomingMessage): Promise<Json> {
  const bytes = await readBody(request);
  return bytes.length === 0 ? null : parseJson(bytes.toString("utf8"));
}

function parseAdvance(body: Json): number {
  const ms = isJsonObject(body) ? body.advance_ms : undefined;
  return typeof ms === "number" ? ms : Number.NaN;
}

function problems(status: number, list: readonly string[]): Answer {
  return { status, body: { problems: list } };
}
