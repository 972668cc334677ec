import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type VerifyTokenStreamResponse,
  VerifyTokenStreamResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor } from "../../src/token/cursor.ts";
import { createDomain, type Domain } from "../support/domain.ts";
import { until } from "../support/gateway-fixture.ts";
import { BILLING, REPORTS, secretOf, token } from "../support/tokens.ts";
import {
  envelopeOf,
  messageOf,
  RawStream,
  remember,
  revoke,
  type Served,
  type StreamRequest,
  type StreamServer,
  serveStreams,
  tokenBehind,
} from "./verify-stream-fixture.ts";

const VALID = secretOf(1);
const REVOKED = secretOf(2);
const EXPIRED = secretOf(3);
const CLAIMING = secretOf(4);
const REVOKED_UPSTREAM = secretOf(5);
const REFUSED = "mt_refused";
const MAX_MESSAGES = 60;
/** From here on there is one for each place in a run, so that it does not matter who asks first. */
const FIRST_AGED = 1_000;
const MAX_MESSAGE_BYTES = 16_384;

/** One of two servers over domains of their own that were told the same. */
interface Twin {
  readonly domain: Domain;
  readonly server: StreamServer;
}

async function startTwin(served: Served): Promise<Twin> {
  const domain = await createDomain();
  const { clock } = domain;
  await remember(domain, VALID, token(1));
  await remember(domain, REVOKED, token(2));
  await remember(domain, EXPIRED, token(3, { expiresAtMs: clock.wallMs() + 1 }));
  await remember(domain, CLAIMING, token(4, { claims: { role: "admin", "größe ✓": [1, null] }, scopes: [BILLING] }));
  await remember(domain, REVOKED_UPSTREAM, token(5, { revoked: true, revocationReason: "leaked" }));
  await remember(domain, REFUSED, undefined);
  for (let n = 0; n < MAX_MESSAGES; n += 1) await remember(domain, secretOf(FIRST_AGED + n), token(FIRST_AGED + n));
  await revoke(domain, 2);
  clock.advance(5);
  return { domain, server: await serveStreams(domain, served, MAX_MESSAGE_BYTES) };
}

let twins: Twin[];
beforeEach(async () => {
  twins = [await startTwin("lane"), await startTwin("handler")];
});
afterEach(async () => {
  for (const { server } of twins) await server[Symbol.asyncDispose]();
});

describe("VerifyTokenStream", () => {
  it("answers alike from the lane and from the handler, whatever is asked and however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(messages, borders, async (bodies, borders) => {
        const bytes = Buffer.concat(bodies.map((body, n) => body(n)));
        const pieces = cut(bytes, borders);
        const [lane, handler] = await Promise.all(twins.map((twin) => ask(twin, pieces)));
        expect(lane).toEqual(handler);
        expect(lane?.answers).toHaveLength(bodies.length);
      }),
      { numRuns: 60 },
    );
  });
});

/** Makes a message, given its place among the others. */
type Body = (n: number) => Buffer;

const id = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const known = fc.constantFrom(VALID, REVOKED, EXPIRED, CLAIMING, REVOKED_UPSTREAM, REFUSED);
const malformed = fc.oneof(
  fc.constantFrom("", "mt_", "ak_live_1", "a.b", "mt_é", "mt_a b", "\u0000", "x".repeat(130)),
  fc.string({ maxLength: 40 }).filter((text) => tokenBehind(text) === undefined && !/^mt_\w+$/.test(text)),
);
const demands = fc.constantFrom<StreamRequest["request"]>(
  { maxAge: { seconds: 3_600n } },
  { maxAge: { seconds: -1n } },
  { minCursor: "no cursor" },
  { minCursor: "other.1-0" },
  { policy: {} },
  { policy: { allowedSubjects: [BILLING] } },
  { policy: { allowedSubjects: [REPORTS] } },
  { policy: { allowedSubjects: ["nobody"] } },
  { policy: { requiredClaims: { role: "admin" } } },
  { policy: { requiredClaims: { role: "admin", more: [1] } } },
);

