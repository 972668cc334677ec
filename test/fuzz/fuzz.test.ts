import { once } from "node:events";
import http2 from "node:http2";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { envelope, eventually, VERIFY, verifyRequestBytes } from "../rpc/fake-gateway.ts";
import { isAccepted } from "./accepted.ts";
import { ClientBytes } from "./client-bytes.ts";
import { differencesOf } from "./compare.ts";
import { conversation, write } from "./conversation.ts";
import { type FuzzServers, startFuzzServers } from "./fuzz-servers.ts";
import { chunked, completed, mutated, mutation } from "./mutation.ts";
import { type Patience, type Playback, play } from "./playing.ts";
import { SEEDS } from "./seeds.ts";
import { FrameCutter, frame, settings } from "./wire.ts";

/**
 * The default is the same for everybody, to take about a minute in all. For longer, or elsewhere:
 *
 *     FUZZ_SEED=7 FUZZ_RUNS=100000 npx vitest run test/fuzz
 *
 * What fails is printed with the seed and the path to it, shrunk; it belongs into seeds.ts.
 */
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const RUNS = process.env.FUZZ_RUNS === undefined ? undefined : Number(process.env.FUZZ_RUNS);
const TIMEOUT_MS = RUNS === undefined ? 180_000 : 0;

const STRICT: Patience = { quietRounds: 2, hangMs: 10_000, mayLinger: false };
/** What the comparison with another server needs of it. */
const LENIENT: Patience = { quietRounds: 2, hangMs: 500, mayLinger: true };
/** Answers that take longer than others differ for a while: before they do for good, both are given longer. */
const MORE_ROUNDS = [2, 8, 40];

let servers: FuzzServers;
let witness: http2.ClientHttp2Session;

beforeAll(async () => {
  servers = await startFuzzServers();
  witness = http2.connect(servers.engine.url);
});

afterAll(async () => {
  witness.destroy();
  await servers[Symbol.asyncDispose]();
});

afterEach(async () => {
  await eventually(() => servers.engine.counts().connections === 1 && servers.openCalls() === 0);
  expect(servers.engine.counts()).toMatchObject({ connections: 1, streams: 0 });
});

/** Another connection, which nothing that is played may disturb. */
async function callWitness(): Promise<void> {
  const call = witness.request({
    ":method": "POST",
    ":path": VERIFY,
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.end(envelope(verifyRequestBytes("calm-3")));
  let body = "";
  call.setEncoding("latin1").on("data", (text: string) => {
    body += text;
  });
  const [trailers] = await once(call, "trailers");
  expect(trailers["grpc-status"]).toBe("0");
  expect(body.endsWith("ccc")).toBe(true);
}

async function playOnEngine(chunks: readonly Buffer[], quietRounds: number): Promise<Playback> {
  const playback = await play(servers.engine.port, chunks, { ...STRICT, quietRounds });
  servers.check();
  return playback;
}

/** `undefined` when the other server broke the protocol itself, does not answer any more, or says that the fault is its own. */
async function playOnNode(chunks: readonly Buffer[], quietRounds: number): Promise<Playback | undefined> {
  const playback = await play(servers.node.port, chunks, { ...LENIENT, quietRounds }).catch(() => undefined);
  return playback?.goAway === http2.constants.NGHTTP2_INTERNAL_ERROR ? undefined : playback;
}

/** @param rule `same`: a client must not see any difference; `accepted`: none but those that are listed as right */
async function compare(chunks: readonly Buffer[], rule: "same" | "accepted"): Promise<void> {
  const client = new ClientBytes(Buffer.concat(chunks));
  let left: readonly unknown[] = [];
  let reasons = "";
  for (const quietRounds of MORE_ROUNDS) {
    const ours = await playOnEngine(chunks, quietRounds);
    const theirs = await playOnNode(chunks, quietRounds);
    if (theirs === undefined) return;
    const differences = differencesOf(ours, theirs, client.streamsReset);
    left = differences.filter((each) => rule === "same" || !isAccepted(each, { client, ours, theirs }));
    if (left.length === 0) return;
    reasons = `GOAWAYs say "${ours.goAwayText}" and "${theirs.goAwayText}"; sent were ${client}`;
  }
  expect(left, reasons).toEqual([]);
}

function parameters(runs: number): { seed: number; numRuns: number } {
  return { seed: SEED, numRuns: RUNS ?? runs };
}

const cuts = fc.oneof(
  { weight: 15, arbitrary: fc.array(fc.nat(999), { maxLength: 5 }) },
  { weight: 1, arbitrary: fc.constant("everywhere" as const) },
);

describe("a client that keeps to the rules", () => {
  it(
    "is answered as node:http2 answers it, in whatever chunks its bytes come",
    async () => {
      const check = fc.asyncProperty(conversation, cuts, async (spec, places) => {
        const bytes = Buffer.concat(write(spec).units.map((unit) => unit.bytes));
        await compare(chunked(bytes, places), "same");
      });
      await fc.assert(check, parameters(400));
    },
    TIMEOUT_MS,
  );
});

describe("a client whose frames were cut, moved, doubled, dropped or altered", () => {
  it(
    "gets an answer or an end, disturbs nobody, and leaves nothing behind",
    async () => {
      const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
      const check = fc.asyncProperty(conversation, mutations, cuts, async (spec, steps, places) => {
        const frames = write(spec).units.flatMap(({ bytes }) => cutFrames(bytes));
        await compare(chunked(completed(mutated(frames, steps)), places), "accepted");
        await callWitness();
      });
      await fc.assert(check, parameters(1000));
    },
    TIMEOUT_MS,
  );
});

describe("a client that sends anything", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
  const anyFrame = fc
    .tuple(
      fc.nat(12),
      fc.nat(255),
      fc.nat(9),
      fc.oneof(bytes, fc.constantFrom(...[0, 4, 5, 6, 8].map((n) => new Uint8Array(n)))),
    )
    .map(([type, flags, stream, payload]) => frame(type, flags, stream, payload));
  const anything = fc.array(
    fc.oneof(
      anyFrame,
      bytes.map((each) => Buffer.from(each)),
    ),
    { maxLength: 12 },
  );

  it(
    "gets an answer or an end, disturbs nobody, and leaves nothing behind",
    async () => {
      const check = fc.asyncProperty(fc.boolean(), anything, cuts, async (isPolite, parts, places) => {
        const all = Buffer.concat([isPolite ? settings() : Buffer.alloc(0), ...parts]);
        await playOnEngine(chunked(completed(all), places), 2);
        await callWitness();
      });
      await fc.assert(check, parameters(1500));
    },
    TIMEOUT_MS,
  );
});

describe("what has shown a defect once", () => {
  it.each(SEEDS)("$what", async ({ chunks, goAway, resets }) => {
    const playback = await playOnEngine(
      chunks.map((text) => Buffer.from(text, "hex")),
      3,
    );
    expect(playback.goAway).toBe(goAway);
    const codes = [...playback.streams].map(([stream, { reset }]) => [stream, reset]);
    expect(Object.fromEntries(codes)).toEqual(resets);
    await callWitness();
  });
});

function cutFrames(bytes: Buffer): Buffer[] {
  return new FrameCutter().push(bytes).map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload));
}
