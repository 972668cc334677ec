import { beforeEach, describe, expect, it } from "vitest";
import { requestOf, SECRET, VerifyLaneFixture } from "../../test/rpc/verify-lane-fixture.ts";
import { createDomain } from "../../test/support/domain.ts";
import { token } from "../../test/support/tokens.ts";
import type { LaneReply, UnaryLane } from "../http2/unary-lane.ts";
import { Share } from "./share.ts";
import { createVerifyLane } from "./verify-lane.ts";
import { type AnsweredCall, WatchedVerifyLane } from "./watched-verify-lane.ts";

interface Noted extends AnsweredCall {
  readonly isTraced: boolean;
  readonly isLogged: boolean;
}

let fixture: VerifyLaneFixture;
const noted: Noted[] = [];

beforeEach(async () => {
  noted.length = 0;
  fixture = new VerifyLaneFixture(await createDomain());
  await fixture.observe(token(1));
});

function watched(traced: number, logged: number): UnaryLane {
  const { domain } = fixture;
  const options = { ...domain, isDegraded: () => false, maxMessageBytes: 8_000, onAnswered: () => undefined };
  return new WatchedVerifyLane(domain.verifier, (verifier) => createVerifyLane({ ...options, verifier }), {
    traced: new Share(traced),
    logged: new Share(logged),
    isTraced: (header) => {
      const sampled = header("sampled");
      return sampled === undefined ? undefined : sampled === "1";
    },
    note: (call, how) => noted.push({ ...call, ...how }),
  });
}

function admitted(lane: UnaryLane, headers: Record<string, string> = {}): LaneReply {
  const fields = Object.entries({ "content-type": "application/grpc", ...headers });
  const reply = lane.admit({
    method: "POST",
    path: lane.path,
    scheme: "http",
    authority: "gateway",
    fields: fields.map(([name, value]) => ({ name, value, size: 64 })),
  });
  if (reply === undefined) throw new Error("the lane does not take the call");
  return reply;
}

function ask(lane: UnaryLane, reply: LaneReply, presented: string = SECRET): Buffer {
  const body = requestOf({ token: presented });
  const target = Buffer.alloc(lane.maxAnswerBytes);
  return target.subarray(0, lane.answer(body, 0, body.length, target, 0, reply));
}

describe("the watched lane", () => {
  it("answers byte for byte what the lane answers, watched or not", () => {
    const lane = watched(0.5, 0.25);
    const reply = admitted(lane);
    const answers = Array.from({ length: 8 }, () => ask(lane, reply).toString("hex"));
    expect(new Set(answers)).toEqual(new Set([fixture.ask(requestOf({ token: SECRET })).toString("hex")]));
    expect([reply.headers, reply.trailers]).toEqual(
      [fixture.lane.admit(headOf(lane))].flatMap((plain) => [plain?.headers, plain?.trailers]),
    );
  });

  it("notes a share of the calls, with what was decided and when", () => {
    const lane = watched(0.5, 0.25);
    const reply = admitted(lane);
    for (let n = 0; n < 8; n += 1) ask(lane, reply);
    expect(noted.map(({ isTraced, isLogged }) => [isTraced, isLogged])).toEqual([
      [true, false],
      [true, true],
      [true, false],
      [true, true],
    ]);
    for (const { outcome, startedAtMs, endedAtMs } of noted) {
      expect(outcome).toEqual({ verdict: "valid", source: "memory" });
      expect(endedAtMs).toBeGreaterThanOrEqual(startedAtMs);
    }
  });

  it("traces what the caller traces, every time, and nothing of what the caller does not", () => {
    const lane = watched(0, 0);
    const [sampled, unsampled] = [
      admitted(lane, { sampled: "1", "x-request-id": "r1" }),
      admitted(lane, { sampled: "0" }),
    ];
    for (let n = 0; n < 3; n += 1) {
      ask(lane, sampled);
      ask(lane, unsampled);
    }
    expect(noted.map(({ isTraced, header }) => [isTraced, header("x-request-id")])).toEqual(
      Array.from({ length: 3 }, () => [true, "r1"]),
    );
  });

  it("neither notes nor counts what it leaves to the handlers", () => {
    const lane = watched(0.5, 0.5);
    const reply = admitted(lane);
    for (let n = 0; n < 10; n += 1) expect(ask(lane, reply, `${SECRET}unknown`).length).toBe(0);
    expect(noted).toEqual([]);
    ask(lane, reply);
    expect(noted).toEqual([]);
    ask(lane, reply);
    expect(noted).toHaveLength(1);
  });
});

function headOf({ path }: UnaryLane) {
  const fields = [{ name: "content-type", value: "application/grpc", size: 64 }];
  return { method: "POST", path, scheme: "http", authority: "gateway", fields };
}
