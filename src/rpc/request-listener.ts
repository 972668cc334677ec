import type { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { type Caller, UNNAMED } from "../callers/caller.ts";
import { isOwnOrigin } from "../callers/own-name.ts";
import { canceled } from "../token/errors.ts";
import type { Admission, Limit } from "./admission.ts";
import { AuditDraft, type OnAudit } from "./audit.ts";
import { type CallContext, contextValuesOf, drainingError } from "./call-context.ts";
import type { ObserveCall, ObservedCall } from "./call-observer.ts";
import { CallPlace, Probes } from "./call-place.ts";
import { type CallOutcome, CallReporter } from "./call-report.ts";
import { worthOf } from "./call-worth.ts";
import { connectErrorFrom, type PresentError } from "./connect-error.ts";
import { type Exchange, pathOf } from "./exchange.ts";
import { type AdmittedCall, foreignPage, type Guard } from "./guard.ts";
import { accessOf, type MethodAccess } from "./method-access.ts";
import { type CallServices, type OwnKeys, ownKeyServices } from "./own-key.ts";
import { type Protocol, protocolOf } from "./protocol.ts";
import { refuse } from "./refusal.ts";
import { RefusedCalls } from "./refused-call.ts";
import { readBody } from "./request-body.ts";
import { writeResponse } from "./response-writer.ts";
import { takeTimeoutMs } from "./timeout-header.ts";
import { UnderWay } from "./under-way.ts";
import { answerUnknown } from "./unknown-rpc.ts";

export interface RequestListenerOptions {
  readonly handlers: readonly UniversalHandler[];
  /** Who may call what; without it everybody may call everything. */
  readonly guard?: Guard | undefined;
  /** For callers who bring a key of the upstream's; `undefined` to take none. */
  readonly ownKeys?: OwnKeys | undefined;
  readonly observe: ObserveCall;
  readonly onAudit?: OnAudit | undefined;
  readonly presentError: PresentError;
  /** How long the body of a call with a single request message may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
  readonly admission: Admission;
}

export interface RequestListener {
  handle(exchange: Exchange): void;
  /** Tells every open stream, and every stream to come, that the server drains. */
  drain(): void;
  /** Resolves once no call is under way, nor what goes on for callers who have left. */
  settled(): Promise<void>;
}

interface Route {
  readonly handler: UniversalHandler;
  readonly access: MethodAccess | undefined;
}

/**
 * Serves the RPC framework's handlers, whatever carries the calls, to those who may call them. In place of the framework's
 * own adapter to Node's servers, because that one throws out of the server's event when the Host header is not a URL's,
 * destroys a connection whose request is too large before the answer is on it, logs to the console, and does not say when a
 * call ends.
 *
 * @throws Error when there is a guard and nobody has said what a handler demands
 */
export function createRequestListener(options: RequestListenerOptions): RequestListener {
  const { guard } = options;
  const routes = new Map<string, Route>(
    options.handlers.map((handler) => [
      handler.requestPath,
      { handler, access: guard === undefined ? undefined : accessOf(handler) },
    ]),
  );
  const streams = new Set<AbortController>();
  const probes = new Probes();
  const refused = new RefusedCalls(options.presentError);
  const { admission } = options;
  const underWay = new UnderWay();
  let draining = false;

  const shed = (handler: UniversalHandler, exchange: Exchange, limit: Limit) => {
    admission.refuse(limit);
    const { reporter } = observed(handler, exchange, options);
    reporter.end(refused.answer(exchange, limit), undefined);
    exchange.discardRest(options.bodyTimeoutMs, true);
  };
  const serveIn = (call: Call, handler: UniversalHandler, exchange: Exchange) => {
    const isProbe = worthOf(handler.requestPath) === "vital";
    if (isProbe) probes.add(exchange);
    const place = isProbe ? undefined : new CallPlace(admission);
    const served = call.serve(place).finally(() => {
      if (place !== undefined) exchange.whenOver(() => place.free());
    });
    underWay.add(served);
    return served;
  };

  return {
    handle(exchange) {
      const route = routes.get(pathOf(exchange));
      if (route === undefined) {
        answerUnknown(exchange, options);
        return;
      }
      const limit = admission.limitFor(route.handler.requestPath);
      if (limit !== undefined) {
        shed(route.handler, exchange, limit);
        return;
      }
      const call = new Call(route, exchange, options, underWay);
      if (!call.enter()) return;
      const { drain } = call;
      if (drain === undefined) {
        void serveIn(call, route.handler, exchange);
        return;
      }
      if (draining) drain.abort(drainingError());
      streams.add(drain);
      void serveIn(call, route.handler, exchange).finally(() => streams.delete(drain));
    },
    drain() {
      draining = true;
      for (const stream of streams) stream.abort(drainingError());
    },
    settled: () => underWay.settled(),
  };
}

/** Unary calls are given the time to finish. */
const NEVER = new AbortController().signal;

/** One call of an RPC. */
class Call {
  readonly #route: Route;
  readonly #exchange: Exchange;
  readonly #options: RequestListenerOptions;
  readonly #underWay: UnderWay;
  readonly #protocol: Protocol;
  readonly #reporter: CallReporter;
  readonly #run: ObservedCall["run"];
  readonly #audit: AuditDraft | undefined;
  #caller: Caller | undefined;
  #admission: AdmittedCall | undefined;
  #services: CallServices | undefined;
  #unfollow: (() => void) | undefined;
  /** Tells a stream to end itself. */
  readonly drain: AbortController | undefined;

  constructor(route: Route, exchange: Exchange, options: RequestListenerOptions, underWay: UnderWay) {
    const { method } = route.handler;
    this.#route = route;
    this.#exchange = exchange;
    this.#options = options;
    this.#underWay = underWay;
    this.#protocol = protocolOf(exchange.header("content-type"));
    const { call, labels, reporter } = observed(route.handler, exchange, options);
    this.drain = method.methodKind === "unary" ? undefined : new AbortController();
    this.#reporter = reporter;
    this.#run = call.run;
    if (route.access?.isAudited === true && options.onAudit !== undefined) {
      this.#audit = new AuditDraft(options.onAudit, () => ({
        ...labels,
        caller: this.#caller?.name,
        address: exchange.peer.facts.address,
        requestId: call.requestId(),
      }));
    }
  }

  /** Lets the call in; false when it has been refused, before anything of its body was looked at. */
  enter(): boolean {
    const { guard, ownKeys } = this.#options;
    const { access } = this.#route;
    const role = access?.role;
    if (guard === undefined || access === undefined || role === undefined) return true;
    const badge = this.#exchange.peer.badge(this.#exchange.header("authorization"));
    this.#caller = guard.callers.identify(badge);
    try {
      if (this.#caller?.name === UNNAMED && isForeignPage(this.#exchange)) throw foreignPage();
      this.#admission = guard.admit(badge, role);
      this.#services = ownKeyServices(this.#exchange, access, ownKeys);
    } catch (thrown) {
      this.#refuse(thrown);
      return false;
    }
    const { drain } = this;
    if (drain !== undefined) {
      this.#unfollow = guard.follow(badge, role, this.#admission, (error) => drain.abort(error));
    }
    return true;
  }

  /** Never rejects. */
  async serve(place: CallPlace | undefined): Promise<void> {
    const { handler } = this.#route;
    const options = this.#options;
    const context: CallContext = {
      drain: this.drain?.signal ?? NEVER,
      caller: this.#caller,
      services: this.#services,
      audit: this.#audit,
      underWay: this.#underWay,
      thrown: undefined,
    };
    const caller = new AbortController();
    let answered = false;
    this.#exchange.onClose(() => {
      if (answered) return;
      this.#reporter.end(connectErrorFrom(canceled()), undefined);
      caller.abort(canceled());
    });
    const answer = async () => {
      const request = universalRequest(this.#exchange, caller.signal, options, handler, context, place);
      const answerPlace = handler.method.methodKind === "unary" ? place : undefined;
      return writeResponse(this.#exchange, await handler(request), this.#protocol, options.presentError, answerPlace);
    };
    try {
      const error = await (this.#run?.(answer) ?? answer());
      answered = true;
      this.#end(error, context.thrown, context.outcome);
      this.#exchange.discardRest(options.bodyTimeoutMs, !takesOne(handler));
    } catch (error) {
      answered = true;
      this.#end(connectErrorFrom(error), error);
      this.#exchange.destroy();
    }
  }

  #refuse(thrown: unknown): void {
    const error = this.#options.presentError(thrown);
    refuse(this.#exchange, this.#protocol, error);
    this.#exchange.discardRest(this.#options.bodyTimeoutMs, true);
    this.#end(error, thrown);
  }

  #end(error: ConnectError | undefined, thrown: unknown, outcome?: CallOutcome): void {
    this.#unfollow?.();
    this.#admission?.release();
    this.#reporter.end(error, thrown, outcome);
    if (this.#audit?.isHandled === false) this.#audit.end(error);
  }
}

/**
 * Whether a browser on this machine asks for a page that is not this machine's. Browsers name the page with every POST, and
 * that its name has been made to lead here (DNS rebinding) does not change it: nobody is let in for its place alone to do
 * what such a page asks.
 */
function isForeignPage(exchange: Exchange): boolean {
  const origin = exchange.header("origin");
  if (origin === undefined) return false;
  return exchange.peer.facts.isLocal && !isOwnOrigin(origin);
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
  return { call, labels, reporter: new CallReporter(call.onEnd, labels) };
}

function takesOne({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}
