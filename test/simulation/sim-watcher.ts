import type { Cursor } from "../../src/token/cursor.ts";
import { factKeyOf } from "../../src/token/facts.ts";
import type { Replica, World } from "./replica.ts";

const HEARTBEAT_MS = 1_000;

/** A subscriber to revocations that does what the documentation says: drops all at a reset, resumes where it was. */
export class SimWatcher {
  readonly #world: World;
  readonly facts = new Set<string>();
  #resumeAt: Cursor | undefined;
  #connections = 0;
  replica: Replica | undefined;

  readonly #onError: (error: unknown) => void;

  constructor(world: World, onError: (error: unknown) => void) {
    this.#world = world;
    this.#onError = onError;
  }

  /** Leaves without a word and goes on at `replica`. What the old connection still delivers is not read. */
  connect(replica: Replica): void {
    this.#connections += 1;
    this.replica = replica;
    if (this.#resumeAt === undefined) this.facts.clear();
    this.#follow(replica, this.#connections).catch(this.#onError);
  }

  async #follow(replica: Replica, connection: number): Promise<void> {
    const events = this.#world.modules.watchRevocations({
      feed: replica.feed,
      revocations: replica.revocations,
      clock: replica.process,
      after: this.#resumeAt,
      subjects: new Set(),
      heartbeatMs: HEARTBEAT_MS,
      maxLag: 1_000,
      signal: new AbortController().signal,
      drain: new AbortController().signal,
    });
    for await (const event of events) {
      if (connection !== this.#connections) return;
      if (event.kind === "reset") this.facts.clear();
      else if (event.kind === "revocation") this.facts.add(factKeyOf(event.entry.fact));
      if (event.kind !== "revocation" || event.resumeAt !== undefined) this.#resumeAt = event.resumeAt;
      await this.#dawdle();
    }
  }

  /** A subscriber may take its time with an event, while others happen. */
  async #dawdle(): Promise<void> {
    const { scheduler, random } = this.#world;
    if (random.chance(0.3)) await new Promise<void>((resolve) => scheduler.after(random.between(0, 200), resolve));
  }
}
