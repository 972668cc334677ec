import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatCursor } from "../../src/token/cursor.ts";
import { GatewayError, type Reason } from "../../src/token/errors.ts";
import { createDomain, type Domain, verifyRequest } from "../support/domain.ts";
import { BILLING, REPORTS, secretOf, token, tokenId } from "../support/tokens.ts";
import { exchange, MAX_BYTES, startTwins, type Twins } from "./direct-verify-fixture.ts";
import { askOf, type Fields, FORMS } from "./direct-verify-forms.ts";

let domain: Domain;
let twins: Twins;
beforeEach(async () => {
  domain = await createDomain();
  twins = await startTwins(domain);
});
afterEach(async () => {
  await twins[Symbol.asyncDispose]();
});

async function know(n: number, overrides: Parameters<typeof token>[1] = {}): Promise<void> {
  const asked = domain.verifier.verify(verifyRequest(secretOf(n)));
  domain.upstream.nextVerify().resolve(token(n, overrides));
  await asked;
}

describe.each(Object.entries(FORMS))("over %s the direct path answers as the framework does", (_name, form) => {
  const known = { token: secretOf(1) };
  const timeoutHeader = form.headers["content-type"]?.startsWith("application/grpc")
    ? (ms: string) => ({ "grpc-timeout": `${ms}m` })
    : (ms: string) => ({ "connect-timeout-ms": ms });

  it.each<[string, Fields]>([
    ["a token", known],
    ["a policy that holds", { ...known, policy: { allowedSubjects: [BILLING], requiredClaims: { a: 1 } } }],
    ["a policy that does not", { ...known, policy: { allowedSubjects: [REPORTS] } }],
    ["claims that are missing", { ...known, policy: { requiredClaims: { nobody: [1] } } }],
    ["a policy that demands nothing", { ...known, policy: {} }],
    ["a malformed subject", { ...known, policy: { allowedSubjects: ["x"] } }],
    ["an age that is met", { ...known, maxAge: { seconds: 60n } }],
    ["a negative age", { ...known, maxAge: { seconds: -1n } }],
    ["the longest age there is", { ...known, maxAge: { seconds: 315_576_000_000n } }],
    ["a malformed cursor", { ...known, minCursor: "no cursor" }],
    ["a cursor of another log", { ...known, minCursor: "otherotherother.1-0" }],
    ["an empty token", { token: "" }],
    ["what is no token", { token: "no token" }],
    ["text that is not ASCII", { token: "mt_größer✓" }],
    ["a token longer than tokens are", { token: `mt_${"x".repeat(16_380)}` }],
    ["a token longer than a request may have", { token: `mt_${"x".repeat(16_400)}` }],
  ])("%s, from memory", async (_what, fields) => {
    await know(1, { claims: { a: 1, b: [null, "ü"] } });
    await twins.same(askOf(form, fields), true);
  });

  it("a token that was revoked, and one that expired", async () => {
    await know(1);
    await know(2, { expiresAtMs: domain.clock.wallMs() + 10 });
    const revoked = domain.revoker.revoke({
      ...{ target: { tokenId: tokenId(1) }, reason: "leaked", wait: "replica" },
      signal: new AbortController().signal,
    });
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    await revoked;
    domain.clock.advance(10);
    for (const n of [1, 2]) {
      await twins.same(askOf(form, { token: secretOf(n) }), true);
      expect(twins.reports()).toMatchObject([{ outcome: { verdict: n === 1 ? "revoked" : "expired" } }]);
    }
  });

  it("a cursor that has been reached", async () => {
    await know(1);
    await twins.same(askOf(form, { ...known, minCursor: formatCursor(domain.revocations.applied) }), true);
    expect(twins.reports()).toMatchObject([{ code: "OK" }]);
  });

  it.each([
    ["valid", token(1)],
    ["revoked", token(1, { revoked: true, revocationReason: "größer" })],
    ["expired", token(1, { expired: true })],
    ["unknown", undefined],
  ])("a token that Clerk calls %s", async (_what, answer) => {
    const { status } = await twins.same(askOf(form, known), true, ({ resolve }) => resolve(answer));
    expect(status).toBe(200);
    expect(twins.reports()).toMatchObject([{ code: "OK", outcome: { source: "upstream" } }]);
  });

  it.each<[Reason, ConstructorParameters<typeof GatewayError>[2]]>([
    ["UPSTREAM_UNAVAILABLE", { upstreamStatus: 503, clerkTraceId: "trace", retryAfterMs: 1_500 }],
    ["UPSTREAM_BAD_RESPONSE", {}],
    ["UPSTREAM_TIMEOUT", {}],
    ["UPSTREAM_RATE_LIMITED", { retryAfterMs: 2_000 }],
    ["UPSTREAM_CREDENTIAL_REJECTED", { upstreamStatus: 401, upstreamCode: "größer" }],
    ["UPSTREAM_FORBIDDEN", {}],
    ["UPSTREAM_QUOTA_EXCEEDED", {}],
    ["CREDENTIAL_MISSING", {}],
    ["OVERLOADED", { limit: "upstream_queue", retryAfterMs: 1 }],
    ["INTERNAL", {}],
  ])("a failure: %s", async (reason, facts) => {
    const error = new GatewayError(
      reason,
      "größer: what was thrown",
      facts,
      new Error("the cause, which stays inside"),
    );
    await twins.same(askOf(form, known), true, ({ reject }) => reject(error));
    expect(twins.reports()).toMatchObject([{ reason, outcome: undefined }]);
  });

  it("a failure that nobody foresaw, without its text", async () => {
    const { body, headers, trailers } = await twins.same(askOf(form, known), true, ({ reject }) => {
      reject(new TypeError("secret"));
    });
    expect(JSON.stringify([body.toString("latin1"), headers, trailers])).not.toContain('secret"');
    expect(twins.reports()).toMatchObject([{ code: "INTERNAL", reason: "INTERNAL" }]);
  });

  it("an answer larger than a message may be", async () => {
    await know(1, { claims: "x".repeat(MAX_BYTES) });
    await twins.same(askOf(form, known), true);
    expect(twins.reports()).toMatchObject([{ reason: "MESSAGE_TOO_LARGE", outcome: { verdict: "valid" } }]);
  });

  it("a body in pieces of an octet", async () => {
    await know(1);
    const pieces = [...form.encode(known)].map((octet) => Uint8Array.of(octet));
    await twins.same({ ...askOf(form, known), pieces }, true);
    expect(twins.reports()).toMatchObject([{ code: "OK" }]);
  });

  it.each([
    ["59999", true],
    ["9999999999", !form.headers["content-type"]?.startsWith("application/grpc")],
    ["99999999", true],
    ["-1", false],
    ["1.5", false],
    ["", false],
    ["soon", false],
  ])("a timeout of %j milliseconds", async (ms, isDirect) => {
    await know(1);
    await twins.same(askOf(form, known, timeoutHeader(ms)), isDirect);
  });

  it("a deadline that has passed, whatever of the body came before it was noticed", async () => {
    const ask = askOf(form, known, timeoutHeader("0"));
    const [direct, framework] = await Promise.all(
      [twins.direct, twins.framework].map(({ server }) => exchange(server, ask)),
    );
    expect(direct?.status).toBe(framework?.status);
    await twins.sameReports();
    expect(twins.reports()).toMatchObject([{ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" }]);
    expect(domain.upstream.verifyCount).toBe(0);
  });

  it("a deadline that passes while Clerk is asked", async () => {
    await twins.same(askOf(form, known, timeoutHeader("500")), true);
    expect(twins.reports()).toMatchObject([{ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" }]);
  });

  it("a body that never ends, by its deadline", async () => {
    const ask = { ...askOf(form, known, timeoutHeader("30")), pieces: [form.encode(known).subarray(0, 4), undefined] };
    await twins.same(ask, false);
    expect(twins.reports()).toMatchObject([{ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" }]);
  });
});
