import { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCallerKey } from "../../src/callers/caller-key.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { until, Watcher } from "../support/gateway-fixture.ts";
import {
  type CallersFixture,
  type Clients,
  drained,
  type Entry,
  endOf,
  startCallersGateway,
} from "./callers-fixture.ts";

let fixture: CallersFixture;
let admin: Clients;
const opened: Clients[] = [];

const ADMIN: Entry = { name: "admin", roles: ["admin"] };

async function start(entries: readonly Entry[], env?: Record<string, string>): Promise<void> {
  fixture = await startCallersGateway([ADMIN, ...entries], env);
  admin = as("admin");
}

function as(...who: Parameters<CallersFixture["as"]>): Clients {
  const clients = fixture.as(...who);
  opened.push(clients);
  return clients;
}

afterEach(async () => {
  for (const clients of opened.splice(0)) clients[Symbol.dispose]();
  await fixture[Symbol.asyncDispose]();
});

async function mint(): Promise<{ id: string; secret: string; subject: string }> {
  const { token, secret } = await admin.tokens.createToken({});
  return { id: token?.id ?? "", subject: token?.subject ?? "", secret };
}

async function* sending<T>(...messages: T[]) {
  yield* messages;
}

describe("a caller confined to subjects", () => {
  const STRANGE = `mch_${"z".repeat(27)}`;
  let minted: { id: string; secret: string; subject: string };
  let own: Clients;
  let other: Clients;

  beforeEach(async () => {
    await start([]);
    minted = await mint();
    const roles = ["verify", "revoke", "watch", "admin"];
    fixture.rewrite([
      ADMIN,
      { name: "own", roles, subjects: [minted.subject] },
      { name: "other", roles, subjects: [STRANGE] },
    ]);
    own = as("own");
    other = as("other");
    await until(async () => (await endOf(own.gateway.getStatus({}))) === "OK");
  });

  it.each(["from memory", "from the upstream"])(
    "learns of another's token nothing but NOT_GRANTED, %s",
    async (how) => {
      if (how === "from memory") await admin.tokens.verifyToken({ token: minted.secret });
      const seen = await other.tokens.verifyToken({ token: minted.secret });
      expect([seen.verdict, seen.token]).toEqual([Verdict.NOT_GRANTED, undefined]);
      const again = await other.tokens.verifyToken({ token: minted.secret });
      expect([again.verdict, again.source, again.token]).toEqual([Verdict.NOT_GRANTED, Source.MEMORY, undefined]);
      expect((await own.tokens.verifyToken({ token: minted.secret })).verdict).toBe(Verdict.VALID);
      await admin.tokens.revokeToken({ target: { case: "tokenId", value: minted.id } });
      expect((await other.tokens.verifyToken({ token: minted.secret })).verdict).toBe(Verdict.NOT_GRANTED);
      expect((await own.tokens.verifyToken({ token: minted.secret })).verdict).toBe(Verdict.REVOKED);
    },
  );

  it("in a batch and in a stream too", async () => {
    for (const [clients, verdict] of [
      [own, Verdict.VALID],
      [other, Verdict.NOT_GRANTED],
    ] as const) {
      const { results } = await clients.tokens.batchVerifyTokens({ tokens: [minted.secret, "no token"] });
      const verdicts = results.map(({ result }) => result.case === "response" && result.value.verdict);
      expect(verdicts).toEqual([verdict, Verdict.INVALID]);
      const plain = { id: 1n, request: { token: minted.secret } };
      const demanding = { id: 2n, request: { token: minted.secret, policy: {} } };
      for await (const { result } of clients.tokens.verifyTokenStream(sending(plain, demanding, plain))) {
        expect(result.case === "response" && result.value.verdict).toBe(verdict);
      }
    }
  });

  it("lists no tokens and no revocations of another", async () => {
    expect(await endOf(other.tokens.listTokens({ subject: minted.subject }))).toContain("CALLER_FORBIDDEN");
    expect((await own.tokens.listTokens({ subject: minted.subject })).tokens).toHaveLength(1);
    await admin.tokens.revokeToken({ target: { case: "tokenId", value: minted.id } });
    expect((await other.revocations.listRevocations({})).revocations).toEqual([]);
    expect((await own.revocations.listRevocations({})).revocations).toHaveLength(1);
    const foreign = { subjects: [minted.subject] };
    expect(await endOf(other.revocations.listRevocations(foreign))).toContain("CALLER_FORBIDDEN");
  });

  it.each(["id", "secret"])("revokes no token of another, by %s, and the upstream is not asked to", async (by) => {
    const target =
      by === "id"
        ? ({ case: "tokenId", value: minted.id } as const)
        : ({ case: "token", value: minted.secret } as const);
    const revokes = () => fixture.emulator.control.requests.total("m2m_tokens.revoke");
    expect(await endOf(other.tokens.revokeToken({ target }))).toBe("PermissionDenied CALLER_FORBIDDEN");
    expect(revokes()).toBe(0);
    expect((await own.tokens.revokeToken({ target })).token?.id).toBe(minted.id);
    expect(revokes()).toBe(1);
    // As a fact it is another's still.
    expect(await endOf(other.tokens.revokeToken({ target }))).toBe("PermissionDenied CALLER_FORBIDDEN");
    expect(await endOf(own.tokens.revokeToken({ target }))).toBe("OK");
  });

  it("watches the revocations of its own subjects alone", async () => {
    using mine = new Watcher({ ...fixture, ...own });
    using theirs = new Watcher({ ...fixture, ...other });
    await Promise.all([mine.snapshot(), theirs.snapshot()]);
    await admin.tokens.revokeToken({ target: { case: "tokenId", value: minted.id } });
    expect(await mine.nextRevoked()).toBe(minted.id);
    using later = new Watcher({ ...fixture, ...other });
    expect((await later.snapshot()).ids).toEqual([]);
    const foreign = other.revocations.watchRevocations({ subjects: [minted.subject] });
    expect(await endOf(drained(foreign))).toBe("PermissionDenied CALLER_FORBIDDEN");
  });

  it("drops cached verdicts of its own subjects alone", async () => {
    expect(await endOf(own.gateway.invalidateCache({ target: { case: "subject", value: minted.subject } }))).toBe("OK");
    for (const target of [
      { case: "subject", value: minted.subject },
      { case: "tokenId", value: minted.id },
      { case: "all", value: true },
    ] as const) {
      expect(await endOf(other.gateway.invalidateCache({ target }))).toBe("PermissionDenied CALLER_FORBIDDEN");
    }
  });
});

