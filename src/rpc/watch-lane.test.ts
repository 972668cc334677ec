import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { eventually } from "../../test/http2/kit/engine-fixture.ts";
import { data, headers, INITIAL_WINDOW_SIZE, requestFields, reset, windowUpdate } from "../../test/http2/kit/frames.ts";
import { connectRaw } from "../../test/http2/kit/raw-client.ts";
import { ask, HEARTBEAT_MS, kinds, messagesOf, PATH, revoke, startLane } from "../../test/support/watch-lane.ts";
import { createCallerKey, fingerprintOf } from "../callers/caller-key.ts";
import { parseCallersFile } from "../callers/callers-file.ts";
import { WatchRevocationsRequestSchema } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import { envelope } from "./plain-grpc.ts";

describe("WatchRevocations past the framework", () => {
  it("sends the snapshot, then each revocation, then heartbeats while nothing happens", async () => {
    await using fixture = await startLane();
    await revoke(fixture.domain, 1, 2);
    using client = await connectRaw(fixture.engine.port);
    ask(client, 1);
    expect(await kinds(client, 1, 3)).toEqual(["revocation", "revocation", "snapshotComplete"]);
    await revoke(fixture.domain, 3);
    expect(await kinds(client, 1, 4)).toMatchObject({ 3: "revocation" });
    fixture.domain.clock.advance(HEARTBEAT_MS + HEARTBEAT_MS / 8);
    expect(await kinds(client, 1, 5)).toMatchObject({ 4: "heartbeat" });
    expect(messagesOf(client, 1)[3]?.cursor).toBe(messagesOf(client, 1)[4]?.cursor);
    expect(fixture.watchers.open).toBe(1);
  });

  it("resumes after a cursor, at once with a heartbeat", async () => {
    await using fixture = await startLane();
    await revoke(fixture.domain, 1);
    const cursor = formatCursor(fixture.domain.revocations.applied);
    await revoke(fixture.domain, 2);
    using client = await connectRaw(fixture.engine.port);
    ask(client, 1, { cursor });
    expect(await kinds(client, 1, 2)).toEqual(["heartbeat", "revocation"]);
  });

  it("keeps one event for a stream without a window, and goes on from its position", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0 } });
    ask(client, 1);
    await client.roundTrip();
    await revoke(fixture.domain, 1, 2, 3);
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(0);
    client.send(windowUpdate(1, 100_000));
    expect(await kinds(client, 1, 4)).toEqual(["snapshotComplete", "revocation", "revocation", "revocation"]);
  });

  it("cuts a stream that stays too far behind, with the cursor of the last event that left", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0 } });
    ask(client, 1);
    await client.roundTrip();
    await revoke(fixture.domain, 1, 2, 3, 4, 5, 6, 7, 8);
    fixture.domain.clock.advance(1);
    client.send(windowUpdate(1, 60));
    await client.until(() => (client.body(1).length > 0 ? true : undefined));
    fixture.domain.clock.advance(2 * HEARTBEAT_MS);
    client.send(windowUpdate(1, 100_000));
    expect((await client.answer(1)).trailers).toMatchObject({ "grpc-status": "8" });
    expect(fixture.reports).toMatchObject([
      { code: "RESOURCE_EXHAUSTED", reason: "SLOW_CONSUMER", method: "WatchRevocations" },
    ]);
    expect(fixture.watchers).toEqual({ open: 0, cut: 1 });
  });

  it("ends every stream with DRAINING when the gateway goes away, and takes no more", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    for (const id of [1, 3, 5]) ask(client, id);
    for (const id of [1, 3, 5]) await kinds(client, id, 1);
    fixture.lane.drain();
    for (const id of [1, 3, 5]) expect((await client.answer(id)).trailers).toMatchObject({ "grpc-status": "14" });
    expect(fixture.reports.map(({ reason }) => reason)).toEqual(["DRAINING", "DRAINING", "DRAINING"]);
    ask(client, 7);
    expect(await client.answer(7)).toMatchObject({ reset: 11 });
  });

  it("leaves to the framework, which refuses it, what is beyond the bound of watchers", async () => {
    await using fixture = await startLane({ maxWatchers: 2 });
    using client = await connectRaw(fixture.engine.port);
    for (const id of [1, 3, 5]) ask(client, id);
    await client.answer(5);
    expect([fixture.watchers.open, fixture.left.length]).toEqual([2, 1]);
    client.send(reset(1));
    await eventually(() => fixture.watchers.open === 1);
    ask(client, 7);
    expect(await kinds(client, 7, 1)).toEqual(["snapshotComplete"]);
  });

  it("gives up a request that does not come whole, and never a stream that is served", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    ask(client, 1);
    client.send(headers(3, requestFields(PATH, [["content-type", "application/grpc"]])), data(3, "\0\0\0"));
    await client.roundTrip();
    fixture.domain.clock.advance(60_000);
    expect((await client.answer(3)).reset).toBe(8);
    expect(fixture.watchers.open).toBe(1);
  });

  it("is over, and counted once, when its caller resets it", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    ask(client, 1);
    await kinds(client, 1, 1);
    client.send(reset(1));
    await eventually(() => fixture.reports.length > 0);
    expect(fixture.reports).toMatchObject([{ code: "CANCELLED" }]);
    expect(fixture.watchers.open).toBe(0);
    // The tick and the listener of the lane end with its last stream.
    expect(fixture.domain.clock.pendingTasks).toBe(0);
  });

  it.each([
    ["a cursor that is none", { cursor: "nonsense" }],
    ["a subject that is none", { subjects: ["somebody"] }],
  ])("leaves %s to the framework, with the bytes as they came", async (_what, request) => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    ask(client, 1, request);
    expect(await client.answer(1)).toMatchObject({ reset: 7 });
    const message = toBinary(WatchRevocationsRequestSchema, create(WatchRevocationsRequestSchema, request));
    expect(fixture.left).toEqual([envelope(message)]);
  });

  const OWN = `mch_${"a".repeat(27)}`;
  it.each([
    ["a cursor that is none", { cursor: "nonsense" }],
    ["a subject that is not the caller's", { subjects: [`mch_${"b".repeat(27)}`] }],
  ])("does not count a call with %s, which the framework counts", async (_what, request) => {
    const key = createCallerKey();
    const caller = { name: "app", roles: ["watch"], keys: [fingerprintOf(key)], subjects: [OWN] };
    const entries = parseCallersFile(
      JSON.stringify({ callers: [{ ...caller, limits: { requestsPerSecond: 1, burst: 1 } }] }),
    );
    await using fixture = await startLane({}, entries);
    using client = await connectRaw(fixture.engine.port);
    const authorization: [string, string] = ["authorization", `Bearer ${key}`];
    ask(client, 1, request, [authorization]);
    expect(await client.answer(1)).toMatchObject({ reset: 7 });
    expect(fixture.uses()).toContainEqual({ name: "app", admitted: 0, inFlight: 0 });
    // Nor is anything of its rate used up.
    ask(client, 3, {}, [authorization]);
    expect(await kinds(client, 3, 1)).toEqual(["snapshotComplete"]);
    expect(fixture.uses()).toContainEqual({ name: "app", admitted: 1, inFlight: 1 });
  });

  it.each([
    ["a message that is cut short", Buffer.from([0, 0, 0, 0, 9, 1])],
    ["a compressed message", Buffer.from([1, 0, 0, 0, 0])],
    ["no message", Buffer.alloc(0)],
    ["two messages", Buffer.alloc(10)],
    ["a message that is no protobuf", envelope(Buffer.from([0xff, 0xff]))],
  ])("leaves %s to the framework", async (_what, body) => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port);
    client.send(headers(1, requestFields(PATH, [["content-type", "application/grpc"]])), data(1, body, { end: true }));
    expect(await client.answer(1)).toMatchObject({ reset: 7 });
    expect(fixture.left).toEqual([body]);
  });

  it("serves each of 3,000 streams each event once", async () => {
    await using fixture = await startLane();
    using client = await connectRaw(fixture.engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 65_535 } });
    const ids = Array.from({ length: 1000 }, (_, n) => 2 * n + 1);
    using second = await connectRaw(fixture.engine.port);
    using third = await connectRaw(fixture.engine.port);
    const clients = [client, second, third];
    for (const each of clients) {
      each.send(windowUpdate(0, 10_000_000));
      for (const id of ids) ask(each, id);
    }
    await eventually(() => fixture.watchers.open === 3000);
    await revoke(fixture.domain, 1, 2);
    fixture.domain.clock.advance(1);
    fixture.domain.clock.advance(1);
    for (const each of clients) for (const id of ids) await kinds(each, id, 3);
    const seen = new Set<string>();
    for (const each of clients) {
      await each.roundTrip();
      for (const id of ids) seen.add((await kinds(each, id, 3)).join());
    }
    expect([...seen]).toEqual(["snapshotComplete,revocation,revocation"]);
  });
});
