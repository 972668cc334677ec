import type { Channel } from "./channel.ts";
import { parseFromWorker } from "./control-messages.ts";
import { type InvalidationMessage, parseInvalidation } from "./invalidation-messages.ts";

interface Member {
  readonly channel: Channel;
  /** Before that its caches are empty, and nobody has been answered from them. */
  serves: boolean;
  /** What it has been told and has not confirmed, by id. */
  readonly open: Map<number, () => void>;
}

/** The primary's part of InvalidateCache: what one worker is told to forget, all others are. */
export class InvalidationRelay {
  readonly #onError: (error: unknown) => void;
  readonly #members = new Set<Member>();
  #lastId = 0;

  /** @param onError a worker sent what cannot be understood */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Serves a worker. What it returns must be called when the worker's process has ended, and not before. */
  attach(channel: Channel): () => void {
    const member: Member = { channel, serves: false, open: new Map() };
    this.#members.add(member);
    const stop = channel.listen((message) => this.#receive(member, message));
    return () => {
      stop();
      this.#members.delete(member);
      // With its process its caches are gone.
      for (const settle of [...member.open.values()]) settle();
    };
  }

  #receive(member: Member, message: unknown): void {
    try {
      if (parseFromWorker(message)?.kind === "serving") member.serves = true;
      const said = parseInvalidation(message);
      if (said?.kind === "invalidate") void this.#tellOthers(member, said);
      else if (said?.kind === "invalidated") member.open.get(said.id)?.();
    } catch (error) {
      this.#onError(error);
    }
  }

  async #tellOthers(asking: Member, { id, target }: Extract<InvalidationMessage, { kind: "invalidate" }>) {
    const others = [...this.#members].filter((member) => member !== asking && member.serves);
    await Promise.all(
      others.map((member) => {
        this.#lastId += 1;
        return tell(member, { kind: "invalidate", id: this.#lastId, target });
      }),
    );
    send(asking.channel, { kind: "invalidated", id });
  }
}

/** Resolves when the worker has confirmed, or has ended: one that hangs is ended by its slot. */
function tell({ channel, open }: Member, message: InvalidationMessage): Promise<void> {
  return new Promise((resolve) => {
    open.set(message.id, () => {
      open.delete(message.id);
      resolve();
    });
    send(channel, message);
  });
}

function send(channel: Channel, message: InvalidationMessage): void {
  channel.send(message);
}