describe("a change of the file", () => {
  const SUBJECT = `mch_${"a".repeat(27)}`;
  const app = (more: object = {}): Entry => ({ name: "app", roles: ["verify", "watch"], ...more });

  it("takes effect on open connections, and a bad file changes nothing but the log", async () => {
    await start([app()]);
    const clients = as("app");
    expect(await endOf(clients.tokens.verifyToken({ token: "x" }))).toBe("OK");
    fixture.rewrite([ADMIN, app({ roles: ["watch"] })]);
    await until(async () => (await endOf(clients.tokens.verifyToken({ token: "x" }))).includes("CALLER_FORBIDDEN"));
    fixture.writeText("callers: [");
    await until(() => fixture.logLines.some((line) => line.includes("files were not reloaded")));
    expect(await endOf(clients.tokens.verifyToken({ token: "x" }))).toContain("CALLER_FORBIDDEN");
    expect(await endOf(clients.revocations.listRevocations({}))).toBe("OK");
    fixture.rewrite([ADMIN]);
    await until(async () => (await endOf(clients.revocations.listRevocations({}))).includes("CALLER_UNAUTHENTICATED"));
    fixture.rewrite([ADMIN, app()]);
    await until(async () => (await endOf(clients.tokens.verifyToken({ token: "x" }))) === "OK");
  });

  it.each([
    ["is gone", [ADMIN], "Unauthenticated CALLER_UNAUTHENTICATED"],
    ["may not any more", [ADMIN, app({ roles: ["mint"] })], "PermissionDenied CALLER_FORBIDDEN"],
    ["may see something else", [ADMIN, app({ subjects: [SUBJECT] })], "Unavailable CALLER_CHANGED"],
  ])("ends the streams of one who %s, with their cursor", async (_what, now, end) => {
    await start([app()]);
    for (const protocol of ["gRPC over HTTP/2", "Connect over HTTP/2", "Connect with JSON over HTTP/1.1"] as const) {
      const before = reloads();
      fixture.rewrite([ADMIN, app()]);
      const clients = as("app", {}, protocol);
      await until(() => protocol === "gRPC over HTTP/2" || reloads() > before);
      const watcher = new Watcher({ ...fixture, ...clients });
      const { cursor } = await watcher.snapshot();
      const ended = expectEnd(watcher, cursor);
      const others = new Watcher({ ...fixture, ...admin });
      await others.snapshot();
      const verifying = protocol.endsWith("1.1") ? undefined : endOf(drained(neverEnding(clients), false));
      fixture.rewrite(now);
      expect(await ended).toBe(end);
      if (verifying !== undefined) expect(await verifying).toBe(end);
      const { id } = await mint();
      await admin.tokens.revokeToken({ target: { case: "tokenId", value: id } });
      expect(await others.nextRevoked()).toBe(id);
      others[Symbol.dispose]();
    }
  });

  function reloads(): number {
    return fixture.logLines.filter((line) => line.includes("reloaded") && line.includes("callers")).length;
  }

  function neverEnding(clients: Clients) {
    return clients.tokens.verifyTokenStream(
      (async function* () {
        yield { id: 1n, request: { token: "x" } };
        await new Promise(() => undefined);
      })(),
    );
  }

  async function expectEnd(watcher: Watcher, cursor: string): Promise<string> {
    try {
      for (;;) await watcher.next();
    } catch (thrown) {
      const info = ConnectError.from(thrown).findDetails(ErrorInfoSchema)[0];
      expect(info?.metadata.cursor).toBe(cursor);
      return endOf(Promise.reject(thrown));
    }
  }
});

