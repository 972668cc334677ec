import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Peer } from "../callers/peer.ts";
import type { Admission, Limit } from "./admission.ts";
import { Call, type CallOptions, observed, type Route } from "./call.ts";
import { drainingError } from "./call-context.ts";
import { CallPlace, Probes } from "./call-place.ts";
import type { CallQueue } from "./call-queue.ts";
import { worthOf } from "./call-worth.ts";
import type { DirectRpc } from "./direct-rpc.ts";
import { type Exchange, pathOf } from "./exchange.ts";
import { accessOf } from "./method-access.ts";
import { RefusedCalls } from "./refused-call.ts";
import { UnderWay } from "./under-way.ts";
import { answerUnknown } from "./unknown-rpc.ts";

export interface RequestListenerOptions extends CallOptions {
  readonly handlers: readonly UniversalHandler[];
  /** What serves some of the RPCs without their handlers, where it can. */
  readonly directs: readonly DirectRpc[];
  readonly admission: Admission;
  /** Where calls wait for their turn. */
  readonly queue: CallQueue;
}

export interface RequestListener {
  handle(exchange: Exchange): void;
  /** Whether so many calls of a connection wait to begin that no more should be read from it. */
  isBehind(peer: Peer): boolean;
  /** Tells every open stream, and every stream to come, that the server drains. */
  drain(): void;
  /** Resolves once no call is under way, nor what goes on for callers who have left. */
  settled(): Promise<void>;
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
  return new CallListener(options);
}

class CallListener implements RequestListener {
  readonly #options: RequestListenerOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #queue: CallQueue;
  readonly #probes = new Probes();
  readonly #refused: RefusedCalls;
  readonly #streams = new Set<AbortController>();
  readonly #underWay = new UnderWay();
  #isDraining = false;

  constructor(options: RequestListenerOptions) {
    const { handlers, directs, guard, presentError, queue } = options;
    this.#options = options;
    this.#queue = queue;
    this.#refused = new RefusedCalls(presentError);
    this.#routes = new Map(
      handlers.map((handler) => [
        handler.requestPath,
        {
          handler,
          direct: directs.find(({ path }) => path === handler.requestPath),
          access: guard === undefined ? undefined : accessOf(handler),
        },
      ]),
    );
  }

  handle(exchange: Exchange): void {
    const route = this.#routes.get(pathOf(exchange));
    if (route === undefined) {
      answerUnknown(exchange, this.#options);
      return;
    }
    const { requestPath } = route.handler;
    const limit = this.#options.admission.limitFor(requestPath);
    if (limit !== undefined) this.#shed(route, exchange, limit);
    else if (worthOf(requestPath) !== "vital") this.#enqueue(route, exchange);
    else {
      this.#probes.add(exchange);
      this.#begin(this.#callOf(route, exchange, performance.now()), undefined);
    }
  }

  isBehind(peer: Peer): boolean {
    return this.#queue.isBehind(peer);
  }

  drain(): void {
    this.#isDraining = true;
    for (const stream of this.#streams) stream.abort(drainingError());
  }

  async settled(): Promise<void> {
    await this.#queue.emptied();
    await this.#underWay.settled();
  }

  #shed({ handler }: Route, exchange: Exchange, limit: Limit): void {
    const { admission, bodyTimeoutMs } = this.#options;
    admission.refuse(limit);
    const { reporter } = observed(handler, exchange, this.#options, performance.now());
    reporter.end(this.#refused.answer(exchange, limit), undefined);
    exchange.discardRest(bodyTimeoutMs, true);
  }

  #enqueue(route: Route, exchange: Exchange): void {
    const place = new CallPlace(this.#options.admission);
    const cameAtMs = performance.now();
    this.#queue.add(exchange.peer, {
      get isGone() {
        return exchange.isClosed;
      },
      begin: () => this.#begin(this.#callOf(route, exchange, cameAtMs), place),
      drop: () => {
        this.#callOf(route, exchange, cameAtMs).leave();
        place.free();
      },
    });
  }

  #callOf(route: Route, exchange: Exchange, cameAtMs: number): Call {
    return new Call(route, exchange, this.#options, this.#underWay, cameAtMs);
  }

  #begin(call: Call, place: CallPlace | undefined): void {
    if (!call.enter()) {
      place?.free();
      return;
    }
    const { drain, exchange } = call;
    if (drain !== undefined) {
      if (this.#isDraining) drain.abort(drainingError());
      this.#streams.add(drain);
    }
    const served = call.serve(place).finally(() => {
      if (drain !== undefined) this.#streams.delete(drain);
      if (place !== undefined) exchange.whenOver(() => place.free());
    });
    this.#underWay.add(served);
  }
}