const request: fc.Arbitrary<(n: number) => StreamRequest> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ id, presented: known }).map(
      ({ id, presented }) =>
        () =>
          plain(id, presented),
    ),
  },
  { weight: 2, arbitrary: fc.record({ id, presented: malformed }).map((r) => () => plain(r.id, r.presented)) },
  { weight: 2, arbitrary: id.map((id) => () => plain(id, `mt_unknown_${fresh()}`)) },
  {
    weight: 1,
    arbitrary: id.map((id) => (n: number) => ({ id, request: { token: secretOf(FIRST_AGED + n), maxAge: {} } })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ id, presented: known, demands })
      .map((r) => () => ({ id: r.id, request: { token: r.presented, ...r.demands } })),
  },
  { weight: 1, arbitrary: id.map((id) => () => ({ id })) },
);

/** As a serializer would write it, and as it need not: all of it means the same to who reads it. */
const form = fc.constantFrom<(bytes: Buffer) => Buffer>(
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes) => Buffer.concat([bytes, Buffer.from([0x48, 1])]),
  (bytes) => Buffer.concat([Buffer.from([0x08, 0x05]), bytes]),
  (bytes) => Buffer.concat([bytes, Buffer.from([0x08, 0x85, 0x80, 0x00])]),
  (bytes) => Buffer.concat([Buffer.from([0x08, 0x00]), bytes]),
  (bytes) => Buffer.concat([bytes, bytes]),
);

const message: fc.Arbitrary<Body> = fc.record({ request, form }).map(({ request, form }) => {
  let bytes: Buffer | undefined;
  return (n) => {
    bytes ??= envelopeOf(form(messageOf(request(n)).subarray(5)));
    return bytes;
  };
});

const messages = fc.array(message, { maxLength: MAX_MESSAGES });
const borders = fc.array(fc.nat(), { maxLength: 100 });

function plain(id: bigint, presented: string): StreamRequest {
  return { id, request: { token: presented } };
}

let unknowns = 0;
function fresh(): number {
  unknowns += 1;
  return unknowns;
}

function cut(bytes: Buffer, borders: readonly number[]): Buffer[] {
  const places = [...new Set(borders.map((border) => (bytes.length === 0 ? 0 : border % bytes.length)))];
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of places.sort((a, b) => a - b)) {
    pieces.push(bytes.subarray(from, place));
    from = place;
  }
  return [...pieces, bytes.subarray(from)];
}

async function ask({ domain, server }: Twin, pieces: readonly Buffer[]) {
  using raw = new RawStream(server);
  raw.receive();
  raw.send(...pieces);
  raw.stream.end();
  let isOver = false;
  const ended = raw.ended.then(() => {
    isOver = true;
  });
  await until(() => {
    for (const call of domain.upstream.verifies.splice(0)) call.resolve(tokenBehind(call.secret));
    return isOver;
  });
  await ended;
  const cursor = formatCursor(domain.revocations.applied);
  const { headers, trailers } = raw;
  return {
    answers: raw.messages.map((bytes) => described(bytes, cursor)).sort(),
    headers: { status: headers[":status"], type: headers["content-type"], encoding: headers["grpc-encoding"] },
    trailers: { ...trailers },
  };
}

/** An answer without what differs between logs. Demands that its bytes are those that its meaning has. */
function described(bytes: Buffer, cursor: string): string {
  const answer: VerifyTokenStreamResponse = fromBinary(VerifyTokenStreamResponseSchema, bytes);
  expect(Buffer.from(toBinary(VerifyTokenStreamResponseSchema, answer)).equals(bytes)).toBe(true);
  if (answer.result.case === "response") {
    expect(answer.result.value.cursor).toBe(cursor);
    answer.result.value.cursor = "";
  }
  return Buffer.from(
    toBinary(VerifyTokenStreamResponseSchema, create(VerifyTokenStreamResponseSchema, answer)),
  ).toString("hex");
}
