import type { KeysTaken } from "./auth.ts";
import type { Operation } from "./call.ts";
import { createToken } from "./create-token.ts";
import { ok } from "./http.ts";
import { listTokens } from "./list-tokens.ts";
import { getMachineKey, rotateMachineKey } from "./machine-keys.ts";
import { createScope, deleteScope } from "./machine-scopes.ts";
import { createMachine, deleteMachine, getMachine, listMachines, updateMachine } from "./machines.ts";
import { revokeToken } from "./revoke-token.ts";
import { verifyToken } from "./verify-token.ts";

interface Route {
  readonly operation: string;
  readonly method: string;
  /** Path without `/v1`; `{…}` stands for one segment. */
  readonly path: string;
  readonly keys: KeysTaken | "none";
  readonly run: Operation;
}

export interface RouteMatch {
  readonly route: Route;
  /** Path parameters in the order of the path. */
  readonly params: readonly string[];
}

const ROUTES: readonly Route[] = [
  route("m2m_tokens.create", "POST", "/m2m_tokens", "machine", createToken),
  route("m2m_tokens.list", "GET", "/m2m_tokens", "any", listTokens),
  route("m2m_tokens.verify", "POST", "/m2m_tokens/verify", "any", verifyToken),
  route("m2m_tokens.revoke", "POST", "/m2m_tokens/{m2m_token_id}/revoke", "any", revokeToken),
  route("machines.list", "GET", "/machines", "instance", listMachines),
  route("machines.create", "POST", "/machines", "instance", createMachine),
  route("machines.get", "GET", "/machines/{machine_id}", "instance", getMachine),
  route("machines.update", "PATCH", "/machines/{machine_id}", "instance", updateMachine),
  route("machines.delete", "DELETE", "/machines/{machine_id}", "instance", deleteMachine),
  route("machines.get_secret_key", "GET", "/machines/{machine_id}/secret_key", "instance", getMachineKey),
  route("machines.rotate_secret_key", "POST", "/machines/{machine_id}/secret_key/rotate", "instance", rotateMachineKey),
  route("machines.create_scope", "POST", "/machines/{machine_id}/scopes", "instance", createScope),
  route("machines.delete_scope", "DELETE", "/machines/{machine_id}/scopes/{other_machine_id}", "instance", deleteScope),
  route("jwks.get", "GET", "/jwks", "instance", keySet),
  route("jwks.public", "GET", "/.well-known/jwks.json", "none", keySet),
];

/** Name under which requests that no route matches are counted and may be given faults. */
export const UNKNOWN_OPERATION = "unknown";

/** Names of all operations. */
export const OPERATIONS: readonly string[] = [...ROUTES.map(({ operation }) => operation), UNKNOWN_OPERATION];

/** The route of a request, if it has one. Every path is served with and without `/v1`. */
export function findRoute(method: string, pathname: string): RouteMatch | undefined {
  const segments = pathname.replace(/^\/v1(?=\/)/, "").split("/");
  for (const candidate of ROUTES) {
    if (candidate.method !== method) continue;
    const params = matchSegments(candidate.path.split("/"), segments);
    if (params !== undefined) return { route: candidate, params };
  }
  return undefined;
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): string[] | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: string[] = [];
  for (const [i, part] of pattern.entries()) {
    const segment = segments[i] ?? "";
    if (part.startsWith("{") && segment !== "") params.push(segment);
    else if (part !== segment) return undefined;
  }
  return params;
}

async function keySet(...[, { jwts }]: Parameters<Operation>) {
  return ok(await jwts.keySet());
}

function route(operation: string, method: string, path: string, keys: Route["keys"], run: Operation): Route {
  return { operation, method, path, keys, run };
}
