import { describe, expect, it } from "vitest";
import {
  BOUND_MS,
  createDomain,
  type Domain,
  FlakyLog,
  MIN_HOLD_MS,
  verifyRequest,
} from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import { factKeyOf } from "./facts.ts";
import type { RevokeRequest } from "./revoker.ts";

function revokeRequest(overrides: Partial<RevokeRequest> = {}): RevokeRequest {
  const signal = new AbortController().signal;
  return { target: { tokenId: tokenId(1) }, reason: undefined, wait: "replica", signal, ...overrides };
}

describe("Revoker", () => {
  it("answers only after the upstream confirmed and the log recorded", async () => {
    const domain = await createDomain();
    const answer = domain.revoker.revoke(revokeRequest({ reason: "leaked" }));
    await settle();
    expect(domain.revocations.liveCount).toBe(0);
    expect(domain.upstream.revokes[0]?.reason).toBe("leaked");
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    const result = await answer;
    expect(result).toMatchObject({ token: { id: tokenId(1), revoked: true }, propagation: "fleet" });
    await settle();
    expect(domain.feed.hasApplied(result.cursor)).toBe(true);
    expect(domain.revocations.find(tokenId(1))).toMatchObject({ reason: "leaked", source: "api", origin: "replica-1" });
  });

  it("appends nothing and makes no fact when the upstream did not confirm", async () => {
    const domain = await createDomain();
    const answer = domain.revoker.revoke(revokeRequest());
    domain.upstream.nextRevoke().reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away"));
    await expect(answer).rejects.toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
    expect(domain.revocations.liveCount).toBe(0);
  });

  it("says TOKEN_NOT_FOUND when the upstream knows no such token", async () => {
    const domain = await createDomain();
    const answer = domain.revoker.revoke(revokeRequest());
    domain.upstream.nextRevoke().reject(new GatewayError("UPSTREAM_NOT_FOUND", "none", { clerkTraceId: "abc" }));
    await expect(answer).rejects.toMatchObject({ reason: "TOKEN_NOT_FOUND", facts: { clerkTraceId: "abc" } });
  });

  it("is idempotent: a token revoked here before is revoked again with the same cursor", async () => {
    const domain = await createDomain();
    const first = await revokeOnce(domain);
    await settle();
    const second = await revokeOnce(domain);
    expect(second.cursor).toEqual(first.cursor);
    const third = domain.revoker.revoke(revokeRequest());
    domain.upstream.nextRevoke().reject(new GatewayError("UPSTREAM_NOT_FOUND", "forgotten since"));
    expect(await third).toMatchObject({ token: undefined, cursor: first.cursor, fact: { tokenId: tokenId(1) } });
  });

  it("carries a revocation to its end when the caller leaves half way", async () => {
    const domain = await createDomain();
    const controller = new AbortController();
    const answer = domain.revoker.revoke(revokeRequest({ signal: controller.signal }));
    await settle();
    controller.abort();
    await expect(answer).rejects.toMatchObject({ reason: "CANCELED" });
    expect(domain.upstream.abortedCount).toBe(0);
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    await settle();
    expect(domain.revocations.find(tokenId(1))).toBeDefined();
  });

  it("does not begin for a caller that is gone", async () => {
    const domain = await createDomain();
    const answer = domain.revoker.revoke(revokeRequest({ signal: AbortSignal.abort() }));
    await expect(answer).rejects.toMatchObject({ reason: "CANCELED" });
    expect(domain.upstream.revokes).toHaveLength(0);
  });
});

describe("Revoker, by secret", () => {
  it("takes the id from memory when the token was seen before", async () => {
    const domain = await createDomain();
    const seen = domain.verifier.verify(verifyRequest(secretOf(1)));
    domain.upstream.nextVerify().resolve(token(1));
    await seen;
    const answer = domain.revoker.revoke(revokeRequest({ target: { presented: secretOf(1) } }));
    await settle();
    expect(domain.upstream.verifyCount).toBe(1);
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    expect((await answer).fact.tokenId).toBe(tokenId(1));
  });

  it("asks the upstream for the id otherwise", async () => {
    const domain = await createDomain();
    const answer = domain.revoker.revoke(revokeRequest({ target: { presented: secretOf(1) } }));
    domain.upstream.nextVerify().resolve(token(1));
    await settle();
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    expect((await answer).fact.tokenId).toBe(tokenId(1));
  });

  it("says TOKEN_NOT_FOUND for what the upstream refuses, and for what cannot be a token", async () => {
    const domain = await createDomain();
    const refused = domain.revoker.revoke(revokeRequest({ target: { presented: secretOf(1) } }));
    domain.upstream.nextVerify().resolve(undefined);
    await expect(refused).rejects.toMatchObject({ reason: "TOKEN_NOT_FOUND" });
    const malformed = domain.revoker.revoke(revokeRequest({ target: { presented: "not a token" } }));
    await expect(malformed).rejects.toMatchObject({ reason: "TOKEN_NOT_FOUND" });
    expect(domain.upstream.verifyCount).toBe(1);
  });
});

