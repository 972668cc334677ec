import { afterEach, describe, expect, it, vi } from "vitest";
import { createCallerKey, fingerprintOf } from "../../src/callers/caller-key.ts";
import { parseCallersFile } from "../../src/callers/callers-file.ts";
import { GatewayError } from "../../src/token/errors.ts";
import type { SigningKeys } from "../../src/token/ports.ts";
import { openAccess } from "../support/access.ts";
import { admissionWith } from "../support/admission.ts";
import { createDomain, type Domain, verifyRequest } from "../support/domain.ts";
import { goodClaims, makeIssuerKey, mint, RULES } from "../support/jwts.ts";
import { BILLING, REPORTS, secretOf, token, tokenId } from "../support/tokens.ts";
import { exchange, open, startTwins, type TwinOptions, type Twins } from "./direct-verify-fixture.ts";
import { askOf, FORMS } from "./direct-verify-forms.ts";
import { eventually } from "./fake-gateway.ts";

const KNOWN = { token: secretOf(1) };
const KEY = createCallerKey();
const AS_APP = { authorization: `Bearer ${KEY}` };

let twins: Twins;
afterEach(async () => {
  await twins[Symbol.asyncDispose]();
});

async function start(domain: Domain, options?: TwinOptions): Promise<void> {
  twins = await startTwins(domain, options);
}

async function know(domain: Domain): Promise<void> {
  const asked = domain.verifier.verify(verifyRequest(KNOWN.token));
  domain.upstream.nextVerify().resolve(token(1));
  await asked;
}

async function revoke({ revoker, upstream }: Domain): Promise<void> {
  const { signal } = new AbortController();
  const done = revoker.revoke({ target: { tokenId: tokenId(1) }, reason: "leaked", wait: "replica", signal });
  upstream.nextRevoke().resolve(token(1, { revoked: true }));
  await done;
}

/** The one caller there is, as the callers' file has it. */
function accessFor(domain: Domain, more: object) {
  const entry = { name: "app", roles: ["verify"], keys: [fingerprintOf(KEY)], ...more };
  const entries = parseCallersFile(JSON.stringify({ callers: [entry] }));
  return openAccess(domain.clock, entries);
}

