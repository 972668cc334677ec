import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type CliCall, cli, startCli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { revocation, SUBJECT, watched } from "../../test/support/cli/samples.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { FreshnessState } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import {
  ResetReason,
  type WatchRevocationsRequest,
  type WatchRevocationsResponse,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";

const JSON_LINES = ["revocations", "watch", "--output", "json"];
const one = (n: number, cursor = `e.${n}-0`) => watched(cursor, { case: "revocation", value: revocation(n) });
const complete = (size: bigint, cursor: string) => watched(cursor, { case: "snapshotComplete", value: { size } });
const heartbeat = (cursor: string, freshness = FreshnessState.SYNCED) =>
  watched(cursor, { case: "heartbeat", value: { freshness } });
const reset = watched("", { case: "reset", value: { reason: ResetReason.EPOCH_CHANGED } });

/** What one stream does: sends messages, then fails, ends, or stays open and silent. */
type Stream = readonly [...WatchRevocationsResponse[], ConnectError | "end" | "stay open" | "cut"];

describe("revocations watch", () => {
  let gateway: FakeGateway | undefined;
  let requests: WatchRevocationsRequest[] = [];

  async function start(...streams: Stream[]): Promise<Record<string, string>> {
    requests = [];
    const started = await FakeGateway.start({
      revocations: {
        async *watchRevocations(request, context) {
          const script = streams[requests.length] ?? ["end"];
          requests.push(request);
          for (const step of script) {
            if (step instanceof ConnectError) {
              throw step;
            }
            if (step === "cut") {
              started.cut();
            } else if (step === "stay open") {
              await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));
            } else if (step !== "end") {
              yield step;
            }
          }
        },
      },
    });
    gateway = started;
    return { GATEWAY_URL: started.url };
  }

  afterEach(async () => {
    vi.useRealTimers();
    await gateway?.close();
    gateway = undefined;
  });

  const until = (condition: () => void) => vi.waitFor(condition, { timeout: 10_000, interval: 5 });
  const lines = (call: CliCall) => call.out().split("\n").filter(Boolean);
  const tokensOf = (call: CliCall) =>
    lines(call).flatMap((line) => {
      const { revocation: value } = JSON.parse(line);
      return value === undefined ? [] : [Number(value.tokenId.slice(3))];
    });

  it("prints the snapshot and then each revocation, and ends with exit code 0 and a cursor when interrupted", async () => {
    const env = await start([one(1, ""), complete(1n, "e.1-0"), one(2), "stay open"]);
    const call = startCli(["revocations", "watch"], { env, invocation: "node dist/main.js" });
    await until(() => expect(lines(call)).toHaveLength(2));
    call.interrupt();
    expect(await call.exit).toBe(0);
    expect(lines(call)[1]).toMatch(/^2026-11-23T12:00:00Z {2}mt_0+2 {2}mch_\w+ {2}API {7}reason 2$/);
    expect(call.err()).toContain("snapshot complete, live revocations: 1");
    expect(call.err()).toContain("to resume: node dist/main.js revocations watch --cursor e.2-0\n");
  });

  it("prints one JSON object a line and no heartbeats", async () => {
    const env = await start([complete(0n, "e.0-0"), heartbeat("e.0-0"), one(1), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(lines(call)).toHaveLength(2));
    call.interrupt();
    await call.exit;
    const [first, second] = lines(call).map((line) => JSON.parse(line));
    expect(first).toEqual({ cursor: "e.0-0", snapshotComplete: { size: "0" } });
    expect(second).toMatchObject({ cursor: "e.1-0", revocation: { reason: "reason 1" } });
  });

  it("passes the cursor and the subjects on", async () => {
    const env = await start([heartbeat("e.3-0"), "stay open"]);
    const call = startCli([...JSON_LINES, "--cursor", "e.3-0", "--subject", SUBJECT], { env });
    await until(() => expect(requests).toHaveLength(1));
    call.interrupt();
    expect(await call.exit).toBe(0);
    expect(requests[0]).toMatchObject({ cursor: "e.3-0", subjects: [SUBJECT] });
    expect(call.err()).toContain("--cursor e.3-0");
  });

  it.each<[string, ConnectError | "end" | "cut"]>([
    ["UNAVAILABLE", new ConnectError("draining", Code.Unavailable)],
    ["RESOURCE_EXHAUSTED", new ConnectError("too slow", Code.ResourceExhausted)],
    ["a stream that just ends", "end"],
    ["a connection that breaks", "cut"],
  ])("resumes after %s with the cursor of the last message, a heartbeat's included", async (_, end) => {
    const env = await start([complete(0n, "e.0-0"), one(1), heartbeat("e.4-0"), end], [one(5), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(tokensOf(call)).toContain(5));
    call.interrupt();
    expect(await call.exit).toBe(0);
    const [first, second] = requests;
    expect(first?.cursor).toBe("");
    // A connection that breaks can take the last messages with it; then they are asked for again.
    expect(end === "cut" ? ["", "e.0-0", "e.1-0", "e.4-0"] : ["e.4-0"]).toContain(second?.cursor);
    expect(call.err()).toContain("reconnecting in ");
  });

  it("starts over when the stream breaks inside a snapshot, because that cannot be resumed", async () => {
    const env = await start(
      [one(1, ""), heartbeat("e.2-0"), new ConnectError("draining", Code.Unavailable)],
      [one(1, ""), one(2, ""), complete(2n, "e.2-0"), "stay open"],
    );
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(tokensOf(call)).toEqual([1, 1, 2]));
    call.interrupt();
    await call.exit;
    expect(requests.map(({ cursor }) => cursor)).toEqual(["", ""]);
  });

  it("forgets its cursor on reset, says so, and goes on from the new snapshot", async () => {
    const env = await start(
      [reset, one(1, ""), new ConnectError("draining", Code.Unavailable)],
      [one(1, ""), complete(1n, "f.9-0"), new ConnectError("draining", Code.Unavailable)],
      [heartbeat("f.9-0"), "stay open"],
    );
    const call = startCli(["revocations", "watch", "--cursor", "e.3-0"], { env });
    await until(() => expect(requests).toHaveLength(3));
    call.interrupt();
    expect(await call.exit).toBe(0);
    expect(requests.map(({ cursor }) => cursor)).toEqual(["e.3-0", "", "f.9-0"]);
    expect(call.err()).toContain("reset: EPOCH_CHANGED");
  });

  it("prints a reset as a JSON line, so that scripts drop what they hold", async () => {
    const env = await start([reset, complete(0n, "f.0-0"), "stay open"]);
    const call = startCli([...JSON_LINES, "--cursor", "e.3-0"], { env });
    await until(() => expect(lines(call)).toHaveLength(2));
    call.interrupt();
    await call.exit;
    expect(JSON.parse(lines(call)[0] ?? "")).toEqual({ cursor: "", reset: { reason: "RESET_REASON_EPOCH_CHANGED" } });
  });

  it("takes 15 seconds of silence for a dead stream and opens another on a new connection", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const env = await start([complete(0n, "e.0-0"), "stay open"], [one(1), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(lines(call)).toHaveLength(1));
    await vi.advanceTimersByTimeAsync(15_000);
    await until(() => expect(call.err()).toContain("no message for 15s (UNAVAILABLE)"));
    await vi.advanceTimersByTimeAsync(250);
    await until(() => expect(tokensOf(call)).toEqual([1]));
    expect(requests[1]?.cursor).toBe("e.0-0");
    call.interrupt();
    expect(await call.exit).toBe(0);
  });

  it("keeps trying a gateway that is away once it has heard from it", async () => {
    const env = await start([complete(0n, "e.0-0"), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(lines(call)).toHaveLength(1));
    const port = gateway?.port ?? 0;
    await gateway?.close();
    await until(() => expect(call.err()).toContain("ECONNREFUSED"));
    gateway = await FakeGateway.start(
      {
        revocations: {
          async *watchRevocations(request) {
            requests.push(request);
            yield one(1);
            await new Promise(() => undefined);
          },
        },
      },
      port,
    );
    await until(() => expect(tokensOf(call)).toEqual([1]));
    expect(requests.at(-1)?.cursor).toBe("e.0-0");
    call.interrupt();
    expect(await call.exit).toBe(0);
  });

  it("fails at once with exit code 3 when no gateway is there to begin with", async () => {
    const env = await start();
    await gateway?.close();
    expect(await cli(["revocations", "watch"], { env })).toMatchObject({
      code: 3,
      err: expect.stringContaining("cannot reach a gateway at http://127.0.0.1:"),
    });
  });

  it.each([
    [Code.InvalidArgument, undefined, 2],
    [Code.PermissionDenied, undefined, 3],
    [Code.Internal, "INTERNAL", 3],
  ])("does not repeat what cannot succeed: code %i, reason %s", async (code, reason, exitCode) => {
    const details = reason === undefined ? [] : [{ desc: ErrorInfoSchema, value: { reason, domain: "m2m-gateway" } }];
    const env = await start([new ConnectError("no", code, undefined, details)]);
    expect((await cli(JSON_LINES, { env })).code).toBe(exitCode);
    expect(requests).toHaveLength(1);
  });

  it("ends with exit code 3 and the cursor at the first break with --no-reconnect", async () => {
    const env = await start([complete(0n, "e.0-0"), one(1), new ConnectError("draining", Code.Unavailable)]);
    const { code, err } = await cli([...JSON_LINES, "--no-reconnect"], { env });
    expect(code).toBe(3);
    expect(err).toContain("error: draining (UNAVAILABLE)");
    expect(err).toContain("--cursor e.1-0");
  });

  it("stops after the snapshot with --once", async () => {
    const env = await start([one(1, ""), one(2, ""), complete(2n, "e.2-0"), one(3), "stay open"]);
    const { code, out } = await cli(["revocations", "watch", "--once"], { env });
    expect(code).toBe(0);
    expect(out.trimEnd().split("\n")).toHaveLength(2);
    expect(await cli(["revocations", "watch", "--once", "--cursor", "e.1-0"], { env })).toMatchObject({ code: 2 });
  });

  it("says when the gateway's view goes stale and when it is fresh again", async () => {
    const env = await start([
      complete(0n, "e.0-0"),
      heartbeat("e.0-0", FreshnessState.UNSYNCED),
      heartbeat("e.0-0", FreshnessState.UNSYNCED),
      heartbeat("e.0-0", FreshnessState.SYNCED),
      new ConnectError("over", Code.PermissionDenied),
    ]);
    const { err } = await cli(["revocations", "watch"], { env });
    expect(err.match(/the gateway is \w+/g)).toEqual(["the gateway is UNSYNCED", "the gateway is SYNCED"]);
  });

  it("strips control characters and keeps every revocation on one line", async () => {
    const evil = revocation(1, { reason: "a\r\nb\u001b[2Jc\u202ed" });
    const env = await start([
      watched("", { case: "revocation", value: evil }),
      complete(1n, "e.1-0"),
      new ConnectError("over\u001b[2J", Code.PermissionDenied),
    ]);
    const { out, err } = await cli(["revocations", "watch"], { env });
    expect(out).toMatch(/a b\[2Jcd\n$/);
    expect(err).not.toContain("\u001b");
  });

  it("ends with exit code 0 when the reader of its output has gone", async () => {
    const env = await start([complete(0n, "e.0-0"), one(1), one(2), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    call.closeOutput();
    expect(await call.exit).toBe(0);
  });

  it("leaves no connection behind", async () => {
    const env = await start([complete(0n, "e.0-0"), "end"], [heartbeat("e.0-0"), "stay open"]);
    const call = startCli(JSON_LINES, { env });
    await until(() => expect(requests).toHaveLength(2));
    expect(gateway?.connections).toBeLessThanOrEqual(1);
    call.interrupt();
    await call.exit;
    await until(() => expect(gateway?.connections).toBe(0));
  });
});
