import { describe, expect, it } from "vitest";
import { admissionWith } from "../../test/support/admission.ts";
import { systemClock } from "../system-clock.ts";
import { CallPlace } from "./call-place.ts";
import { LoopDelay } from "./loop-delay.ts";

const CHECK = "/grpc.health.v1.Health/Check";
const REVOKE = "/m2mgateway.v1.TokenService/RevokeToken";
const STATUS = "/m2mgateway.v1.GatewayService/GetStatus";
const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";
const COSTLY = [
  "/m2mgateway.v1.TokenService/CreateToken",
  "/m2mgateway.v1.TokenService/ListTokens",
  "/m2mgateway.v1.TokenService/VerifyTokenStream",
  "/m2mgateway.v1.RevocationService/WatchRevocations",
  "/m2mgateway.v1.RevocationService/ListRevocations",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

function occupy(admission: ReturnType<typeof admissionWith>, count: number): CallPlace[] {
  return Array.from({ length: count }, () => new CallPlace(admission));
}

describe("when as many calls are under way as may be", () => {
  it("others are refused, an eighth is kept for revocations and status, and probes always pass", () => {
    const admission = admissionWith({ maxInFlight: 16 });
    const places = occupy(admission, 14);
    for (const path of [VERIFY, ...COSTLY]) expect(admission.limitFor(path)).toBe("in_flight");
    expect([REVOKE, STATUS, CHECK].map((path) => admission.limitFor(path))).toEqual([undefined, undefined, undefined]);
    places.push(...occupy(admission, 2));
    expect([REVOKE, STATUS, CHECK].map((path) => admission.limitFor(path))).toEqual([
      "in_flight",
      "in_flight",
      undefined,
    ]);
    for (const place of places) {
      place.free();
      place.free();
    }
    expect(admission.inFlight).toBe(0);
    expect(admission.limitFor(VERIFY)).toBeUndefined();
  });
});

describe("when the event loop is late", () => {
  it("what costs much is refused first, then what memory may answer, never what revokes, tells or probes", () => {
    const delay = new LoopDelay(systemClock);
    const admission = admissionWith({ shedDelayMs: 100 }, delay);
    const refused = (path: string) => admission.limitFor(path);
    delay.standingMs = 99;
    expect([VERIFY, ...COSTLY].map(refused)).toEqual(Array(7).fill(undefined));
    expect(() => admission.admitUnknown()).not.toThrow();
    expect(admission.refusesUnknown).toBe(false);
    delay.standingMs = 100;
    expect(COSTLY.map(refused)).toEqual(Array(6).fill("event_loop"));
    expect(refused(VERIFY)).toBeUndefined();
    expect(() => admission.admitUnknown()).toThrow("busy");
    expect(admission.refusesUnknown).toBe(true);
    expect(admission.refused.event_loop).toBe(1);
    delay.standingMs = 400;
    expect(refused(VERIFY)).toBe("event_loop");
    expect([REVOKE, STATUS, CHECK].map(refused)).toEqual([undefined, undefined, undefined]);
  });

  it("nothing is refused where the delay is not asked for", () => {
    const delay = new LoopDelay(systemClock);
    const admission = admissionWith({ shedDelayMs: 0 }, delay);
    delay.standingMs = 60_000;
    expect([VERIFY, ...COSTLY].map((path) => admission.limitFor(path))).toEqual(Array(7).fill(undefined));
    expect(() => admission.admitUnknown()).not.toThrow();
  });
});

describe("bytes that wait", () => {
  it("are bounded for all calls together, but a small call always fits, and all are given back", () => {
    const admission = admissionWith({ maxPendingBytes: 1_000_000 });
    const [large, small] = [new CallPlace(admission), new CallPlace(admission)];
    large.hold(900_000);
    expect(() => large.hold(200_000)).toThrow("too many bytes");
    expect(admission.refused.pending_bytes).toBe(1);
    large.hold(100_000);
    small.hold(16_000);
    expect(() => small.hold(1_000)).toThrow("too many bytes");
    expect(admission.pendingBytes).toBe(1_016_000);
    large.free();
    small.free();
    expect(admission.pendingBytes).toBe(0);
  });
});
