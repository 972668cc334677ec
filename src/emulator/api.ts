import type { IncomingMessage, ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { checkApiVersion } from "./api-version.ts";
import { admit, authenticate, type Principal } from "./auth.ts";
import type { World } from "./call.ts";
import { ApiError, apiError, errorBody, faultError } from "./errors.ts";
import { type Fault, type Faults, isCarriedOut } from "./faults.ts";
import { type Answer, JSON_TYPE, readBody, send, sendTruncated, toWire, type WireAnswer } from "./http.ts";
import { newTraceId } from "./ids.ts";
import { type Json, parseJson } from "./json.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { RequestCounters } from "./requests.ts";
import { findRoute, type RouteMatch, UNKNOWN_OPERATION } from "./router.ts";

/** One API request, as told to the log. Never holds a key or a token. */
export interface RequestEvent {
  readonly method: string;
  /** The route's path, with `{…}` for its parameters, or `(no route)`. */
  readonly path: string;
  /** 0 when the request ended without an answer. */
  readonly status: number;
  readonly durationMs: number;
  readonly traceId: string;
}

interface Parts {
  readonly world: World;
  readonly faults: Faults;
  readonly requests: RequestCounters;
  readonly rateLimit: RateLimit;
  readonly log: (event: RequestEvent) => void;
}

/** Takes API requests through faults, authentication, limits, routing and execution. */
export class Api {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Ends when the request has been answered, or never will be. Does not reject. */
  async handle(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams) {
    const match = findRoute(request.method ?? "", path);
    const operation = match?.route.operation ?? UNKNOWN_OPERATION;
    const traceId = newTraceId();
    response.setHeader("x-clerk-trace-id", traceId);
    const end = this.#begin(request, match, operation, traceId);
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort();
      end(undefined);
    });
    const carryOut = () => this.#carryOut(request, query, match, traceId);
    try {
      const fault = this.#parts.faults.take(operation);
      if (fault === undefined) finish(response, await carryOut(), end);
      else await strike(fault, response, carryOut, end, traceId, gone.signal);
    } catch (error) {
      if (!gone.signal.aborted) finish(response, wireError(error, traceId), end);
    }
  }

  /** Returns what is called with the status when it is answered, and with `undefined` when the connection closes. */
  #begin(request: IncomingMessage, match: RouteMatch | undefined, operation: string, traceId: string): End {
    const startedMs = performance.now();
    const { requests } = this.#parts;
    requests.noteTrace(operation, header(request, "traceparent"), header(request, "tracestate"));
    const count = requests.begin(operation);
    let ended = false;
    return (status) => {
      if (ended) return;
      ended = true;
      count(status);
      const durationMs = performance.now() - startedMs;
      const path = match?.route.path ?? "(no route)";
      this.#parts.log({ method: request.method ?? "", path, status: status ?? 0, durationMs, traceId });
    };
  }

  async #carryOut(
    request: IncomingMessage,
    query: URLSearchParams,
    match: RouteMatch | undefined,
    traceId: string,
  ): Promise<WireAnswer> {
    try {
      return toWire(await this.#answer(request, query, match));
    } catch (error) {
      return wireError(error, traceId);
    }
  }

  /** @throws ApiError */
  async #answer(request: IncomingMessage, query: URLSearchParams, match: RouteMatch | undefined): Promise<Answer> {
    const { world } = this.#parts;
    const principal = this.#identify(request, match);
    if (match?.route.keys !== "none") checkApiVersion(header(request, "clerk-api-version"), query);
    if (match === undefined) {
      throw apiError("resource_not_found", { message: "URL not found", longMessage: "The URL was not found" });
    }
    if (match.route.keys !== "none") admit(principal, match.route.keys);
    const takesBody = request.method === "POST" || request.method === "PATCH";
    const body = takesBody ? await readJson(request) : undefined;
    return match.route.run({ principal, params: match.params, query, body }, world);
  }

  /** Key sets are not rate limited; the public one needs no key, and what the instance's own would see is public too. */
  #identify(request: IncomingMessage, match: RouteMatch | undefined): Principal {
    const { state, switches, clock } = this.#parts.world;
    if (match?.route.keys === "none") return { kind: "instance", key: state.instanceKey };
    const principal = authenticate(header(request, "authorization"), state);
    if (match?.route.operation !== "jwks.get") {
      this.#parts.rateLimit.count(principal.key, switches.current.rate_limit_per_10s, clock.nowMs());
    }
    return principal;
  }
}

type End = (status: number | undefined) => void;

async function strike(
  fault: Fault,
  response: ServerResponse,
  carryOut: () => Promise<WireAnswer>,
  end: End,
  traceId: string,
  gone: AbortSignal,
): Promise<void> {
  if (fault.latency_ms !== undefined) await delay(fault.latency_ms, undefined, { signal: gone });
  const executed = isCarriedOut(fault) ? await carryOut() : undefined;
  if (fault.answer_latency_ms !== undefined) await delay(fault.answer_latency_ms, undefined, { signal: gone });
  if (fault.hang) return;
  if (fault.reset) {
    response.socket?.resetAndDestroy();
    return;
  }
  const answer = replaced(fault, executed, traceId);
  if (fault.truncate === undefined) return finish(response, answer, end);
  end(answer.status);
  sendTruncated(response, answer, fault.truncate);
}

function replaced(fault: Fault, executed: WireAnswer | undefined, traceId: string): WireAnswer {
  const headers = fault.headers ?? {};
  if (fault.body !== undefined) {
    const type = { "content-type": fault.content_type ?? JSON_TYPE };
    return { status: fault.status ?? 200, headers: { ...type, ...headers }, payload: Buffer.from(fault.body) };
  }
  const stands = fault.status === undefined && fault.code === undefined;
  const base = stands ? executed : undefined;
  const answer = base ?? wireError(faultError(fault.status, fault.code), traceId);
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

function finish(response: ServerResponse, answer: WireAnswer, end: End): void {
  end(answer.status);
  send(response, answer);
}

function wireError(error: unknown, traceId: string): WireAnswer {
  const { status, items, headers } = error instanceof ApiError ? error : apiError("internal_clerk_error");
  return toWire({ status, headers, body: errorBody(items, traceId) });
}

/** @throws ApiError request_body_too_large, unsupported_content_type or request_body_invalid */
async function readJson(request: IncomingMessage): Promise<Json | undefined> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return undefined;
  const type = header(request, "content-type") ?? "";
  if (type.split(";")[0]?.trim().toLowerCase() !== JSON_TYPE) {
    const longMessage = `Content-Type ${type} is unsupported. You should use ${JSON_TYPE} instead.`;
    throw apiError("unsupported_content_type", { longMessage });
  }
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw apiError("request_body_invalid");
  }
}

/** A header's value; of one that was sent more than once, all of them. */
function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