describe("Revoker, when the log does not take the fact", () => {
  it("says so, refuses the token here all the same, and appends the fact once the log is back", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    const log = domain.log as FlakyLog;
    const seen = domain.verifier.verify(verifyRequest(secretOf(1)));
    domain.upstream.nextVerify().resolve(token(1));
    await seen;

    log.reachable = false;
    await expect(revokeOnce(domain)).rejects.toMatchObject({ reason: "REVOKED_NOT_BROADCAST" });
    expect(domain.verifier.verify(verifyRequest(secretOf(1)))).toMatchObject({ verdict: "revoked", source: "fact" });
    expect(domain.recorder.pendingCount).toBe(1);
    domain.clock.advance(3_000);
    await settle();
    expect(domain.recorder.pendingCount).toBe(1);

    log.reachable = true;
    domain.clock.advance(1_000);
    await settle();
    expect(domain.recorder.pendingCount).toBe(0);
    expect((await log.read(undefined)).entries.map(({ fact }) => factKeyOf(fact))).toEqual([tokenId(1)]);
  });

  it("can be repeated by the caller", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    const log = domain.log as FlakyLog;
    log.reachable = false;
    await expect(revokeOnce(domain)).rejects.toMatchObject({ reason: "REVOKED_NOT_BROADCAST" });
    log.reachable = true;
    expect(await revokeOnce(domain)).toMatchObject({ propagation: "replica" });
    expect(domain.recorder.pendingCount).toBe(0);
  });

  it("gives up offering a fact that nobody can need any more", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    (domain.log as FlakyLog).reachable = false;
    domain.recorder.recordInBackground(
      domain.recorder.factOf(token(1, { expiresAtMs: domain.clock.wallMs() }), "observed"),
    );
    await settle();
    expect(domain.recorder.pendingCount).toBe(1);
    domain.clock.advance(MIN_HOLD_MS + 1_000);
    await settle();
    domain.clock.advance(1_000);
    await settle();
    expect(domain.recorder.pendingCount).toBe(0);
    domain.recorder.close();
  });
});

describe("Revoker, over a shared log", () => {
  it("answers a WAIT_FLEET revoke only when the bound has passed since the append", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    let answered = false;
    const answer = domain.revoker.revoke(revokeRequest({ wait: "fleet" })).then((result) => {
      answered = true;
      return result;
    });
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    await settle();
    domain.clock.advance(BOUND_MS - 1);
    await settle();
    expect(answered).toBe(false);
    domain.clock.advance(1 + 50);
    expect((await answer).propagation).toBe("fleet");
  });

  it("waits out the bound when the log cannot be asked who has applied the fact", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    const log = domain.log as FlakyLog;
    log.awaitFleet = () => Promise.reject(new Error("gone"));
    const answer = domain.revoker.revoke(revokeRequest({ wait: "fleet" }));
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    await settle();
    domain.clock.advance(BOUND_MS + 50);
    expect(await answer).toMatchObject({ propagation: "fleet", unconfirmed: ["*"] });
  });

  it("names the replicas that did not confirm", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    (domain.log as FlakyLog).awaitFleet = async () => ["gateway-2"];
    const answer = domain.revoker.revoke(revokeRequest({ wait: "fleet" }));
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    expect(await answer).toMatchObject({ propagation: "fleet", unconfirmed: ["gateway-2"] });
  });

  it("answers a WAIT_REPLICA revoke at once and says that others may follow", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    expect((await revokeOnce(domain)).propagation).toBe("replica");
  });
});

function revokeOnce(domain: Domain) {
  const answer = domain.revoker.revoke(revokeRequest());
  domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
  return answer;
}
