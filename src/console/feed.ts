import type { CallError, Connection } from "./connect.ts";
import type { Fields } from "./json.ts";

export interface Revocation {
  /** Its place in the log, which names it. */
  readonly cursor: string;
  readonly tokenId: string;
  readonly subject: string;
  readonly reason: string;
  readonly revokedAtMs: number;
  /** API, OBSERVED or RECONCILED. */
  readonly source: string;
  /** The replica that recorded it. */
  readonly origin: string;
}

export interface FeedEvents {
  /** A new one, or one that was there when the stream began. */
  onRevocation(revocation: Revocation, isNew: boolean): void;
  /** All that was there has been told. */
  onSnapshot(size: number): void;
  /** The stream went on where it had ended: nothing was missed. */
  onResume(): void;
  /** The stream could not go on: what was told is to be forgotten, all there is follows. */
  onReset(): void;
  /** The stream ended, and is opened again after a pause. */
  onEnd(error: CallError | undefined): void;
}

const RPC = "m2mgateway.v1.RevocationService/WatchRevocations";
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 4_000;

/** Follows the revocations for as long as the page lives, from cursor to cursor. */
export class Feed {
  readonly #connection: Connection;
  readonly #events: FeedEvents;
  #cursor = "";
  #pauseMs = FIRST_PAUSE_MS;
  #isSnapshot = true;
  #isResuming = false;
  #current = new AbortController();

  constructor(connection: Connection, events: FeedEvents) {
    this.#connection = connection;
    this.#events = events;
  }

  /** Never resolves. */
  async follow(): Promise<never> {
    for (;;) {
      this.#current = new AbortController();
      let error: CallError | undefined;
      try {
        await this.#read(this.#current.signal);
      } catch (thrown) {
        error = thrown as CallError;
      }
      this.#events.onEnd(error);
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
      this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    }
  }

  /** Opens the stream anew, with another key say. */
  restart(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#current.abort();
  }

  async #read(signal: AbortSignal): Promise<void> {
    this.#isResuming = this.#cursor !== "";
    this.#isSnapshot = !this.#isResuming;
    for await (const message of this.#connection.stream(RPC, { cursor: this.#cursor }, signal)) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#take(message);
      const cursor = message.text("cursor");
      if (cursor !== "") this.#cursor = cursor;
    }
  }

  #take(message: Fields): void {
    if (message.has("reset")) {
      this.#isResuming = false;
      this.#isSnapshot = true;
      this.#cursor = "";
      this.#events.onReset();
      return;
    }
    // The first message of a stream that goes on where it had ended is a heartbeat.
    if (this.#isResuming) this.#events.onResume();
    this.#isResuming = false;
    if (message.has("snapshotComplete")) {
      this.#isSnapshot = false;
      this.#events.onSnapshot(message.object("snapshotComplete").count("size"));
    } else if (message.has("revocation")) {
      this.#events.onRevocation(revocationOf(message.object("revocation")), !this.#isSnapshot);
    }
  }
}

function revocationOf(json: Fields): Revocation {
  return {
    cursor: json.text("cursor"),
    tokenId: json.text("tokenId"),
    subject: json.text("subject"),
    reason: json.text("reason"),
    revokedAtMs: json.timeMs("revokeTime") ?? 0,
    source: json.choice("source", "REVOCATION_SOURCE_"),
    origin: json.text("origin"),
  };
}