describe("limits of a caller", () => {
  const LIMITED: Entry = { name: "app", roles: ["verify", "watch"], limits: { requestsPerSecond: 0.01, burst: 3 } };

  it("refuse calls beyond the rate, with when to come back, and leave others alone", async () => {
    await start([LIMITED]);
    const { secret } = await mint();
    const clients = as("app");
    for (let call = 0; call < 3; call += 1) {
      expect((await clients.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    }
    for (const protocol of ["gRPC over HTTP/2", "gRPC-Web over HTTP/1.1", "Connect over HTTP/2"] as const) {
      const refused = await as("app", {}, protocol)
        .tokens.verifyToken({ token: secret })
        .then(
          () => undefined,
          (thrown: unknown) => ConnectError.from(thrown),
        );
      expect(refused?.findDetails(ErrorInfoSchema)[0]?.reason).toBe("CALLER_RATE_LIMITED");
      expect(Number(refused?.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds)).toBeGreaterThan(1);
    }
    expect(await endOf(admin.tokens.verifyToken({ token: secret }))).toBe("OK");
  });

  it("count every token of a batch and every request of a stream", async () => {
    await start([LIMITED]);
    const clients = as("app");
    expect(await endOf(clients.tokens.batchVerifyTokens({ tokens: ["a", "b", "c", "d"] }))).toBe("OK");
    expect(await endOf(clients.tokens.verifyToken({ token: "a" }))).toBe("ResourceExhausted CALLER_RATE_LIMITED");
    fixture.rewrite([ADMIN, { ...LIMITED, name: "next" }]);
    const next = as("next");
    const asked = [1n, 2n, 3n].map((id) => ({ id, request: { token: "x" } }));
    await until(async () => (await endOf(next.revocations.listRevocations({}))) === "OK");
    const cases: (string | undefined)[] = [];
    for await (const { result } of next.tokens.verifyTokenStream(sending(...asked))) cases.push(result.case);
    // One of three went for the listing, one for the stream.
    expect(cases).toEqual(["response", "error", "error"]);
  });

  it("refuse more calls at once than may be", async () => {
    await start([{ name: "app", roles: ["watch"], limits: { concurrency: 2 } }]);
    const clients = as("app");
    const open = [new Watcher({ ...fixture, ...clients }), new Watcher({ ...fixture, ...clients })];
    await Promise.all(open.map((watcher) => watcher.snapshot()));
    expect(await endOf(clients.gateway.getStatus({}))).toBe("ResourceExhausted CALLER_CONCURRENCY_LIMITED");
    expect(await endOf(drained(clients.revocations.watchRevocations({})))).toContain("CALLER_CONCURRENCY_LIMITED");
    open[0]?.[Symbol.dispose]();
    await until(async () => (await endOf(clients.gateway.getStatus({}))) === "OK");
    open[1]?.[Symbol.dispose]();
  });
});

describe("the audit log", () => {
  it("has one line for each creation and revocation, with who, what and how it ended, at any level", async () => {
    await start([{ name: "app", roles: ["verify"] }], { GATEWAY_LOG_LEVEL: "error" });
    const { id, subject, secret } = await mint();
    const requestId = { "x-request-id": "order-17" };
    const named = as("admin", requestId);
    await named.tokens.revokeToken({ target: { case: "token", value: secret } });
    await endOf(named.tokens.revokeToken({ target: { case: "tokenId", value: `mt_${"0".repeat(32)}` } }));
    await endOf(named.tokens.revokeToken({ target: { case: "tokenId", value: "malformed" } }));
    await endOf(as("app").tokens.createToken({}));
    await endOf(as(undefined).tokens.createToken({}));
    await endOf(named.tokens.verifyToken({ token: secret }));
    await until(() => fixture.audits().length >= 6);
    const common = { audit: true, level: "info", msg: "audit", protocol: "grpc", address: expect.any(String) };
    const revoke = { ...common, caller: "admin", method: "RevokeToken", requestId: "order-17" };
    expect(fixture.audits()).toEqual([
      expect.objectContaining({ ...common, caller: "admin", method: "CreateToken", code: "OK", tokenId: id, subject }),
      expect.objectContaining({ ...revoke, code: "OK", tokenId: id, subject }),
      expect.objectContaining({
        ...revoke,
        code: "NOT_FOUND",
        reason: "TOKEN_NOT_FOUND",
        tokenId: `mt_${"0".repeat(32)}`,
      }),
      expect.objectContaining({ ...revoke, code: "INVALID_ARGUMENT", reason: "ARGUMENT_INVALID" }),
      expect.objectContaining({ ...common, caller: "app", code: "PERMISSION_DENIED", reason: "CALLER_FORBIDDEN" }),
      expect.objectContaining({ ...common, code: "UNAUTHENTICATED", reason: "CALLER_UNAUTHENTICATED" }),
    ]);
    expect(fixture.audits()[5]).not.toHaveProperty("caller");
  });

  it("tells what came of a revocation whose caller did not wait for it", async () => {
    await start([]);
    const { id } = await mint();
    fixture.emulator.control.faults.add({ route: "m2m_tokens.revoke", answer_latency_ms: 500 });
    const leaving = new AbortController();
    const call = endOf(
      admin.tokens.revokeToken({ target: { case: "tokenId", value: id } }, { signal: leaving.signal }),
    );
    await until(() => fixture.emulator.control.requests.total("m2m_tokens.revoke") > 0);
    leaving.abort();
    expect(await call).toContain("Canceled");
    await until(() => fixture.audits().length > 1);
    const line = { caller: "admin", method: "RevokeToken", code: "OK", tokenId: id, callerLeft: true };
    expect(fixture.audits()[1]).toMatchObject(line);
    expect(fixture.audits()[0]).not.toHaveProperty("callerLeft");
  });

  it("names the token that a revocation by its secret came to, whose caller did not wait for it", async () => {
    await start([]);
    const { id, subject, secret } = await mint();
    await admin.tokens.verifyToken({ token: secret });
    fixture.emulator.control.faults.add({ route: "m2m_tokens.revoke", answer_latency_ms: 500 });
    const leaving = new AbortController();
    const target = { case: "token", value: secret } as const;
    const call = endOf(admin.tokens.revokeToken({ target }, { signal: leaving.signal }));
    await until(() => fixture.emulator.control.requests.total("m2m_tokens.revoke") > 0);
    leaving.abort();
    await call;
    await until(() => fixture.audits().length > 1);
    expect(fixture.audits()[1]).toMatchObject({ method: "RevokeToken", code: "OK", tokenId: id, subject });
  });

  it.each([
    ["that was made", {}, { code: "OK", tokenId: expect.stringMatching(/^mt_/), subject: expect.any(String) }],
    ["that failed", { status: 503 }, { code: "UNAVAILABLE", reason: "UPSTREAM_UNAVAILABLE" }],
  ])("tells of a creation %s after its caller had left", async (_how, fault, outcome) => {
    await start([]);
    fixture.emulator.control.faults.add({ route: "m2m_tokens.create", answer_latency_ms: 500, ...fault });
    for (const how of ["leaves", "has a deadline"]) {
      const before = fixture.audits().length;
      const leaving = new AbortController();
      const options = how === "leaves" ? { signal: leaving.signal } : { timeoutMs: 200 };
      const call = endOf(admin.tokens.createToken({}, options));
      await until(() => fixture.emulator.control.requests.total("m2m_tokens.create") > before);
      if (how === "leaves") leaving.abort();
      expect(await call).toMatch(/Canceled|DeadlineExceeded/);
      await until(() => fixture.audits().length > before);
      expect(fixture.audits()[before]).toMatchObject({ method: "CreateToken", callerLeft: true, ...outcome });
    }
  });

  it("tells nothing of a token where a creation had not begun when its caller left", async () => {
    await start([], { CLERK_MAX_CONCURRENCY: "1" });
    fixture.emulator.control.faults.add({ route: "m2m_tokens.create", answer_latency_ms: 500 });
    const first = admin.tokens.createToken({});
    await until(() => fixture.emulator.control.requests.total("m2m_tokens.create") === 1);
    expect(await endOf(admin.tokens.createToken({}, { timeoutMs: 100 }))).toContain("DeadlineExceeded");
    await first;
    await until(() => fixture.audits().length === 2);
    const code = expect.stringMatching(/^(CANCELLED|DEADLINE_EXCEEDED)$/);
    expect(fixture.audits()[0]).toMatchObject({ code, callerLeft: true });
    expect(fixture.audits()[0]).not.toHaveProperty("tokenId");
    expect(fixture.emulator.control.requests.total("m2m_tokens.create")).toBe(1);
  });

  it("tells of a key and of a machine that were revoked, also when the caller did not stay for all of it", async () => {
    await start([]);
    const { subject } = await mint();
    await admin.revocations.revokeKey({ keyId: "ins_1" });
    fixture.emulator.control.faults.add({ route: "m2m_tokens.list", answer_latency_ms: 500 });
    const leaving = new AbortController();
    const stream = admin.revocations.revokeSubject({ subject }, { signal: leaving.signal })[Symbol.asyncIterator]();
    expect((await stream.next()).value?.event.case).toBe("watermark");
    leaving.abort();
    await until(() => fixture.audits().length > 2);
    expect(fixture.audits().slice(1)).toMatchObject([
      { caller: "admin", method: "RevokeKey", code: "OK", keyId: "ins_1" },
      { caller: "admin", method: "RevokeSubject", code: "CANCELLED", subject, callerLeft: true, revoked: 0 },
    ]);
    expect(Date.parse(String(fixture.audits()[2]?.issuedBefore))).toBeGreaterThan(0);
  });

  it("tells how many of a machine's tokens were revoked, to the end or until the caller left", async () => {
    await start([]);
    const minted = [await mint(), await mint(), await mint()];
    const subject = minted[0]?.subject ?? "";
    fixture.emulator.control.faults.add({ route: "m2m_tokens.revoke", answer_latency_ms: 500, count: 3 });
    const leaving = new AbortController();
    const stream = admin.revocations.revokeSubject({ subject }, { signal: leaving.signal })[Symbol.asyncIterator]();
    await stream.next();
    await until(() => fixture.emulator.control.requests.total("m2m_tokens.revoke") === 3);
    leaving.abort();
    await until(() => fixture.audits().length > minted.length);
    const line = { method: "RevokeSubject", subject, issuedBefore: expect.any(String) };
    expect(fixture.audits()[minted.length]).toMatchObject({ ...line, code: "CANCELLED", callerLeft: true, revoked: 3 });

    await mint();
    await drained(admin.revocations.revokeSubject({ subject }), false);
    await until(() => fixture.audits().length > minted.length + 2);
    const whole = fixture.audits()[minted.length + 2];
    expect(whole).toMatchObject({ ...line, code: "OK", revoked: 1 });
    expect(whole).not.toHaveProperty("callerLeft");
  });

  it("can be turned off", async () => {
    await start([], { GATEWAY_AUDIT_LOG: "false" });
    await mint();
    expect(fixture.audits()).toEqual([]);
  });

  it("and everything else that is logged or measured holds no secret", async () => {
    await start([{ name: "app", roles: ["verify"] }], { GATEWAY_LOG_LEVEL: "trace", GATEWAY_PASSTHROUGH: "true" });
    const { secret } = await mint();
    const strange = createCallerKey();
    const own = fixture.emulator.machine("billing").secretKey;
    await endOf(as(undefined, { authorization: `Bearer ${strange}` }).tokens.createToken({}));
    await endOf(as(undefined, { authorization: `Basic ${strange}` }).tokens.verifyToken({ token: secret }));
    await endOf(as("app", { "x-clerk-secret-key": own }).tokens.verifyToken({ token: secret }));
    await endOf(as("admin", { "x-clerk-secret-key": `${own}x` }).tokens.createToken({}));
    await endOf(
      as("admin", { "x-request-id": secret }).tokens.revokeToken({ target: { case: "token", value: secret } }),
    );
    await endOf(admin.tokens.revokeToken({ target: { case: "tokenId", value: secret } }));
    fixture.writeText(`callers: [{ name: "x", roles: [verify], keys: ["${strange}"] }]`);
    await until(() => fixture.logLines.some((line) => line.includes("files were not reloaded")));
    const metrics = await (await fetch(`${fixture.adminUrl}/metrics`)).text();
    const written = [...fixture.logLines, metrics].join("\n");
    for (const text of [secret, strange, own, fixture.keyOf("app"), fixture.keyOf("admin")]) {
      expect(written).not.toContain(text.slice(4));
    }
  });
});

describe("the pool of tokens", () => {
  it("gives a caller what is held for it, and nobody else", async () => {
    await start([
      { name: "orders", roles: ["mint"] },
      { name: "reports", roles: ["mint"] },
    ]);
    const heldFor = async (name: string) => (await as(name).tokens.acquireToken({})).token?.id ?? "";
    const [orders, reports] = [await heldFor("orders"), await heldFor("reports")];
    expect(orders).not.toBe(reports);
    expect([await heldFor("orders"), await heldFor("reports")]).toEqual([orders, reports]);
  });

  it("keeps what unnamed callers are given from those with a name", async () => {
    await start([], { GATEWAY_CALLERS_DEMAND_LOCAL: "false" });
    const [named, unnamed] = [await admin.tokens.acquireToken({}), await as(undefined).tokens.acquireToken({})];
    expect(unnamed.token?.id).not.toBe(named.token?.id);
    expect((await as(undefined).tokens.acquireToken({})).token?.id).toBe(unnamed.token?.id);
  });
});

describe("a caller's own key of the upstream", () => {
  const OWN = "x-clerk-secret-key";

  it("is refused unless the gateway takes such keys", async () => {
    await start([]);
    const clients = as("admin", { [OWN]: fixture.emulator.machine("billing").secretKey });
    const { secret } = await mint();
    await admin.tokens.verifyToken({ token: secret });
    for (const call of [
      clients.tokens.verifyToken({ token: secret }),
      clients.tokens.createToken({}),
      clients.tokens.acquireToken({}),
      drained(clients.tokens.verifyTokenStream(sending({ id: 1n, request: { token: secret } }))),
    ]) {
      expect(await endOf(call)).toBe("FailedPrecondition PASSTHROUGH_DISABLED");
    }
    expect(await endOf(clients.gateway.getStatus({}))).toBe("OK");
  });

  it("verifies, mints, lists and revokes in place of the gateway's, with verdicts of its own and facts of all", async () => {
    await start([], { GATEWAY_PASSTHROUGH: "true" });
    const { emulator } = fixture;
    const stranger = emulator.machines().find(({ name }) => name !== "billing");
    const theirs = as("admin", { [OWN]: stranger?.secretKey ?? "" });
    const instance = as("admin", { [OWN]: emulator.instanceKey });
    const { id, secret, subject } = await mint();
    // Known to the gateway, and not granted to the other machine: what is remembered of one is not the other's.
    expect((await admin.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    expect((await admin.tokens.verifyToken({ token: secret })).source).toBe(Source.MEMORY);
    const before = fixture.verifyRequests();
    const asked = await instance.tokens.verifyToken({ token: secret });
    expect([asked.verdict, asked.source]).toEqual([Verdict.VALID, Source.UPSTREAM]);
    expect((await instance.tokens.verifyToken({ token: secret })).source).toBe(Source.MEMORY);
    expect(fixture.verifyRequests()).toBe(before + 1);
    const { token } = await theirs.tokens.createToken({});
    expect(token?.subject).toBe(stranger?.id);
    expect(await endOf(theirs.tokens.listTokens({ subject }))).not.toBe("OK");
    expect((await instance.tokens.listTokens({ subject })).tokens.map((listed) => listed.id)).toEqual([id]);
    await instance.tokens.revokeToken({ target: { case: "tokenId", value: id } });
    for (const clients of [admin, instance]) {
      expect((await clients.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.REVOKED);
    }
  });

  it("that the upstream rejects is the caller's to mend, and says nothing of the gateway's", async () => {
    await start([], { GATEWAY_PASSTHROUGH: "true" });
    const { secret } = await mint();
    for (const key of ["ak_unknown", "sk_test_unknown", "pk_live_x", "", "ak_a b"]) {
      const clients = as("admin", { [OWN]: key });
      expect(await endOf(clients.tokens.verifyToken({ token: secret }))).toBe(
        "Unauthenticated CALLER_CREDENTIAL_REJECTED",
      );
    }
    const { upstream } = await admin.gateway.getStatus({});
    expect([upstream?.lastFailureReason, upstream?.reachable, upstream?.failures?.verify]).toEqual(["", true, 0n]);
    expect((await admin.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    expect(fixture.logLines.join("\n")).not.toContain("rejects the gateway's key");
  });

  it("pauses nobody else when the upstream limits it", async () => {
    await start([], { GATEWAY_PASSTHROUGH: "true", CLERK_MAX_ATTEMPTS: "1" });
    const { secret } = await mint();
    const instance = as("admin", { [OWN]: fixture.emulator.instanceKey });
    fixture.emulator.control.faults.add({
      route: "m2m_tokens.verify",
      status: 429,
      headers: { "retry-after": "60" },
      count: 1,
    });
    expect(await endOf(instance.tokens.verifyToken({ token: secret }))).toContain("UPSTREAM_RATE_LIMITED");
    expect(await endOf(instance.tokens.verifyToken({ token: secret }))).toContain("UPSTREAM_RATE_LIMITED");
    expect((await admin.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
  });

  it("is forgotten when others take its place, and what it knew is asked for again", async () => {
    await start([], { GATEWAY_PASSTHROUGH: "true", GATEWAY_PASSTHROUGH_MAX_KEYS: "1" });
    const { secret } = await mint();
    const instance = as("admin", { [OWN]: fixture.emulator.instanceKey });
    const machine = as("admin", { [OWN]: fixture.emulator.machine("billing").secretKey });
    const sources: Source[] = [];
    for (const clients of [instance, instance, machine, instance]) {
      sources.push((await clients.tokens.verifyToken({ token: secret })).source);
    }
    expect(sources).toEqual([Source.UPSTREAM, Source.MEMORY, Source.UPSTREAM, Source.UPSTREAM]);
  });
});
