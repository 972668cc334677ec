import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  WatchRevocationsRequestSchema,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import type { ServerStream } from "../../src/http2/server-stream.ts";
import type { OverloadLimits } from "../../src/rpc/admission.ts";
import { observeEnds } from "../../src/rpc/call-observer.ts";
import { CallQueue } from "../../src/rpc/call-queue.ts";
import type { CallReport } from "../../src/rpc/call-report.ts";
import { envelope } from "../../src/rpc/plain-grpc.ts";
import { WatchLane } from "../../src/rpc/watch-lane.ts";
import { startEngine } from "../http2/kit/engine-fixture.ts";
import { data, headers, requestFields } from "../http2/kit/frames.ts";
import type { RawClient } from "../http2/kit/raw-client.ts";
import { openAccess } from "./access.ts";
import { admissionWith } from "./admission.ts";
import { createDomain, type Domain } from "./domain.ts";
import { settle } from "./fake-clock.ts";
import { token } from "./tokens.ts";

export const PATH = "/m2mgateway.v1.RevocationService/WatchRevocations";
export const HEARTBEAT_MS = 5_000;
const MAX_LAG = 3;

/** A lane of its own engine, on a domain whose clock is the test's. What the lane leaves is kept in `left`. */
export async function startLane(limits: Partial<OverloadLimits> = {}, entries?: Parameters<typeof openAccess>[1]) {
  const domain = await createDomain();
  const reports: CallReport[] = [];
  const left: Buffer[] = [];
  const watchers = { open: 0, cut: 0 };
  const freshness = () => ({
    state: "synced" as const,
    cursor: "",
    stalenessMs: 0,
    worstStalenessMs: 0,
    boundMs: 1_000,
  });
  const admission = admissionWith(limits);
  const watch = { heartbeatMs: HEARTBEAT_MS, maxLag: MAX_LAG };
  const dependencies = { ...domain, watch, watchers, admission, freshness };
  const access = openAccess(domain.clock, entries);
  const lane = new WatchLane(
    dependencies,
    access,
    observeEnds((report) => reports.push(report)),
    new CallQueue(),
  );
  const onStream = (stream: ServerStream) => {
    if (!lane.admits(stream.head)) stream.reset(11);
    else {
      lane.serve(stream, (body) => {
        left.push(body);
        stream.reset(7);
      });
    }
  };
  const engine = await startEngine({ onStream });
  const uses = () => access.guard.callers.uses();
  return {
    domain,
    reports,
    left,
    watchers,
    lane,
    uses,
    engine,
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

export function ask(client: RawClient, ...question: Parameters<typeof questionOn>): void {
  client.send(questionOn(...question));
}

/** A call as its client sends it. */
export function questionOn(
  streamId: number,
  request: MessageInitShape<typeof WatchRevocationsRequestSchema> = {},
  fields: [string, string][] = [],
): Buffer {
  const message = toBinary(WatchRevocationsRequestSchema, create(WatchRevocationsRequestSchema, request));
  return Buffer.concat([
    headers(streamId, requestFields(PATH, [["content-type", "application/grpc"], ...fields])),
    data(streamId, envelope(message), { end: true }),
  ]);
}

export function messagesOf(client: RawClient, streamId: number): WatchRevocationsResponse[] {
  const messages: WatchRevocationsResponse[] = [];
  let body = client.body(streamId);
  while (body.length >= 5) {
    const end = 5 + body.readUInt32BE(1);
    if (body.length < end) break;
    messages.push(fromBinary(WatchRevocationsResponseSchema, body.subarray(5, end)));
    body = body.subarray(end);
  }
  return messages;
}

/** The kinds of the first so many messages. */
export function kinds(client: RawClient, streamId: number, count: number): Promise<(string | undefined)[]> {
  return client.until(() => {
    const seen = messagesOf(client, streamId).map(({ event }) => event.case);
    return seen.length < count ? undefined : seen;
  });
}

export async function revoke(domain: Domain, ...numbers: number[]): Promise<void> {
  for (const n of numbers) await domain.recorder.record(domain.recorder.factOf(token(n), "api"));
  await settle();
}
