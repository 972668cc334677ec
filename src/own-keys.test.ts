import { expect, it } from "vitest";
import { BOUND_MS, createDomain, verifyRequest } from "../test/support/domain.ts";
import { settle } from "../test/support/fake-clock.ts";
import { tokenId } from "../test/support/tokens.ts";
import { BODY, createRig } from "../test/support/upstream/fixtures.ts";
import { json } from "../test/support/upstream/scripted-server.ts";
import { createOwnKeys } from "./own-keys.ts";
import { Publisher } from "./token/publisher.ts";

const KEYS = ["ak_one00000000000000000000", "ak_two00000000000000000000"];
const secretOf = (n: number) => `mt_${n.toString(36).padStart(40, "k")}`;

it("callers' own keys let everybody remember no more than so many revocations a second that they find out about", async () => {
  await using rig = await createRig();
  rig.server.fallback = (response, request) => {
    const n = Array.from({ length: 60 }, (_, at) => at).find((at) => request.body.includes(secretOf(at))) ?? 0;
    json(200, { ...BODY, id: tokenId(n), revoked: true })(response, request);
  };
  const { clock, log, recorder, revocations, feed, cache, verifier } = await createDomain();
  const publisher = new Publisher({ recorder, log, clock, boundMs: BOUND_MS });
  const ownKeys = createOwnKeys({
    upstream: rig.upstream,
    verifier: { cache, revocations, feed, recorder, clock, minCursorTimeoutMs: 5_000, counts: verifier.counts },
    revoker: { recorder, revocations, publisher },
    storeOf: () => undefined,
    maxKeys: 10,
  });
  const verify = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1) {
      const { verifier: own } = ownKeys(KEYS[n % 2] ?? "");
      // Refused all the same, whether or not the others hear of it.
      expect(await own.verify(verifyRequest(secretOf(n)))).toMatchObject({ verdict: "revoked", source: "upstream" });
      expect(await own.verify(verifyRequest(secretOf(n)))).toMatchObject({ verdict: "revoked" });
    }
    await settle();
    return Array.from({ length: 60 }, (_, n) => revocations.find(tokenId(n))).filter((fact) => fact !== undefined)
      .length;
  };
  expect(await verify(0, 30)).toBe(5);
  expect((await log.read(undefined, new AbortController().signal)).entries).toHaveLength(5);
  clock.advance(1_000);
  expect(await verify(30, 60)).toBe(10);
});
