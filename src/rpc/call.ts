import type { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type Caller, UNNAMED } from "../callers/caller.ts";
import { isOwnOrigin } from "../callers/own-name.ts";
import { canceled } from "../token/errors.ts";
import { answerCall, type LetInCall, takesOne } from "./answer-call.ts";
import { AuditDraft, type OnAudit } from "./audit.ts";
import type { CallContext } from "./call-context.ts";
import type { ObserveCall, ObservedCall } from "./call-observer.ts";
import type { CallPlace } from "./call-place.ts";
import { type CallOutcome, CallReporter } from "./call-report.ts";
import { connectErrorFrom, type PresentError } from "./connect-error.ts";
import type { DirectRpc } from "./direct-rpc.ts";
import type { Exchange } from "./exchange.ts";
import { type AdmittedCall, foreignPage, type Guard } from "./guard.ts";
import type { MethodAccess } from "./method-access.ts";
import { type CallServices, type OwnKeys, ownKeyServices } from "./own-key.ts";
import { type Protocol, protocolOf } from "./protocol.ts";
import { refuse } from "./refusal.ts";
import type { UnderWay } from "./under-way.ts";

/** What calls are served with. */
export interface CallOptions {
  /** Who may call what; without it everybody may call everything. */
  readonly guard?: Guard | undefined;
  /** For callers who bring a key of the upstream's; `undefined` to take none. */
  readonly ownKeys?: OwnKeys | undefined;
  readonly observe: ObserveCall;
  readonly onAudit?: OnAudit | undefined;
  readonly presentError: PresentError;
  /** How long the body of a call with a single request message may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
}

export interface Route {
  readonly handler: UniversalHandler;
  /** What serves calls that are nothing out of the ordinary. */
  readonly direct: DirectRpc | undefined;
  readonly access: MethodAccess | undefined;
}

/** Unary calls are given the time to finish. */
const NEVER = new AbortController().signal;
/** Made once: whoever opens calls to leave them can have many. */
const LEFT = connectErrorFrom(canceled());

/** One call of an RPC. */
export class Call {
  readonly exchange: Exchange;
  readonly #route: Route;
  readonly #options: CallOptions;
  readonly #underWay: UnderWay;
  readonly #protocol: Protocol;
  readonly #reporter: CallReporter;
  readonly #run: ObservedCall["run"];
  readonly #audit: AuditDraft | undefined;
  readonly #cameAtMs: number;
  #caller: Caller | undefined;
  #admission: AdmittedCall | undefined;
  #services: CallServices | undefined;
  #unfollow: (() => void) | undefined;
  /** Tells a stream to end itself. */
  readonly drain: AbortController | undefined;

  /** @param cameAtMs when its head had come, by the monotonic clock */
  constructor(route: Route, exchange: Exchange, options: CallOptions, underWay: UnderWay, cameAtMs: number) {
    const { method } = route.handler;
    this.#route = route;
    this.exchange = exchange;
    this.#options = options;
    this.#underWay = underWay;
    this.#cameAtMs = cameAtMs;
    this.#protocol = protocolOf(exchange.header("content-type"));
    const { call, labels, reporter } = observed(route.handler, exchange, options, cameAtMs);
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
    const badge = this.exchange.peer.badge(this.exchange.header("authorization"));
    this.#caller = guard.callers.identify(badge);
    try {
      if (this.#caller?.name === UNNAMED && isForeignPage(this.exchange)) throw foreignPage();
      this.#admission = guard.admit(badge, role);
      this.#services = ownKeyServices(this.exchange, access, ownKeys);
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

  /** Its caller has left before it was let in. */
  leave(): void {
    this.#end(LEFT, undefined);
  }

  /** Never rejects. */
  async serve(place: CallPlace | undefined): Promise<void> {
    const { handler } = this.#route;
    const context: CallContext = {
      drain: this.drain?.signal ?? NEVER,
      caller: this.#caller,
      services: this.#services,
      audit: this.#audit,
      underWay: this.#underWay,
      thrown: undefined,
    };
    const left = new AbortController();
    let answered = false;
    this.exchange.onClose(() => {
      if (answered) return;
      this.#reporter.end(connectErrorFrom(canceled()), undefined);
      left.abort(canceled());
    });
    const call = this.#letIn(context, left, place);
    const answer = () => answerCall(call);
    try {
      const error = await (this.#run?.(answer) ?? answer());
      answered = true;
      this.#end(error, context.thrown, context.outcome);
      this.exchange.discardRest(this.#options.bodyTimeoutMs, !takesOne(handler));
    } catch (error) {
      answered = true;
      this.#end(connectErrorFrom(error), error);
      this.exchange.destroy();
    }
  }

  #letIn(context: CallContext, left: AbortController, place: CallPlace | undefined): LetInCall {
    const { presentError, bodyTimeoutMs, maxMessageBytes } = this.#options;
    const { exchange } = this;
    const cameAtMs = this.#cameAtMs;
    return { exchange, ...this.#route, context, left, place, cameAtMs, presentError, bodyTimeoutMs, maxMessageBytes };
  }

  #refuse(thrown: unknown): void {
    const error = this.#options.presentError(thrown);
    refuse(this.exchange, this.#protocol, error);
    this.exchange.discardRest(this.#options.bodyTimeoutMs, true);
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

/** Begins to watch a call. @param cameAtMs when its head had come, by the monotonic clock */
export function observed(
  { service, method }: UniversalHandler,
  exchange: Exchange,
  { observe }: CallOptions,
  cameAtMs: number,
) {
  const protocol = protocolOf(exchange.header("content-type"));
  const labels = { service: service.typeName, method: method.name, protocol };
  const call = observe(labels, (name) => exchange.header(name));
  return { call, labels, reporter: new CallReporter(call.onEnd, labels, cameAtMs) };
}
