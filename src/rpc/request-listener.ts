import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { canceled } from "../token/errors.ts";
import type { Admission, Limit } from "./admission.ts";
import { type CallContext, contextValuesOf, drainingError } from "./call-context.ts";
import type { ObserveCall } from "./call-observer.ts";
import { CallPlace, Probes } from "./call-place.ts";
import { CallReporter } from "./call-report.ts";
import { worthOf } from "./call-worth.ts";
import { connectErrorFrom, type PresentError } from "./connect-error.ts";
import { type Exchange, pathOf } from "./exchange.ts";
import { protocolOf } from "./protocol.ts";
import { RefusedCalls } from "./refused-call.ts";
import { readBody } from "./request-body.ts";
import { writeResponse } from "./response-writer.ts";
import { takeTimeoutMs } from "./timeout-header.ts";
import { answerUnknown } from "./unknown-rpc.ts";

export interface RequestListenerOptions {
  readonly handlers: readonly UniversalHandler[];
  readonly observe: ObserveCall;
  readonly presentError: PresentError;
  /** How long the body of a call with a single request message may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
  readonly admission: Admission;
}

export interface RequestListener {
  handle(exchange: Exchange): void;
  /** Tells every open stream, and every stream to come, that the server drains. */
  drain(): void;
}

/**
 * Serves the RPC framework's handlers, whatever carries the calls. In place of the framework's own adapter to Node's
 * servers, because that one throws out of the server's event when the Host header is not a URL's, destroys a connection whose
 * request is too large before the answer is on it, logs to the console, and does not say when a call ends.
 */
export function createRequestListener(options: RequestListenerOptions): RequestListener {
  const handlers = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));
  const streams = new Set<AbortController>();
  const never = new AbortController().signal;
  const probes = new Probes();
  const refused = new RefusedCalls(options.presentError);
  const { admission } = options;
  let draining = false;

  const refuse = (handler: UniversalHandler, exchange: Exchange, limit: Limit) => {
    admission.refuse(limit);
    const { reporter } = observed(handler, exchange, options);
    reporter.end(refused.answer(exchange, limit), undefined);
    exchange.discardRest(options.bodyTimeoutMs, true);
  };
  const serveIn = (handler: UniversalHandler, exchange: Exchange, drain: AbortSignal) => {
    const isProbe = worthOf(handler.requestPath) === "vital";
    if (isProbe) probes.add(exchange);
    const place = isProbe ? undefined : new CallPlace(admission);
    return serve(handler, exchange, options, drain, place).finally(() => {
      if (place !== undefined) exchange.whenOver(() => place.free());
    });
  };

  return {
    handle(exchange) {
      const handler = handlers.get(pathOf(exchange));
      if (handler === undefined) {
        answerUnknown(exchange, options);
        return;
      }
      const limit = admission.limitFor(handler.requestPath);
      if (limit !== undefined) {
        refuse(handler, exchange, limit);
        return;
      }
      if (handler.method.methodKind === "unary") {
        void serveIn(handler, exchange, never);
        return;
      }
      const drain = new AbortController();
      if (draining) drain.abort(drainingError());
      streams.add(drain);
      void serveIn(handler, exchange, drain.signal).finally(() => streams.delete(drain));
    },
    drain() {
      draining = true;
      for (const stream of streams) stream.abort(drainingError());
    },
  };
}

/** Never rejects. */
async function serve(
  handler: UniversalHandler,
  exchange: Exchange,
  options: RequestListenerOptions,
  drain: AbortSignal,
  place: CallPlace | undefined,
): Promise<void> {
  const protocol = protocolOf(exchange.header("content-type"));
  const { call, reporter } = observed(handler, exchange, options);
  const context: CallContext = { drain, thrown: undefined };
  const caller = new AbortController();
  let answered = false;
  exchange.onClose(() => {
    if (answered) return;
    reporter.end(connectErrorFrom(canceled()), undefined);
    caller.abort(canceled());
  });
  const answer = async () => {
    const response = await handler(universalRequest(exchange, caller.signal, options, handler, context, place));
    const answerPlace = handler.method.methodKind === "unary" ? place : undefined;
    return await writeResponse(exchange, response, protocol, options.presentError, answerPlace);
  };
  try {
    const error = await (call.run?.(answer) ?? answer());
    answered = true;
    reporter.end(error, context.thrown, context.outcome);
    exchange.discardRest(options.bodyTimeoutMs, !takesOne(handler));
  } catch (error) {
    answered = true;
    reporter.end(connectErrorFrom(error), error);
    exchange.destroy();
  }
}

function universalRequest(
  exchange: Exchange,
  signal: AbortSignal,
  options: RequestListenerOptions,
  handler: UniversalHandler,
  context: CallContext,
  place: CallPlace | undefined,
): UniversalServerRequest {
  const header = exchange.headers();
  const timeoutMs = takeTimeoutMs(protocolOf(exchange.header("content-type")), header);
  const bodyTimeoutMs = takesOne(handler)
    ? Math.min(timeoutMs ?? options.bodyTimeoutMs, options.bodyTimeoutMs)
    : timeoutMs;
  return {
    httpVersion: exchange.httpVersion,
    method: exchange.method,
    // Only the path and the query are of use; the authority is the caller's to choose and need not be well-formed.
    url: new URL(exchange.target, "http://gateway").toString(),
    header,
    body: readBody(exchange, bodyTimeoutMs, takesOne(handler) ? place : undefined),
    signal,
    contextValues: contextValuesOf(context),
  };
}

function observed({ service, method }: UniversalHandler, exchange: Exchange, { observe }: RequestListenerOptions) {
  const protocol = protocolOf(exchange.header("content-type"));
  const labels = { service: service.typeName, method: method.name, protocol };
  const call = observe(labels, (name) => exchange.header(name));
  return { call, reporter: new CallReporter(call.onEnd, labels) };
}

function takesOne({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}
