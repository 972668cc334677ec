import { beforeEach, describe, expect, it } from "vitest";
import { createDomain, type Domain, SwitchedAdmission } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { acquire, acquireRequest, HOUR_MS, minted } from "../../test/support/pool.ts";
import { secretOf } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";

/** With a jitter of one half an hour's token is renewed with three tenths of its life left. */
const RENEW_MS = 0.7 * HOUR_MS;

describe("the token pool, when a creation fails", () => {
  let domain: Domain;
  beforeEach(async () => {
    domain = await createDomain();
  });

  async function fill() {
    const outcome = acquire(domain);
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    await settle();
    expect(outcome.secret).toBe(secretOf(1));
  }

  it("hands out the old token as long as it is good, then gives the error", async () => {
    await fill();
    domain.clock.advance(RENEW_MS + 1_000);
    acquire(domain);
    domain.upstream.nextCreate().reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away", { retryAfterMs: HOUR_MS }));
    await settle();
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
    domain.clock.advance(0.3 * HOUR_MS);
    const late = acquire(domain);
    await settle();
    expect(late.error).toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("asks no sooner than after a pause that doubles, whoever wants a token", async () => {
    for (const pauseMs of [1_500, 3_000, 6_000]) {
      const callers = [acquire(domain), acquire(domain)];
      domain.upstream.nextCreate().reject(new GatewayError("UPSTREAM_TIMEOUT", "late"));
      await settle();
      for (const { error } of callers) {
        expect(error).toMatchObject({ reason: "UPSTREAM_TIMEOUT", facts: { retryAfterMs: pauseMs } });
      }
      domain.clock.advance(pauseMs - 1);
      const early = acquire(domain);
      await settle();
      expect(early.error).toMatchObject({ reason: "UPSTREAM_TIMEOUT", facts: { retryAfterMs: 1 } });
      expect(domain.upstream.creates).toHaveLength(0);
      domain.clock.advance(1);
    }
  });

  it("honours a Retry-After that is longer than the pause", async () => {
    const limited = new GatewayError("UPSTREAM_RATE_LIMITED", "slow down", { retryAfterMs: 20_000 });
    acquire(domain);
    domain.upstream.nextCreate().reject(limited);
    await settle();
    domain.clock.advance(19_999);
    const early = acquire(domain);
    await settle();
    expect(early.error).toMatchObject({ facts: { retryAfterMs: 1 } });
    domain.clock.advance(1);
    acquire(domain);
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it("never repeats a creation that failed for its caller, and promises no better for what will fail again", async () => {
    const jwt = acquire(domain, { format: "jwt" });
    domain.upstream.nextCreate().reject(new GatewayError("UPSTREAM_REJECTED_REQUEST", "reserved claim"));
    await settle();
    expect(jwt.error).toMatchObject({ reason: "UPSTREAM_REJECTED_REQUEST", facts: {} });
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("answers from memory, and begins no creation, while there is too much to do", async () => {
    const admission = new SwitchedAdmission();
    domain = await createDomain({ pool: { admission } });
    await fill();
    admission.refusesUnknown = true;
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
    const other = acquire(domain, { claims: "other" });
    await settle();
    expect(other.error).toMatchObject({ reason: "OVERLOADED" });
    expect(domain.upstream.creates).toHaveLength(0);
  });
});
