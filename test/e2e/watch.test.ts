import { fromBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FreshnessState, GetStatusResponseSchema } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { ResetReason, RevocationSource } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { data, headers, requestFields } from "../http2/kit/frames.ts";
import { connectRaw } from "../http2/kit/raw-client.ts";
import { failureOf } from "../rpc/fake-gateway.ts";
import { type GatewayFixture, startGatewayFixture, until, Watcher } from "../support/gateway-fixture.ts";
import { questionOn } from "../support/watch-lane.ts";

const WATCHERS = 200;

describe("WatchRevocations", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture({ env: { GATEWAY_WATCH_HEARTBEAT_MS: "100" } });
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  async function revokeNew(reason = ""): Promise<{ id: string; cursor: string }> {
    const { id } = await fixture.mint();
    const { cursor } = await fixture.tokens.revokeToken({ target: { case: "tokenId", value: id }, reason });
    return { id, cursor };
  }

  async function watcherCount(): Promise<number> {
    return Number((await fixture.gateway.getStatus({})).revocations?.watchers);
  }

  it("begins with a snapshot of all live revocations, then follows the log", async () => {
    const [first, second] = [await revokeNew(), await revokeNew()];
    using watcher = new Watcher(fixture);
    expect(await watcher.snapshot()).toEqual({ ids: [first.id, second.id], cursor: second.cursor });

    const third = await revokeNew("leaked");
    const { event, cursor } = await watcher.nextNews();
    expect(cursor).toBe(third.cursor);
    expect(event).toMatchObject({
      case: "revocation",
      value: {
        tokenId: third.id,
        subject: fixture.emulator.machine("billing").id,
        reason: "leaked",
        source: RevocationSource.API,
        cursor: third.cursor,
      },
    });
  });

  it("is asked for in turn with all other calls of its connection", async () => {
    using client = await connectRaw(Number(new URL(fixture.url).port));
    const watches = Array.from({ length: 20 }, (_, n) => questionOn(2 * n + 1));
    const fields = requestFields("/m2mgateway.v1.GatewayService/GetStatus", [["content-type", "application/grpc"]]);
    client.send(Buffer.concat([...watches, headers(41, fields), data(41, Buffer.alloc(5), { end: true })]));
    const { trailers } = await client.answer(41);
    expect(trailers).toMatchObject({ "grpc-status": "0" });
    const status = fromBinary(GetStatusResponseSchema, client.body(41).subarray(5));
    expect(status.revocations?.watchers).toBe(20n);
  });

  it("resumes after the cursor given, without a snapshot", async () => {
    const [first, second] = [await revokeNew(), await revokeNew()];
    using watcher = new Watcher(fixture, { cursor: first.cursor });
    expect(await watcher.next()).toMatchObject({ cursor: first.cursor, event: { case: "heartbeat" } });
    expect(await watcher.nextRevoked()).toBe(second.id);
  });

  it("sends a heartbeat with its state while nothing happens", async () => {
    const { cursor } = await revokeNew();
    using watcher = new Watcher(fixture, { cursor });
    for (let beat = 0; beat < 3; beat += 1) {
      expect(await watcher.next()).toMatchObject({
        cursor,
        event: { case: "heartbeat", value: { freshness: FreshnessState.SYNCED } },
      });
    }
  });

  it("leaves out revocations of other machines' tokens when asked for some machines'", async () => {
    const { emulator } = fixture;
    const reports = emulator.machine("reports");
    const response = await fetch(`${emulator.url}/m2m_tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${reports.secretKey}`, "content-type": "application/json" },
      body: "{}",
    });
    const { id: theirs } = (await response.json()) as { id: string };
    using watcher = new Watcher(fixture, { subjects: [reports.id] });
    await watcher.snapshot();

    await revokeNew();
    await fixture.tokens.revokeToken({ target: { case: "tokenId", value: theirs } });
    expect(await watcher.nextRevoked()).toBe(theirs);
  });

  it("gives each of 200 watchers each revocation once", async () => {
    const watchers = Array.from({ length: WATCHERS }, () => new Watcher(fixture));
    await Promise.all(watchers.map((watcher) => watcher.snapshot()));
    expect(await watcherCount()).toBe(WATCHERS);
    const revoked = [await revokeNew(), await revokeNew()];
    // The second comes straight after the first: there was but one of each.
    for (const { id } of revoked) {
      const received = await Promise.all(watchers.map((watcher) => watcher.nextRevoked()));
      expect(received).toEqual(watchers.map(() => id));
    }
    for (const watcher of watchers) watcher[Symbol.dispose]();
    await until(async () => (await watcherCount()) === 0);
  });

  it("is over, and counted no more, when its caller cancels", async () => {
    const watcher = new Watcher(fixture);
    await watcher.snapshot();
    expect(await watcherCount()).toBe(1);
    watcher[Symbol.dispose]();
    await until(async () => (await watcherCount()) === 0);
  });

  it("ends with DRAINING and its cursor; on the restarted gateway that cursor is a reset, then a snapshot", async () => {
    const { cursor } = await revokeNew();
    using watcher = new Watcher(fixture);
    await watcher.snapshot();
    const closed = fixture.close();
    const failure = await failureOf(watcher.nextNews());
    expect(failure).toMatchObject({ code: Code.Unavailable, reason: "DRAINING", metadata: { cursor } });
    await closed;

    const restarted = await fixture.startAnother();
    using resumed = new Watcher(restarted, { cursor: failure.metadata.cursor ?? "" });
    expect(await resumed.next()).toMatchObject({
      cursor: "",
      event: { case: "reset", value: { reason: ResetReason.EPOCH_CHANGED } },
    });
    const snapshot = await resumed.snapshot();
    expect(snapshot.ids).toEqual([]);
    expect(snapshot.cursor).not.toBe(cursor);
  });

  it("refuses what is no cursor", async () => {
    using watcher = new Watcher(fixture, { cursor: "yesterday" });
    expect(await failureOf(watcher.next())).toMatchObject({ code: Code.InvalidArgument, reason: "CURSOR_MALFORMED" });
  });
});
