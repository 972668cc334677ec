import type { OverloadSnapshot } from "../status.ts";
import { GatewayError } from "../token/errors.ts";
import type { UnknownAdmission } from "../token/ports.ts";
import { type CallWorth, worthOf } from "./call-worth.ts";
import type { LoopDelay } from "./loop-delay.ts";

/** How much is taken on. docs/abuse.md gives the reasons. */
export interface OverloadLimits {
  readonly maxConnections: number;
  readonly maxStreamsPerConnection: number;
  /** HTTP/2 streams of all connections together. */
  readonly maxStreams: number;
  /** Calls under way, apart from those that memory answers at once. */
  readonly maxInFlight: number;
  readonly maxWatchers: number;
  /** Bytes of requests and answers that wait for the rest of their call. */
  readonly maxPendingBytes: number;
  /** The standing delay of the event loop from which on calls are shed, in milliseconds; 0 for never. */
  readonly shedDelayMs: number;
}

/** What a call can be refused for. */
export type Limit = "connections" | "in_flight" | "watchers" | "pending_bytes" | "event_loop";

/** What a call may hold however much others hold. */
const FAIR_BYTES = 16 * 1024;
/** At this many times the delay that sheds what costs much, only memory and what is vital answer. */
const VERY_LATE = 4;
/** When to come back, in milliseconds: about when a call under way has ended, or a pile of work is done. */
const RETRY_AFTER_MS = 1000;

const MESSAGES: Readonly<Record<Limit, string>> = {
  connections: "the gateway has too many connections",
  in_flight: "the gateway has too many calls under way",
  watchers: "the gateway has too many watchers",
  pending_bytes: "the gateway holds too many bytes of other requests",
  event_loop: "the gateway is busy and answers from memory only",
};

/** Counts what is under way and decides, before any work is done, what is not taken on. */
export class Admission implements UnknownAdmission {
  readonly limits: OverloadLimits;
  readonly refused: Record<Limit, number> = {
    connections: 0,
    in_flight: 0,
    watchers: 0,
    pending_bytes: 0,
    event_loop: 0,
  };
  inFlight = 0;
  pendingBytes = 0;
  readonly #delay: LoopDelay;
  readonly #maxOrdinary: number;
  /** Where not every call comes past the RPC framework, those that memory will answer need a place for a moment. */
  readonly #maxUnknown: number;
  readonly #lateMs: number;

  constructor(limits: OverloadLimits, delay: LoopDelay) {
    this.limits = limits;
    this.#delay = delay;
    this.#maxOrdinary = limits.maxInFlight - Math.floor(limits.maxInFlight / 8);
    this.#maxUnknown = limits.maxInFlight - Math.floor(limits.maxInFlight / 4);
    this.#lateMs = limits.shedDelayMs === 0 ? Number.POSITIVE_INFINITY : limits.shedDelayMs;
  }

  /** @param refusedStreams what the transport has refused */
  snapshot(refusedStreams: number): OverloadSnapshot {
    const { maxConnections, maxStreams, maxInFlight, maxWatchers, maxPendingBytes } = this.limits;
    return {
      inFlight: this.inFlight,
      pendingBytes: this.pendingBytes,
      loopDelayMs: this.loopDelayMs,
      limits: {
        connections: maxConnections,
        streams: maxStreams,
        in_flight: maxInFlight,
        watchers: maxWatchers,
        pending_bytes: maxPendingBytes,
      },
      refused: { ...this.refused, streams: refusedStreams },
    };
  }

  /** How late the event loop is, in milliseconds. */
  get loopDelayMs(): number {
    return this.#delay.standingMs;
  }

  /** Whether what costs much must wait for better times. */
  get isLate(): boolean {
    return this.#delay.standingMs >= this.#lateMs;
  }

  /** Why a call of this path is not taken on now; `undefined` when it is. Counts nothing. */
  limitFor(path: string): Limit | undefined {
    return this.#limitFor(worthOf(path));
  }

  refuse(limit: Limit): void {
    this.refused[limit] += 1;
  }

  /** Counts a refusal and gives what its caller is told. */
  refusal(limit: Limit): GatewayError {
    this.refuse(limit);
    return overloaded(limit);
  }

  get refusesUnknown(): boolean {
    return this.#limitForUnknown() !== undefined;
  }

  /** @throws GatewayError OVERLOADED */
  admitUnknown(): void {
    const limit = this.#limitForUnknown();
    if (limit !== undefined) throw this.refusal(limit);
  }

  /** @param heldBytes what the call holds already. @throws GatewayError OVERLOADED */
  hold(bytes: number, heldBytes: number): void {
    if (this.pendingBytes + bytes > this.limits.maxPendingBytes && heldBytes + bytes > FAIR_BYTES) {
      throw this.refusal("pending_bytes");
    }
    this.pendingBytes += bytes;
  }

  release(bytes: number): void {
    this.pendingBytes -= bytes;
  }

  #limitForUnknown(): Limit | undefined {
    if (this.isLate) return "event_loop";
    return this.inFlight > this.#maxUnknown ? "in_flight" : undefined;
  }

  #limitFor(worth: CallWorth): Limit | undefined {
    if (worth === "vital") return undefined;
    if (this.inFlight >= (worth === "control" ? this.limits.maxInFlight : this.#maxOrdinary)) return "in_flight";
    if (worth === "control") return undefined;
    const lateMs = worth === "costly" ? this.#lateMs : this.#lateMs * VERY_LATE;
    return this.#delay.standingMs >= lateMs ? "event_loop" : undefined;
  }
}

/** What a refused caller is told. */
export function overloaded(limit: Limit): GatewayError {
  return new GatewayError("OVERLOADED", MESSAGES[limit], { limit, retryAfterMs: RETRY_AFTER_MS });
}
