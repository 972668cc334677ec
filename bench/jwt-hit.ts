import { create, toBinary } from "@bufbuild/protobuf";
import { Badge } from "../src/callers/peer.ts";
import { VerifyTokenRequestSchema } from "../src/gen/m2mgateway/v1/token_service_pb.ts";
import { createVerifyLane } from "../src/rpc/verify-lane.ts";
import { FixedKey } from "../src/token/signing-keys.ts";
import { openAccess } from "../test/support/access.ts";
import { createDomain, verifyRequest } from "../test/support/domain.ts";
import { goodClaims, makeIssuerKey, mint, RULES } from "../test/support/jwts.ts";
import { ListingUpstream } from "../test/support/listing-upstream.ts";
import { secretOf, token } from "../test/support/tokens.ts";

/**
 * What an answer from memory costs on the lane of VerifyToken, from the bytes of the request message to those of the answer, for
 * an opaque token and for a JWT, in microseconds of processor time: `npx tsx bench/jwt-hit.ts`. Frames and the socket, the
 * larger part of a call, are left out. The two are interleaved; medians of the rounds are printed, and the least and the most.
 */
const REPLY = {
  headers: new Uint8Array(),
  trailers: new Uint8Array(),
  badge: new Badge({ isLocal: true, address: "", names: undefined }, undefined),
};
const ROUNDS = 15;
const CALLS = 100_000;
const TOKENS = 1_000;

const key = makeIssuerKey();
const upstream = new ListingUpstream([]);
const { verifier, revocations, clock } = await createDomain({
  upstream,
  maxKnown: 10_000,
  jwts: { keys: new FixedKey(key.publicKey), rules: RULES },
});
const access = openAccess(clock);
const lane = createVerifyLane({
  verifier,
  revocations,
  isDegraded: () => false,
  maxMessageBytes: 65_536,
  access,
  onAnswered: () => undefined,
});
const opaque = Array.from({ length: TOKENS }, (_, n) => secretOf(n));
for (const [n, secret] of opaque.entries()) upstream.known.set(secret, token(n));
const jwts = await Promise.all(Array.from({ length: TOKENS }, (_, n) => mint(key, goodClaims(n))));
for (const presented of [...opaque, ...jwts]) await verifier.verify(verifyRequest(presented));

const bodyOf = (presented: string) => {
  const message = toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, { token: presented }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};
const [opaqueBodies, jwtBodies] = [opaque.map(bodyOf), jwts.map(bodyOf)];
const target = Buffer.alloc(lane.maxAnswerBytes);

const costs: Record<string, number[]> = { opaque: [], jwt: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  costs.opaque?.push(costOf(opaqueBodies));
  costs.jwt?.push(costOf(jwtBodies));
}
for (const [name, values] of Object.entries(costs)) {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[ROUNDS >> 1], sorted.at(-1)].map((us) => us?.toFixed(2));
  console.log(`${name.padEnd(8)} ${median} us (${least} to ${most})`);
}

function costOf(bodies: readonly Buffer[]): number {
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) {
    const body = bodies[call % TOKENS] ?? Buffer.alloc(0);
    if (lane.answer(body, 0, body.length, target, 0, REPLY) === 0) throw new Error("not a hit");
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}
