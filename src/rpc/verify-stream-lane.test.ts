import { describe, expect, it } from "vitest";
import { dependenciesOf } from "../../test/rpc/verify-stream-fixture.ts";
import { createDomain } from "../../test/support/domain.ts";
import type { RequestHead } from "../http2/request-head.ts";
import { observeEnds } from "./call-observer.ts";
import { VerifyStreamLane } from "./verify-stream-lane.ts";

const PLAIN = { "content-type": "application/grpc" };

async function createLane(): Promise<VerifyStreamLane> {
  return new VerifyStreamLane(
    dependenciesOf(await createDomain(), 4_096),
    observeEnds(() => undefined),
  );
}

function headOf(headers: Record<string, string>, method = "POST"): RequestHead {
  const fields = Object.entries(headers).map(([name, value]) => ({
    name,
    value,
    size: name.length + value.length + 32,
  }));
  return { method, path: "", scheme: "http", authority: "gateway", fields };
}

describe("the lane of VerifyTokenStream", () => {
  it.each([
    ["plain gRPC", PLAIN],
    ["gRPC that names its format", { "content-type": "application/grpc+proto", te: "trailers" }],
    ["callers that take gzip", { ...PLAIN, "grpc-accept-encoding": "identity,gzip" }],
    ["callers that say that they do not compress", { ...PLAIN, "grpc-encoding": "identity" }],
  ])("takes %s", async (_what, headers) => {
    expect((await createLane()).admits(headOf(headers))).toBe(true);
  });

  it.each([
    ["a deadline", { ...PLAIN, "grpc-timeout": "1S" }],
    ["compressed requests", { ...PLAIN, "grpc-encoding": "gzip" }],
    ["an expectation", { ...PLAIN, expect: "identity" }],
    ["JSON", { "content-type": "application/grpc+json" }],
    ["gRPC-Web", { "content-type": "application/grpc-web+proto" }],
    ["Connect", { "content-type": "application/connect+proto" }],
    ["no content type", {}],
  ])("leaves calls with %s to the handler", async (_what, headers) => {
    expect((await createLane()).admits(headOf(headers))).toBe(false);
  });

  it("leaves other methods, and calls that come while the gateway shuts down, to the handler", async () => {
    const lane = await createLane();
    expect(lane.admits(headOf(PLAIN, "GET"))).toBe(false);
    lane.drain();
    expect(lane.admits(headOf(PLAIN))).toBe(false);
  });
});
