import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { WatchRevocationsResponse } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { retryAfterMs, unreachableCode } from "./call-error.ts";
import type { ClientCredentials } from "./client-credentials.ts";
import { connectGateway } from "./gateway-connection.ts";
import { pause } from "./pause.ts";

/** Three of the gateway's heartbeats: a stream that is silent for so long is taken for dead. */
const SILENCE_MS = 15_000;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 15_000;

export interface FollowerOptions {
  readonly url: string;
  readonly credentials: ClientCredentials;
  /** Where to begin; empty for a snapshot. */
  readonly cursor: string;
  readonly subjects: readonly string[];
  readonly reconnect: boolean;
  /** Ends the watch cleanly. */
  readonly signal: AbortSignal;
  /** Handles one message; the next is not read before it is done. "stop" ends the watch. */
  onMessage(message: WatchRevocationsResponse): Promise<"go on" | "stop">;
  /** Told before each wait for a new connection. */
  onReconnect(why: ConnectError, delayMs: number): void;
}

/**
 * Follows the revocation log over as many streams as it takes. A message may come again after a reconnect, but none is
 * missed: the cursor moves only when a message has been handled.
 */
export class RevocationFollower {
  readonly #options: FollowerOptions;
  #cursor: string;
  /** A snapshot cannot be resumed half way, so the cursor stays empty until it is whole. */
  #inSnapshot: boolean;
  #heard = false;
  #failures = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#cursor = options.cursor;
    this.#inSnapshot = options.cursor === "";
  }

  /** Where to resume; empty when nothing but a new snapshot will do. */
  get cursor(): string {
    return this.#cursor;
  }

  /**
   * Resolves when stopped or when the signal is aborted.
   * @throws ConnectError when a new connection would not help or is not wanted; whatever `onMessage` throws
   */
  async run(): Promise<void> {
    const { signal, reconnect, onReconnect } = this.#options;
    while (!signal.aborted) {
      const ended = await this.#readOneStream();
      if (ended === "stopped" || signal.aborted) {
        return;
      }
      if (!reconnect || !this.#canRecover(ended)) {
        throw ended;
      }
      const delayMs = Math.max(backoffMs(this.#failures), retryAfterMs(ended) ?? 0);
      this.#failures += 1;
      onReconnect(ended, delayMs);
      await pause(delayMs, signal);
    }
  }

  /** Reads until stopped, or until the stream fails or ends, which is returned as an error. */
  async #readOneStream(): Promise<"stopped" | ConnectError> {
    const connection = connectGateway(this.#options.url, this.#options.credentials);
    const stopReading = new AbortController();
    const onAbort = () => stopReading.abort();
    this.#options.signal.addEventListener("abort", onAbort, { once: true });
    let silent = false;
    const expectMessage = () =>
      setTimeout(() => {
        silent = true;
        stopReading.abort();
      }, SILENCE_MS);
    let watchdog = expectMessage();
    try {
      const request = { cursor: this.#cursor, subjects: [...this.#options.subjects] };
      for await (const message of connection.revocations.watchRevocations(request, { signal: stopReading.signal })) {
        // A message that takes long to handle is not the gateway's silence.
        clearTimeout(watchdog);
        if ((await this.#handle(message)) === "stop") {
          return "stopped";
        }
        watchdog = expectMessage();
      }
      return new ConnectError("the gateway ended the stream", Code.Unavailable);
    } catch (error) {
      if (!(error instanceof ConnectError)) {
        throw error;
      }
      return silent ? new ConnectError(`no message for ${SILENCE_MS / 1000}s`, Code.Unavailable) : error;
    } finally {
      clearTimeout(watchdog);
      this.#options.signal.removeEventListener("abort", onAbort);
      connection.close();
    }
  }

  async #handle(message: WatchRevocationsResponse): Promise<"go on" | "stop"> {
    this.#heard = true;
    this.#failures = 0;
    if (message.event.case === "reset") {
      this.#cursor = "";
      this.#inSnapshot = true;
    }
    const next = await this.#options.onMessage(message);
    if (message.event.case === "snapshotComplete") {
      this.#inSnapshot = false;
    }
    if (!this.#inSnapshot && message.cursor !== "") {
      this.#cursor = message.cursor;
    }
    return next;
  }

  #canRecover(error: ConnectError): boolean {
    // Before the first message an unreachable gateway is more likely a wrong address than one that restarts.
    if (!this.#heard && unreachableCode(error) !== undefined) {
      return false;
    }
    switch (error.code) {
      case Code.InvalidArgument:
      case Code.NotFound:
      case Code.PermissionDenied:
      case Code.FailedPrecondition:
      case Code.Unimplemented:
      case Code.Unauthenticated:
        return false;
      default:
        // An INTERNAL without a reason is how a broken connection looks; one with a reason is the gateway's own.
        return error.code !== Code.Internal || error.findDetails(ErrorInfoSchema).length === 0;
    }
  }
}

/** Doubles with each failure in a row; half of it is left to chance, so that many watchers do not return at once. */
function backoffMs(failures: number): number {
  const most = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 16));
  return most * (0.5 + Math.random() / 2);
}
