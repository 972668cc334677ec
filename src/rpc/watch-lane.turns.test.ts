import { describe, expect, it, vi } from "vitest";
import { eventually } from "../../test/http2/kit/engine-fixture.ts";
import { INITIAL_WINDOW_SIZE, reset, settings, windowUpdate } from "../../test/http2/kit/frames.ts";
import { connectRaw } from "../../test/http2/kit/raw-client.ts";
import { ask, kinds, questionOn, revoke, startLane } from "../../test/support/watch-lane.ts";
import { formatCursor } from "../token/cursor.ts";

describe("WatchRevocations past the framework, for many at once", () => {
  it("lets others have their turn while it serves many", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    client.send(windowUpdate(0, 10_000_000));
    const ids = Array.from({ length: 200 }, (_, n) => 2 * n + 1);
    for (const id of ids) ask(client, id);
    await eventually(() => fixture.watchers.open === ids.length);
    await kinds(client, ids.at(-1) ?? 0, 1);
    // Time passes with everything that is done.
    passTime(fixture);
    const encode = vi.spyOn(fixture.lane, "encode");
    const served: number[] = [];
    const count = () => {
      served.push(encode.mock.calls.length);
      if (encode.mock.calls.length < 3 * ids.length) setImmediate(count);
    };
    setImmediate(count);
    // What comes while they are served makes it no more at a time.
    await revoke(fixture.domain, 1, 2, 3);
    for (const id of ids)
      expect(await kinds(client, id, 4)).toEqual(["snapshotComplete", ...Array(3).fill("revocation")]);
    await eventually(() => served.at(-1) === 3 * ids.length);
    const inOneRound = served.map((now, at) => now - (served[at - 1] ?? 0));
    expect(Math.max(...inOneRound)).toBeLessThanOrEqual(3 * 16);
  });

  it("serves those of at most sixteen connections in one round, however little time that takes", async () => {
    await using fixture = await startLane();
    const clients = await Promise.all(Array.from({ length: 40 }, () => connectRaw(fixture.engine.port)));
    for (const client of clients) for (const id of [1, 3]) ask(client, id);
    for (const client of clients) for (const id of [1, 3]) await kinds(client, id, 1);
    const inOneRound = await countEvents(fixture, 80, () => revoke(fixture.domain, 1));
    for (const client of clients) client[Symbol.dispose]();
    expect(inOneRound.filter((count) => count > 0)).toEqual([32, 32, 16]);
  });

  it("serves in turn those that wait for the same news of the log", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    client.send(windowUpdate(0, 10_000_000));
    const { applied } = fixture.domain.revocations;
    const ahead = formatCursor({ ...applied, major: applied.major + 1 });
    let tell = () => {};
    const news = new Promise<void>((resolve) => {
      tell = resolve;
    });
    vi.spyOn(fixture.domain.feed, "refresh").mockReturnValue(news);
    const ids = Array.from({ length: 100 }, (_, n) => 2 * n + 1);
    for (const id of ids) ask(client, id, { cursor: ahead });
    await eventually(() => fixture.watchers.open === ids.length);
    passTime(fixture);
    const inOneRound = await countEvents(fixture, 200, async () => tell());
    expect(inOneRound.every((count) => count <= 2 * 16)).toBe(true);
  });

  it("serves in turn those whose windows open together", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0 } });
    client.send(windowUpdate(0, 10_000_000));
    const ids = Array.from({ length: 100 }, (_, n) => 2 * n + 1);
    for (const id of ids) ask(client, id);
    await eventually(() => fixture.watchers.open === ids.length);
    await revoke(fixture.domain, 1, 2);
    // The first event of each has been encoded and waits.
    passTime(fixture);
    const inOneRound = await countEvents(fixture, 200, async () => {
      client.send(settings({ [INITIAL_WINDOW_SIZE]: 65_535 }));
    });
    expect(inOneRound.every((count) => count <= 2 * 16)).toBe(true);
    for (const id of ids) expect(await kinds(client, id, 3)).toHaveLength(3);
  });

  it("opens one stream in each round of the event loop, of one connection after the other", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    using other = await connectRaw(fixture.engine.port);
    const opened: number[] = [];
    const count = () => {
      opened.push(fixture.watchers.open);
      if (!isOver) setImmediate(count);
    };
    let isOver = false;
    client.send(Buffer.concat(Array.from({ length: 40 }, (_, n) => questionOn(2 * n + 1))));
    await eventually(() => fixture.watchers.open > 0);
    setImmediate(count);
    ask(other, 1);
    await kinds(other, 1, 1);
    expect(fixture.watchers.open).toBeLessThan(41);
    await eventually(() => fixture.watchers.open === 41);
    isOver = true;
    const inOneRound = opened.map((now, at) => now - (opened[at - 1] ?? now));
    expect(Math.max(...inOneRound)).toBe(1);
  });

  it("does not open a stream that its caller resets before its turn, and counts it as cancelled", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    // They come together: before the second has its turn it is gone.
    client.send(Buffer.concat([questionOn(1), questionOn(3), reset(3), questionOn(5)]));
    await kinds(client, 5, 1);
    expect(fixture.watchers.open).toBe(2);
    expect(fixture.reports).toMatchObject([{ code: "CANCELLED", method: "WatchRevocations" }]);
    expect(fixture.left).toEqual([]);
  });

  it("leaves to the framework, which refuses them, those that wait for their turn when the gateway goes away", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    client.send(Buffer.concat([questionOn(1), questionOn(3), questionOn(5)]));
    await eventually(() => fixture.watchers.open === 1);
    fixture.lane.drain();
    expect((await client.answer(1)).trailers).toMatchObject({ "grpc-status": "14" });
    for (const id of [3, 5]) expect(await client.answer(id)).toMatchObject({ reset: 7 });
    expect(fixture.left).toHaveLength(2);
    expect(fixture.watchers.open).toBe(0);
  });
});

type LaneFixture = Awaited<ReturnType<typeof startLane>>;

/** From now on time passes with each look at the clock, so that few are served before their time is over. */
function passTime({ domain: { clock } }: LaneFixture): void {
  let nowMs = clock.monotonicMs();
  vi.spyOn(clock, "monotonicMs").mockImplementation(() => (nowMs += 0.1));
}

/** How many events a lane encodes in each round of the event loop from `begin` on, until there have been so many. */
async function countEvents({ lane }: LaneFixture, total: number, begin: () => Promise<void>): Promise<number[]> {
  const encode = vi.spyOn(lane, "encode");
  const seen: number[] = [];
  const counted = new Promise<void>((resolve) => {
    const count = () => {
      seen.push(encode.mock.calls.length);
      if (encode.mock.calls.length < total) setImmediate(count);
      else resolve();
    };
    setImmediate(count);
  });
  await begin();
  await counted;
  expect(seen.at(-1)).toBe(total);
  return seen.map((now, at) => now - (seen[at - 1] ?? 0));
}