describe.each(Object.entries(FORMS))("over %s", (_name, form) => {
  const neverEnds = { ...askOf(form, KNOWN, AS_APP), pieces: [undefined] };

  it("a caller that leaves is counted as CANCELED, once, and Clerk's answer is not waited for", async () => {
    const domain = await createDomain();
    await start(domain);
    for (const { server, reports } of [twins.direct, twins.framework]) {
      const leave = open(server, askOf(form, KNOWN));
      await eventually(() => domain.upstream.verifies.length === 1);
      leave();
      await eventually(() => reports.length === 1);
      const question = domain.upstream.nextVerify();
      await eventually(() => domain.verifier.flightCount === 0);
      expect(question.signal.aborted).toBe(true);
      await server.drain(0);
    }
    await twins.sameReports();
    expect(twins.reports()).toMatchObject([{ code: "CANCELLED", reason: "CANCELED", outcome: undefined }]);
    expect(twins.directCount).toBe(1);
  });

  it("a caller that leaves before its request is whole is counted as CANCELED, once", async () => {
    const domain = await createDomain();
    const admission = admissionWith();
    await start(domain, { options: { admission } });
    for (const { server, reports } of [twins.direct, twins.framework]) {
      const leave = open(server, { ...askOf(form, KNOWN), pieces: [form.encode(KNOWN).subarray(0, 3), undefined] });
      await eventually(() => admission.pendingBytes === 3);
      leave();
      await eventually(() => reports.length === 1 && admission.inFlight === 0);
      await server.drain(0);
    }
    await twins.sameReports();
    expect(twins.reports()).toMatchObject([{ code: "CANCELLED", reason: "CANCELED" }]);
    expect(admission.pendingBytes).toBe(0);
  });

  it("a revocation that is acknowledged while Clerk is asked has the last word", async () => {
    const domain = await createDomain();
    await start(domain);
    const answer = exchange(twins.direct.server, askOf(form, KNOWN));
    await eventually(() => domain.upstream.verifies.length === 1);
    await revoke(domain);
    domain.upstream.nextVerify().resolve(token(1));
    await answer;
    expect(twins.reports()).toMatchObject([{ code: "OK", outcome: { verdict: "revoked", source: "fact" } }]);
    expect(twins.directCount).toBe(1);
  });

  it.each(["opaque", "jwt"])(
    "a revocation has the last word over a verdict that was reached and not given: %s",
    async (format) => {
      const late = new LateKey();
      const domain = await createDomain({ jwts: { keys: late, rules: RULES } });
      const presented = format === "jwt" ? await mint(late.key, goodClaims(1)) : KNOWN.token;
      await start(domain);
      const verify = domain.verifier.verify.bind(domain.verifier);
      vi.spyOn(domain.verifier, "verify").mockImplementation(async (request) => {
        const verification = await verify(request);
        await revoke(domain);
        expect(verification.verdict).toBe("valid");
        return verification;
      });
      const answer = exchange(twins.direct.server, askOf(form, { token: presented }));
      if (format === "jwt") await eventually(() => late.isAsked);
      else await eventually(() => domain.upstream.verifies.length === 1);
      late.come();
      if (format === "opaque") domain.upstream.nextVerify().resolve(token(1));
      expect((await answer).status).toBe(200);
      expect(twins.reports()).toMatchObject([{ outcome: { verdict: "revoked", source: "fact" } }]);
      expect(twins.directCount).toBe(1);
    },
  );

  it("a caller's own key decides by what it reaches", async () => {
    const domain = await createDomain();
    const own = await createDomain({ clock: domain.clock });
    const ownKeys = (key: string) => {
      if (key !== "ak_own") throw new GatewayError("CALLER_CREDENTIAL_REJECTED", "not a key");
      return own;
    };
    await know(domain);
    await start(domain, { access: openAccess(domain.clock), ownKeys });
    const answers = [twins.direct, twins.framework].map(({ server }) =>
      exchange(server, askOf(form, KNOWN, { "x-clerk-secret-key": "ak_own" })),
    );
    await eventually(() => own.verifier.joinedCount === 1);
    own.upstream.nextVerify().resolve(undefined);
    const [direct, framework] = await Promise.all(answers);
    expect(direct?.body).toEqual(framework?.body);
    await twins.sameReports();
    expect(twins.reports()).toMatchObject([{ outcome: { verdict: "invalid", source: "upstream" } }]);
    expect([twins.directCount, twins.handledCount]).toEqual([1, 0]);
    await twins.same({ ...neverEnds, headers: { ...form.headers, "x-clerk-secret-key": "nothing" } }, false);
    expect(twins.reports()).toMatchObject([{ reason: "CALLER_CREDENTIAL_REJECTED" }]);
  });

  it("callers are confined to their machines", async () => {
    const domain = await createDomain();
    await know(domain);
    for (const [subject, verdict] of [
      [REPORTS, "not_granted"],
      [BILLING, "valid"],
    ] as const) {
      await start(domain, { access: accessFor(domain, { subjects: [subject] }) });
      await twins.same(askOf(form, KNOWN, AS_APP), true);
      await twins.same(askOf(form, { ...KNOWN, policy: {} }, AS_APP), true);
      expect(twins.reports()).toMatchObject([{ outcome: { verdict } }]);
      await twins[Symbol.asyncDispose]();
    }
  });

  it("callers without the role, and those nobody knows, are refused before their request is read", async () => {
    const domain = await createDomain();
    await start(domain, { access: accessFor(domain, { roles: ["mint"] }) });
    await twins.same(neverEnds, false);
    expect(twins.reports()).toMatchObject([{ reason: "CALLER_FORBIDDEN" }]);
    await twins.same({ ...neverEnds, headers: form.headers }, false);
    expect(twins.reports()).toMatchObject([{ reason: "CALLER_UNAUTHENTICATED" }]);
  });

  it("callers beyond their rate are refused before their request is read, and calls count once", async () => {
    const domain = await createDomain();
    await know(domain);
    // The two servers share it.
    const limits = { requestsPerSecond: 0.001, burst: 4 };
    await start(domain, { access: accessFor(domain, { limits }) });
    for (let call = 0; call < 2; call += 1) await twins.same(askOf(form, KNOWN, AS_APP), true);
    await twins.same(neverEnds, false);
    expect(twins.reports()).toMatchObject([{ reason: "CALLER_RATE_LIMITED" }]);
  });

  it("a drain waits for the answer", async () => {
    const domain = await createDomain();
    await start(domain);
    let drained: Promise<unknown> = Promise.resolve();
    const { status } = await twins.same(askOf(form, KNOWN), true, ({ resolve }) => {
      drained = Promise.all([twins.direct.server.drain(60_000), twins.framework.server.drain(60_000)]);
      resolve(token(1));
    });
    await drained;
    expect(status).toBe(200);
    expect(twins.reports()).toMatchObject([{ code: "OK" }]);
  });

  it("a body that there is no room for is refused, and its bytes are given back", async () => {
    const domain = await createDomain();
    const admission = admissionWith({ maxPendingBytes: 18_000 });
    await start(domain, { options: { admission } });
    const ask = {
      ...askOf(form, KNOWN),
      pieces: [...Array.from({ length: 19 }, () => Buffer.alloc(1_000, 0x20)), undefined],
    };
    await twins.same(ask, false);
    expect(twins.reports()).toMatchObject([{ reason: "OVERLOADED" }]);
    await eventually(() => admission.pendingBytes === 0 && admission.inFlight === 0);
  });
});

/** The issuer's key, which comes when told to. */
class LateKey implements SigningKeys {
  readonly key = makeIssuerKey();
  isAsked = false;
  #isHere = false;
  #come: () => void = () => undefined;
  readonly #coming = new Promise<void>((resolve) => {
    this.#come = resolve;
  });

  find() {
    return this.#isHere ? this.key.publicKey : undefined;
  }

  async reach(): Promise<boolean> {
    this.isAsked = true;
    await this.#coming;
    return true;
  }

  come(): void {
    this.#isHere = true;
    this.#come();
  }
}
