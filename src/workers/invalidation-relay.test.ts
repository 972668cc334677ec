import { describe, expect, it } from "vitest";
import { channelPair } from "../../test/support/workers/channel-pair.ts";
import type { TokenId } from "../token/token.ts";
import type { InvalidationTarget } from "../token/verdict-cache.ts";
import type { Channel } from "./channel.ts";
import { InvalidationRelay } from "./invalidation-relay.ts";
import { RelayedInvalidations } from "./relayed-invalidations.ts";

const TOKEN: InvalidationTarget = { tokenId: "mt_1" as TokenId };
const NEVER = new AbortController().signal;

class Host {
  readonly errors: unknown[] = [];
  readonly #relay = new InvalidationRelay((error) => this.errors.push(error));

  /** A worker that serves, unless told otherwise; `forgets: false` makes one that hangs. */
  worker({ serves = true, forgets = true } = {}) {
    const [here, there] = channelPair();
    const end = this.#relay.attach(here);
    const forgotten: InvalidationTarget[] = [];
    const invalidations = new RelayedInvalidations(there, (error) => this.errors.push(error));
    if (forgets) invalidations.follow((target) => void forgotten.push(target));
    if (serves) there.send({ kind: "serving", url: "http://127.0.0.1:1" });
    return { invalidations, forgotten, end, channel: there satisfies Channel };
  }
}

/** Longer than any message between two ends needs. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("InvalidateCache among workers", () => {
  it("is answered when every other worker has forgotten, and tells the one that asks nothing", async () => {
    const host = new Host();
    const [asking, ...others] = [host.worker(), host.worker(), host.worker()];
    await asking?.invalidations.spread(TOKEN, NEVER);
    await asking?.invalidations.spread({ all: true }, NEVER);
    expect(others.map(({ forgotten }) => forgotten)).toEqual(others.map(() => [TOKEN, { all: true }]));
    expect(asking?.forgotten).toEqual([]);
  });

  it("waits for a worker that hangs until its process has ended", async () => {
    const host = new Host();
    const [asking, hung] = [host.worker(), host.worker({ forgets: false })];
    let answered = false;
    const spread = asking.invalidations.spread(TOKEN, NEVER).then(() => {
      answered = true;
    });
    await turns();
    expect(answered).toBe(false);
    hung.end();
    await spread;
  });

  it("does not wait for a worker that does not serve yet", async () => {
    const host = new Host();
    const [asking] = [host.worker(), host.worker({ serves: false, forgets: false })];
    await asking.invalidations.spread(TOKEN, NEVER);
  });

  it("waits no longer than its caller, and not at all for one that has left", async () => {
    const host = new Host();
    const [asking, hung] = [host.worker(), host.worker({ forgets: false })];
    await turns();
    const caller = new AbortController();
    const spread = asking.invalidations.spread(TOKEN, caller.signal);
    caller.abort();
    await expect(spread).rejects.toMatchObject({ reason: "CANCELED" });
    await expect(asking.invalidations.spread(TOKEN, caller.signal)).rejects.toMatchObject({ reason: "CANCELED" });
    hung.end();
  });

  it("names what is wrong with a message, and goes on", async () => {
    const host = new Host();
    const [asking, other] = [host.worker(), host.worker()];
    for (const target of [{ tokenId: 7 }, { machine: "m" }, null]) {
      other.channel.send({ kind: "invalidate", id: 1, target });
    }
    await turns();
    expect(host.errors).toHaveLength(3);
    await asking.invalidations.spread(TOKEN, NEVER);
    expect(other.forgotten).toEqual([TOKEN]);
  });
});
