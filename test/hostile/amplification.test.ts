import { Readable, Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { runCli } from "../../src/cli/run-cli.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { eventually, failureOf, mintAt, post, startHostile } from "../support/hostile-fixture.ts";

const REVOKED = {
  object: "machine_to_machine_token",
  id: `mt_${"cd".repeat(16)}`,
  subject: `mch_${"2".repeat(27)}`,
  claims: null,
  scopes: [],
  revoked: true,
  revocation_reason: "stolen",
  expired: false,
  expiration: null,
  last_used_at: null,
  created_at: 1_700_000_000_000,
  updated_at: 1_700_000_000_000,
};

describe("a batch", () => {
  it("of one token with many claims, said often, does not grow the process by hundreds of megabytes", async () => {
    await using hostile = await startHostile();
    const { secret } = await mintAt(hostile.emulator, `{"claims":[${Array(32_000).fill("0")}]}`);
    await hostile.clients.tokens.verifyToken({ token: secret });
    const beforeKib = process.resourceUsage().maxRSS;
    const call = hostile.clients.tokens.batchVerifyTokens({ tokens: Array<string>(250).fill(secret) });
    await call.catch(() => undefined);
    expect(process.resourceUsage().maxRSS - beforeKib).toBeLessThan(250 * 1024);
    await hostile.assertAlive();
  });

  it("of unknown tokens draws no warning of a leak from the runtime", async () => {
    const warnings: string[] = [];
    const warn = (warning: Error) => warnings.push(warning.name);
    process.on("warning", warn);
    await using hostile = await startHostile();
    await hostile.clients.tokens.batchVerifyTokens({ tokens: Array.from({ length: 20 }, (_, at) => `mt_${at}`) });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });
});

describe("a watch", () => {
  it("whose cursor lies ahead of the log is told so, and misses no revocation", { timeout: 5_000 }, async () => {
    await using hostile = await startHostile({ env: { GATEWAY_WATCH_HEARTBEAT_MS: "100" } });
    const { tokens, revocations, gateway } = hostile.clients;
    const epoch = (await gateway.getStatus({})).freshness?.cursor.split(".")[0];
    const stop = new AbortController();
    const kinds: string[] = [];
    const watching = (async () => {
      const stream = revocations.watchRevocations({ cursor: `${epoch}.999999-0` }, { signal: stop.signal });
      for await (const { event } of stream) kinds.push(event.case ?? "");
    })().catch((error: unknown) => kinds.push(String(error)));
    await eventually(() => kinds.length > 0);
    await tokens.revokeToken({ target: { case: "tokenId", value: (await hostile.mint()).id } });
    const beats = kinds.length;
    await eventually(() => kinds.length > beats + 1);
    stop.abort();
    await watching;
    expect(kinds.some((kind) => kind === "revocation" || kind === "reset")).toBe(true);
  });
});

describe("a revocation reason of the upstream", () => {
  it("that is not well-formed Unicode does not break lists for JSON clients", async () => {
    await using hostile = await startHostile();
    const body = JSON.stringify({ ...REVOKED, revocation_reason: "stolen\ud800" });
    hostile.emulator.control.faults.add({ route: "m2m_tokens.verify", body, count: 1 });
    await hostile.clients.tokens.verifyToken({ token: "mt_dead" });
    const page = await hostile.on("connectH1").revocations.listRevocations({});
    expect(page.revocations).toHaveLength(1);
  });

  it("that is huge does not break lists for everybody", async () => {
    await using hostile = await startHostile();
    for (let index = 0; index < 6; index++) {
      const id = `mt_${String(index).repeat(32)}`;
      const body = JSON.stringify({ ...REVOKED, id, revocation_reason: "x".repeat(900_000) });
      hostile.emulator.control.faults.add({ route: "m2m_tokens.verify", body, count: 1 });
      await hostile.clients.tokens.verifyToken({ token: `mt_dead${index}` });
    }
    const page = await hostile.clients.revocations.listRevocations({});
    expect(page.revocations).toHaveLength(6);
  });
});

describe("claims", () => {
  it("that are not well-formed Unicode are refused, not minted and then changed", async () => {
    await using hostile = await startHostile();
    const path = "/m2mgateway.v1.TokenService/CreateToken";
    const answer = await post(hostile.gateway, path, "application/json", String.raw`{"claims":{"a":"\ud800"}}`);
    expect(answer.status).toBe(400);
  });

  it("nested deeper than clients can decode are UPSTREAM_BAD_RESPONSE, not an answer nobody can read", async () => {
    await using hostile = await startHostile();
    const { secret } = await mintAt(hostile.emulator, `{"claims":${"[".repeat(60)}${"]".repeat(60)}}`);
    const failure = await failureOf(hostile.clients.tokens.verifyToken({ token: secret }));
    expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
  });
});

describe("RevokeToken by made-up secrets", () => {
  it("asks the upstream once for the same one", async () => {
    await using hostile = await startHostile();
    const call = () => hostile.clients.tokens.revokeToken({ target: { case: "token", value: "mt_made_up" } });
    await Promise.all(Array.from({ length: 50 }, () => failureOf(call())));
    expect(hostile.emulator.control.requests.total("m2m_tokens.verify")).toBe(1);
  });

  it("does not crowd known tokens out of the upstream's queue", async () => {
    await using hostile = await startHostile({ env: { CLERK_MAX_CONCURRENCY: "4", CLERK_MAX_QUEUE: "16" } });
    const { tokens, gateway } = hostile.clients;
    const { secret } = await hostile.mint();
    await tokens.verifyToken({ token: secret });
    hostile.emulator.control.faults.add({ id: "slow", route: "m2m_tokens.verify", latency_ms: 200 });
    const flood = Array.from({ length: 60 }, (_, at) =>
      failureOf(tokens.revokeToken({ target: { case: "token", value: `mt_made_up${at}` } })),
    );
    await eventually(async () => ((await gateway.getStatus({})).upstream?.queued ?? 0n) > 8n);
    const answer = await tokens.verifyToken({ token: secret, maxAge: {} });
    expect(answer).toMatchObject({ verdict: Verdict.VALID, source: Source.UPSTREAM });
    await Promise.all(flood);
  });

  it("shed before it was sent leaves the token's verdict in memory", async () => {
    await using hostile = await startHostile({ env: { CLERK_MAX_CONCURRENCY: "1", CLERK_MAX_QUEUE: "0" } });
    const { tokens } = hostile.clients;
    const { id, secret } = await hostile.mint();
    await tokens.verifyToken({ token: secret });
    hostile.emulator.control.faults.add({ route: "m2m_tokens.list", hang: true, count: 1 });
    const leave = new AbortController();
    const subject = hostile.emulator.machine("billing").id;
    const hanging = tokens.listTokens({ subject }, { signal: leave.signal }).catch(() => undefined);
    await eventually(() => hostile.emulator.control.requests.total("m2m_tokens.list") === 1);
    const failure = await failureOf(tokens.revokeToken({ target: { case: "tokenId", value: id } }));
    expect(failure.reason).toBe("OVERLOADED");
    const answer = await tokens.verifyToken({ token: secret });
    expect(answer).toMatchObject({ verdict: Verdict.VALID, source: Source.MEMORY });
    leave.abort();
    await hanging;
  });
});

describe("an error of the upstream", () => {
  it("cannot carry a secret out as its code or its trace id", async () => {
    await using hostile = await startHostile();
    const { secret } = await hostile.mint();
    const bare = secret.slice(3);
    const errors = [{ code: `mt_${bare.toLowerCase()}`, message: "x", long_message: "x" }];
    const body = JSON.stringify({ errors, clerk_trace_id: bare });
    hostile.emulator.control.faults.add({ route: "m2m_tokens.create", status: 400, body });
    const { metadata } = await failureOf(hostile.clients.tokens.createToken({}));
    expect(JSON.stringify(metadata).toLowerCase()).not.toContain(bare.toLowerCase());
  });
});

describe("the command line", () => {
  it("does not repeat a password in --gateway", async () => {
    const said: string[] = [];
    const sink = () =>
      new Writable({
        write(chunk, _encoding, done) {
          said.push(String(chunk));
          done();
        },
      });
    const never = async () => 0;
    await runCli(["--gateway", "http://user:mt_SuperSecretSuperSecret@127.0.0.1:1", "status"], {
      stdin: Readable.from([]),
      stdout: sink(),
      stderr: sink(),
      env: {},
      isTty: false,
      signal: new AbortController().signal,
      invocation: "m2m-gateway",
      run: { serve: never, dev: never, emulator: never, configCheck: never, callerKey: never },
    });
    expect(said.join("")).not.toContain("SuperSecret");
  });
});
