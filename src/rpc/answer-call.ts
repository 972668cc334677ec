import type { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { type CallContext, contextValuesOf } from "./call-context.ts";
import type { CallPlace } from "./call-place.ts";
import type { PresentError } from "./connect-error.ts";
import type { DirectRpc } from "./direct-rpc.ts";
import type { Exchange } from "./exchange.ts";
import { ENVELOPE_HEAD_BYTES } from "./plain-grpc.ts";
import { type Protocol, protocolOf } from "./protocol.ts";
import { refuse } from "./refusal.ts";
import { continued, type GatheredBody, gatherBody, readBody } from "./request-body.ts";
import { writeResponse } from "./response-writer.ts";
import { MAX_TIMER_MS, parseTimeoutMs, takeTimeoutMs, timeoutHeaderOf } from "./timeout-header.ts";

/** A call that has been let in. */
export interface LetInCall {
  readonly exchange: Exchange;
  readonly handler: UniversalHandler;
  readonly direct: DirectRpc | undefined;
  readonly context: CallContext;
  /** Aborted when its caller leaves. */
  readonly left: AbortController;
  readonly place: CallPlace | undefined;
  /** When its head had come, by the monotonic clock. */
  readonly cameAtMs: number;
  readonly presentError: PresentError;
  readonly bodyTimeoutMs: number;
  readonly maxMessageBytes: number;
}

/** What requests of one message can come as. Whoever sends something else is told so before any of it is read. */
const MESSAGE_TYPE = /^application\/(grpc|json|proto|connect\+)/i;
/** The message alone is the body. */
const BARE_TYPE = /^application\/(json|proto)/i;

/**
 * Answers a call: without the RPC framework where that is possible, else by its handler. Resolves with what its caller was
 * told in place of an answer.
 */
export async function answerCall(call: LetInCall): Promise<ConnectError | undefined> {
  const { exchange, handler, context, presentError } = call;
  if (!takesOne(handler) || exchange.method !== "POST" || !MESSAGE_TYPE.test(exchange.header("content-type") ?? "")) {
    return await answerByFramework(call, NOTHING_YET);
  }
  const protocol = protocolOf(exchange.header("content-type"));
  let body: GatheredBody;
  try {
    const limitMs = Math.min(timeLeftMs(call, protocol) ?? call.bodyTimeoutMs, call.bodyTimeoutMs);
    body = await gatherBody(exchange, limitMs, maxBodyBytes(call), call.place);
  } catch (thrown) {
    context.thrown = thrown;
    const error = presentError(thrown, call.left.signal);
    if (!exchange.isClosed) refuse(exchange, protocol, error);
    return error;
  }
  const answered = body.isWhole ? answerDirectly(call, protocol, body) : undefined;
  return await (answered ?? answerByFramework(call, body));
}

/** Whether a call has a single request message. */
export function takesOne({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}

/** What the largest message takes, with its head where it has one. */
function maxBodyBytes({ exchange, maxMessageBytes }: LetInCall): number {
  const isBare = BARE_TYPE.test(exchange.header("content-type") ?? "");
  return isBare ? maxMessageBytes : maxMessageBytes + ENVELOPE_HEAD_BYTES;
}

const NOTHING_YET: GatheredBody = { pieces: [], isWhole: false };

function answerDirectly(
  call: LetInCall,
  protocol: Protocol,
  { pieces }: GatheredBody,
): Promise<ConnectError | undefined> | undefined {
  const { exchange, direct, context, left, place } = call;
  if (direct === undefined) return undefined;
  const timeout = exchange.header(timeoutHeaderOf(protocol));
  // What is malformed is for the framework to refuse.
  if (timeout !== undefined && parseTimeoutMs(protocol, timeout) === undefined) return undefined;
  const body = Buffer.concat(pieces);
  return direct.answer({ exchange, body, context, left, timeLeftMs: timeLeftMs(call, protocol), place });
}

/** For how long the call may still take; `undefined` when its caller does not say, or more than timers can hold. */
function timeLeftMs({ exchange, cameAtMs }: LetInCall, protocol: Protocol): number | undefined {
  const timeout = exchange.header(timeoutHeaderOf(protocol));
  const timeoutMs = timeout === undefined ? undefined : parseTimeoutMs(protocol, timeout);
  if (timeoutMs === undefined || timeoutMs > MAX_TIMER_MS) return undefined;
  return Math.max(0, timeoutMs - (performance.now() - cameAtMs));
}

async function answerByFramework(call: LetInCall, body: GatheredBody): Promise<ConnectError | undefined> {
  const { exchange, handler, presentError, place } = call;
  const protocol = protocolOf(exchange.header("content-type"));
  const answer = await handler(universalRequest(call, protocol, body));
  const answerPlace = handler.method.methodKind === "unary" ? place : undefined;
  return await writeResponse(exchange, answer, protocol, presentError, answerPlace);
}

function universalRequest(call: LetInCall, protocol: Protocol, body: GatheredBody): UniversalServerRequest {
  const { exchange, handler, context, left, place, cameAtMs, bodyTimeoutMs } = call;
  const header = exchange.headers();
  const timeoutMs = takeTimeoutMs(protocol, header, performance.now() - cameAtMs);
  const limitMs = takesOne(handler) ? Math.min(timeoutMs ?? bodyTimeoutMs, bodyTimeoutMs) : timeoutMs;
  return {
    httpVersion: exchange.httpVersion,
    method: exchange.method,
    // Only the path and the query are of use; the authority is the caller's to choose and need not be well-formed.
    url: new URL(exchange.target, "http://gateway").toString(),
    header,
    body: continued(body, () => readBody(exchange, limitMs, takesOne(handler) ? place : undefined)),
    signal: left.signal,
    contextValues: contextValuesOf(context),
  };
}
