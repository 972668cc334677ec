import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Caller } from "../callers/caller.ts";
import {
  RevocationService,
  type WatchRevocationsRequest,
  WatchRevocationsRequestSchema,
  WatchRevocationsResponseSchema,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { ServerStream } from "../http2/server-stream.ts";
import { parseCursor } from "../token/cursor.ts";
import { canceled, GatewayError } from "../token/errors.ts";
import type { LogEntry } from "../token/ports.ts";
import { Watch, type WatchEvent, type WatchOptions } from "../token/watch.ts";
import type { AccessControl } from "./access-control.ts";
import { drainingError } from "./call-context.ts";
import type { ObserveCall } from "./call-observer.ts";
import type { CallQueue } from "./call-queue.ts";
import { CallReporter } from "./call-report.ts";
import { visibleSubjects } from "./caller-subjects.ts";
import { connectErrorFrom } from "./connect-error.ts";
import { envelope, onlyMessage, plainGrpcHeaders } from "./plain-grpc.ts";
import { RequestCollector } from "./request-collector.ts";
import { callerAt, enter, type StreamEntry } from "./stream-entry.ts";
import type { StreamLane } from "./stream-lane.ts";
import { validate } from "./validate-interceptor.ts";
import { hasTooManyWatchers, type WatchDependencies, wireEvent } from "./watch-revocations.ts";
import { Watcher, type WatcherHost } from "./watcher.ts";

/** For how long watchers are served in one round of the event loop. */
const SERVING_MS = 1;
/** Of at most so many connections: what is written leaves after it, in one piece for each, and over TLS that takes as long again. */
const CONNECTIONS_AT_ONCE = 16;

/** Where a watch begins, and of which machines. */
type WatchedPart = Pick<WatchOptions, "after" | "subjects">;

/** Why a call is over whose caller has left before its turn. */
const LEFT = canceled();
const LABELS = {
  service: RevocationService.typeName,
  method: RevocationService.method.watchRevocations.name,
  protocol: "grpc",
} as const;

/**
 * WatchRevocations over gRPC: thousands of streams, each a position in the history. An event is encoded once and sent to
 * all; one whose peer does not read waits with a single event, and goes on from its position when it does.
 */
export class WatchLane implements StreamLane, WatcherHost {
  readonly path = `/${LABELS.service}/${LABELS.method}`;
  readonly #dependencies: WatchDependencies;
  readonly #access: AccessControl;
  readonly #observe: ObserveCall;
  readonly #watchers = new Set<Watcher>();
  readonly #queue: CallQueue;
  /** Those that have something to hear, or may have, by their connections, in the order in which they are served. */
  readonly #due = new Map<object, Set<Watcher>>();
  #isServing = false;
  readonly #encoded = new WeakMap<LogEntry, Uint8Array>();
  #stop: (() => void) | undefined;
  #isDraining = false;

  /** @param queue where requests wait that have come whole, with all other calls past the lanes */
  constructor(dependencies: WatchDependencies, access: AccessControl, observe: ObserveCall, queue: CallQueue) {
    this.#queue = queue;
    this.#access = access;
    this.#dependencies = dependencies;
    this.#observe = observe;
  }

  admits(head: RequestHead): boolean {
    if (this.#isDraining || this.#dependencies.admission.limitFor(this.path) !== undefined) return false;
    return plainGrpcHeaders(head) !== undefined && fieldOf(head, "grpc-timeout") === undefined;
  }

  serve(stream: ServerStream, leave: (body: Buffer) => void): void {
    const cameAtMs = performance.now();
    const collector = new RequestCollector(stream, this.#dependencies.clock, () => {
      if (!stream.remoteEnded) {
        leave(collector.take());
        return;
      }
      this.#queue.add(this.#access.peerOf(stream.socket), {
        get isGone() {
          return stream.isClosed;
        },
        begin: () => this.#open(stream, collector.take(), cameAtMs, leave),
        drop: () => this.#reporterOf(stream, cameAtMs).end(connectErrorFrom(LEFT), LEFT),
      });
    });
    stream.consumer = collector;
  }

  drain(): void {
    this.#isDraining = true;
    for (const watcher of this.#watchers) watcher.finish(drainingError());
  }

  encode(event: WatchEvent): Uint8Array {
    if (event.kind !== "revocation" || event.resumeAt === undefined) return this.#encode(event);
    let encoded = this.#encoded.get(event.entry);
    if (encoded === undefined) {
      encoded = this.#encode(event);
      this.#encoded.set(event.entry, encoded);
    }
    return encoded;
  }

  /** Serves a watcher that is not over behind those that are due. */
  serveInTurn(watcher: Watcher): void {
    if (!this.#watchers.has(watcher)) return;
    this.#makeDue(watcher);
    this.#serve();
  }

  remove(watcher: Watcher, reason: unknown): void {
    if (!this.#watchers.delete(watcher)) return;
    this.#due.get(watcher.connection)?.delete(watcher);
    const { watchers } = this.#dependencies;
    watchers.open -= 1;
    if (reason instanceof GatewayError && reason.reason === "SLOW_CONSUMER") watchers.cut += 1;
    if (this.#watchers.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #open(stream: ServerStream, body: Buffer, cameAtMs: number, leave: (body: Buffer) => void): void {
    const headers = plainGrpcHeaders(stream.head);
    const options = headers === undefined ? undefined : this.#optionsOf(stream, body);
    // Let in last: what the framework refuses it counts itself, and no call counts twice.
    const entry = options === undefined ? undefined : enter(this.#access, stream, "watch");
    if (options === undefined || headers === undefined || entry === undefined) {
      leave(body);
      return;
    }
    stream.consumed(body.length);
    stream.respond(headers, false);
    this.#add(stream, options, entry, this.#reporterOf(stream, cameAtMs));
  }

  #reporterOf(stream: ServerStream, cameAtMs: number): CallReporter {
    return new CallReporter(this.#observe(LABELS, (name) => fieldOf(stream.head, name)).onEnd, LABELS, cameAtMs);
  }

  #encode(event: WatchEvent): Uint8Array {
    return envelope(toBinary(WatchRevocationsResponseSchema, wireEvent(event, this.#dependencies)));
  }

  #add(stream: ServerStream, options: WatchedPart, entry: StreamEntry, reporter: CallReporter): void {
    const { feed, revocations, clock, watch, watchers } = this.#dependencies;
    const followed = new Watch({ ...options, ...watch, revocations, clock });
    const watcher = new Watcher(this, stream, followed, reporter, entry);
    this.#watchers.add(watcher);
    entry.follow((error) => watcher.finish(error));
    watchers.open += 1;
    this.#stop ??= this.#start();
    if (!followed.isAhead) {
      watcher.begin();
      watcher.pump();
      return;
    }
    void feed.refresh().then(() => {
      watcher.begin();
      // All that wait for the same news do so together.
      this.serveInTurn(watcher);
    });
  }

  /** Serves all when the log told something, and looks for heartbeats that are due. */
  #start(): () => void {
    const { feed, clock, watch } = this.#dependencies;
    const stopListening = feed.listen(() => {
      for (const watcher of this.#watchers) this.#makeDue(watcher);
      this.#serve();
    });
    let cancel = () => {};
    const tick = () => {
      cancel = clock.after(watch.heartbeatMs / 8, () => {
        tick();
        const nowMs = clock.monotonicMs();
        for (const watcher of this.#watchers) if (watcher.watch.isHeartbeatDue(nowMs)) this.#makeDue(watcher);
        this.#serve();
      });
    };
    tick();
    return () => {
      stopListening();
      cancel();
    };
  }

  #makeDue(watcher: Watcher): void {
    const others = this.#due.get(watcher.connection);
    if (others === undefined) this.#due.set(watcher.connection, new Set([watcher]));
    else others.add(watcher);
  }

  /** From the next round of the event loop on: however often it is called in one, no more are served. */
  #serve(): void {
    if (this.#isServing || this.#due.size === 0) return;
    this.#isServing = true;
    setImmediate(() => {
      this.#serveSome();
      this.#isServing = false;
      this.#serve();
    });
  }

  #serveSome(): void {
    const endMs = this.#dependencies.clock.monotonicMs() + SERVING_MS;
    let connections = 0;
    for (const [connection, watchers] of this.#due) {
      this.#pumpUntil(endMs, watchers);
      this.#due.delete(connection);
      connections += 1;
      if (watchers.size > 0) {
        // The time is over. The rest of them come behind the others.
        this.#due.set(connection, watchers);
        return;
      }
      if (connections === CONNECTIONS_AT_ONCE || this.#dependencies.clock.monotonicMs() >= endMs) return;
    }
  }

  #pumpUntil(endMs: number, watchers: Set<Watcher>): void {
    for (const watcher of watchers) {
      watchers.delete(watcher);
      watcher.pump();
      if (this.#dependencies.clock.monotonicMs() >= endMs) return;
    }
  }

  /** What is watched; `undefined` for what the framework has to refuse. */
  #optionsOf(stream: ServerStream, body: Buffer): WatchedPart | undefined {
    if (this.#isDraining || hasTooManyWatchers(this.#dependencies)) return undefined;
    const request = this.#parse(body);
    const caller = callerAt(this.#access, stream);
    return request === undefined || caller === undefined ? undefined : optionsOf(request, caller);
  }

  /** `undefined` for what the framework has to refuse. */
  #parse(body: Buffer): WatchRevocationsRequest | undefined {
    const message = onlyMessage(body);
    if (message === undefined) return undefined;
    try {
      const request: WatchRevocationsRequest = fromBinary(WatchRevocationsRequestSchema, message);
      validate(WatchRevocationsRequestSchema, request);
      return request;
    } catch {
      return undefined;
    }
  }
}

/** `undefined` for what has to be refused. */
function optionsOf({ cursor, subjects }: WatchRevocationsRequest, caller: Caller): WatchedPart | undefined {
  try {
    return { after: cursor === "" ? undefined : parseCursor(cursor), subjects: visibleSubjects(caller, subjects) };
  } catch {
    return undefined;
  }
}
