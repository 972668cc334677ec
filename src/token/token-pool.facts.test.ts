import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDomain, type Domain } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { makeIssuerKey, mint } from "../../test/support/jwts.ts";
import { acquire, minted } from "../../test/support/pool.ts";
import type { TokenSecret } from "./token.ts";

describe("the token pool, of facts that name no token,", () => {
  const key = makeIssuerKey("ins_first");
  let domain: Domain;
  let secret: TokenSecret;
  beforeAll(async () => {
    secret = await mint(key);
  });
  beforeEach(async () => {
    domain = await createDomain();
  });

  async function hold(): Promise<void> {
    const outcome = acquire(domain, { format: "jwt" });
    domain.upstream.nextCreate().resolve({ ...minted(domain, 1, { format: "jwt" }), secret });
    await settle();
    expect(outcome.secret).toBe(secret);
  }

  it("gives no JWT whose signing key was revoked, and asks for another", async () => {
    await hold();
    domain.revocations.learn(domain.recorder.keyFactOf("ins_first", undefined));
    const outcome = acquire(domain, { format: "jwt" });
    await settle();
    expect(outcome).toEqual({});
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it("keeps JWTs of other keys", async () => {
    await hold();
    domain.revocations.learn(domain.recorder.keyFactOf("ins_second", undefined));
    expect(acquire(domain, { format: "jwt" })).toEqual({});
    await settle();
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("gives nothing that its machine minted before a watermark, and asks for another", async () => {
    await hold();
    domain.clock.advance(60_000);
    const { token } = minted(domain, 1);
    domain.revocations.learn(domain.recorder.subjectFactOf(token.subject, domain.clock.wallMs(), undefined));
    const outcome = acquire(domain, { format: "jwt" });
    await settle();
    expect(outcome).toEqual({});
    expect(domain.upstream.creates).toHaveLength(1);
  });
});
