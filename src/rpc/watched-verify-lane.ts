import type { Socket } from "node:net";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { LaneReply, UnaryLane } from "../http2/unary-lane.ts";
import type { Verification } from "../token/verification.ts";
import type { Verifier } from "../token/verifier.ts";
import type { HeaderOf } from "./call-observer.ts";
import type { CallOutcome } from "./call-report.ts";
import type { Share } from "./share.ts";

/** One call that a lane answered. Times are of `performance.now()`. */
export interface AnsweredCall {
  readonly header: HeaderOf;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: CallOutcome;
}

/** Which calls of a lane are looked at, and who does. */
export interface LaneWatch {
  /** Of the calls whose callers do not trace. */
  readonly traced: Share;
  readonly logged: Share;
  /** Whether a call with these headers is traced; `undefined` when they leave it to the share. */
  isTraced(header: HeaderOf): boolean | undefined;
  note(call: AnsweredCall, how: { readonly isTraced: boolean; readonly isLogged: boolean }): void;
}

type LaneVerifier = Pick<Verifier, "recallBytes" | "count">;

/**
 * The lane of VerifyToken where calls are traced or logged. A call that is looked at is answered where all are, so that
 * looking changes neither its way nor its time; all others cost two additions.
 */
export class WatchedVerifyLane implements UnaryLane {
  readonly path: string;
  readonly maxAnswerBytes: number;
  readonly #lane: UnaryLane;
  readonly #watch: LaneWatch;
  /** What the lane answered last. */
  #answered: Pick<Verification, "verdict" | "source"> | undefined;

  constructor(verifier: LaneVerifier, createLane: (verifier: LaneVerifier) => UnaryLane, watch: LaneWatch) {
    this.#watch = watch;
    this.#lane = createLane({
      recallBytes: (bytes, start, end, subjects) => verifier.recallBytes(bytes, start, end, subjects),
      count: (verification) => {
        this.#answered = verification;
        verifier.count(verification);
      },
    });
    this.path = this.#lane.path;
    this.maxAnswerBytes = this.#lane.maxAnswerBytes;
  }

  admit(head: RequestHead, socket: Socket): LaneReply | undefined {
    const reply = this.#lane.admit(head, socket);
    return reply === undefined ? undefined : new WatchedReply(reply, head, this.#watch);
  }

  answer(body: Buffer, start: number, end: number, target: Buffer, offset: number, reply: LaneReply): number {
    if (!(reply instanceof WatchedReply)) return 0;
    const { traced, logged } = this.#watch;
    const isTraced = reply.isTraced ?? traced.isDue;
    const isWatched = isTraced || logged.isDue;
    const startedAtMs = isWatched ? performance.now() : 0;
    const bytes = this.#lane.answer(body, start, end, target, offset, reply.inner);
    if (bytes === 0) return 0;
    if (reply.isTraced === undefined) traced.take();
    const isLogged = logged.take();
    if (isWatched) this.#note(reply, startedAtMs, { isTraced, isLogged });
    return bytes;
  }

  answered(count: number, durationMs: number): void {
    this.#lane.answered(count, durationMs);
  }

  #note({ header }: WatchedReply, startedAtMs: number, how: { isTraced: boolean; isLogged: boolean }): void {
    const { verdict = "invalid", source = "memory" } = this.#answered ?? {};
    this.#watch.note({ header, startedAtMs, endedAtMs: performance.now(), outcome: { verdict, source } }, how);
  }
}

class WatchedReply implements LaneReply {
  readonly headers: Uint8Array;
  readonly trailers: Uint8Array;
  readonly inner: LaneReply;
  readonly header: HeaderOf;
  readonly isTraced: boolean | undefined;

  constructor(inner: LaneReply, head: RequestHead, watch: LaneWatch) {
    this.headers = inner.headers;
    this.trailers = inner.trailers;
    this.inner = inner;
    this.header = (name) => fieldOf(head, name);
    this.isTraced = watch.isTraced(this.header);
  }
}
