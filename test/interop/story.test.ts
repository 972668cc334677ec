import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GatewayFixture, startGatewayFixture } from "../support/gateway-fixture.ts";
import { hasProgram, ROOT } from "../support/process-fixture.ts";
import { connectBinary, connectGrpc, connectJson, grpcWeb } from "./clients/connect-client.ts";
import { grpcJs } from "./clients/grpc-js-client.ts";
import { plainHttp, postWithCurl, postWithNode } from "./clients/plain-http-client.ts";
import type { StoryClient, StreamMessage } from "./story-client.ts";

const protovalidate = await mkdtemp(join(tmpdir(), "protovalidate-"));
await promisify(execFile)(process.execPath, ["scripts/export-protovalidate.mjs", protovalidate], { cwd: ROOT });
const includeDirs = [join(ROOT, "proto"), protovalidate, join(ROOT, "node_modules/@grpc/grpc-js-xds/deps/googleapis")];
afterAll(() => rm(protovalidate, { recursive: true }));

const CLIENTS: [string, (url: string) => StoryClient][] = [
  ["@grpc/grpc-js with the .proto files", grpcJs(includeDirs)],
  ["gRPC of connect-node", connectGrpc],
  ["Connect JSON over HTTP/1.1", connectJson("1.1")],
  ["Connect JSON over HTTP/2", connectJson("2")],
  ["Connect binary over HTTP/1.1", connectBinary("1.1")],
  ["Connect binary over HTTP/2", connectBinary("2")],
  ["gRPC-Web over HTTP/1.1", grpcWeb("1.1")],
  ["gRPC-Web over HTTP/2", grpcWeb("2")],
  ["node:http with JSON", plainHttp(postWithNode)],
];
if (await hasProgram("curl")) CLIENTS.push(["curl", plainHttp(postWithCurl)]);

const UNKNOWN_ID = `mt_${"0".repeat(32)}`;

/** Reads on to the next message that is not a heartbeat. */
async function nextNews(stream: AsyncIterator<StreamMessage>): Promise<StreamMessage> {
  for (;;) {
    const { done, value } = await stream.next();
    if (done === true) throw new Error("the stream ended");
    if (value.kind !== "heartbeat") return value;
  }
}

describe.each(CLIENTS)("%s", (_name, connect) => {
  let fixture: GatewayFixture;
  let client: StoryClient;
  beforeAll(async () => {
    fixture = await startGatewayFixture({ env: { GATEWAY_LOG_LEVEL: "trace" } });
    client = connect(fixture.url);
  });
  afterAll(async () => {
    client.close();
    await fixture[Symbol.asyncDispose]();
  });

  it("creates, verifies from the upstream and from memory, revokes, and a watcher misses nothing", async () => {
    const leaving = new AbortController();
    const watcher = client.watch("", leaving.signal);
    expect(await nextNews(watcher)).toMatchObject({ kind: "snapshotComplete" });

    const { id, secret } = await client.create();
    expect(await client.verify(secret)).toMatchObject({ verdict: "VERDICT_VALID", source: "SOURCE_UPSTREAM" });
    expect(await client.verify(secret)).toMatchObject({ verdict: "VERDICT_VALID", source: "SOURCE_MEMORY" });
    const { cursor } = await client.revoke(id);
    expect(await client.verify(secret)).toMatchObject({ verdict: "VERDICT_REVOKED", source: "SOURCE_FACT" });
    expect(await nextNews(watcher)).toEqual({ kind: "revocation", tokenId: id, cursor });
    leaving.abort();

    const missed = [await client.create(), await client.create()];
    for (const token of missed) await client.revoke(token.id);

    const returning = new AbortController();
    const resumed = client.watch(cursor, returning.signal);
    const first = await resumed.next();
    expect(first.value).toMatchObject({ kind: "heartbeat", cursor });
    expect(await nextNews(resumed)).toMatchObject({ kind: "revocation", tokenId: missed[0]?.id });
    expect(await nextNews(resumed)).toMatchObject({ kind: "revocation", tokenId: missed[1]?.id });
    const live = await client.create();
    await client.revoke(live.id);
    expect(await nextNews(resumed)).toMatchObject({ kind: "revocation", tokenId: live.id });
    returning.abort();
  });

  it("learns that a token to revoke is unknown", async () => {
    expect(await client.failureOf(client.revoke(UNKNOWN_ID))).toMatchObject({
      code: Code.NotFound,
      reason: "TOKEN_NOT_FOUND",
    });
  });

  it("learns which field of its request is wrong", async () => {
    expect(await client.failureOf(client.verify(""))).toEqual({
      code: Code.InvalidArgument,
      reason: "ARGUMENT_INVALID",
      fields: ["token"],
    });
  });

  it("leaves no secret in the log, at its most talkative", async () => {
    const log = fixture.logLines.join("");
    expect(log).toContain("VerifyToken");
    const { emulator } = fixture;
    const keys = [emulator.instanceKey, emulator.machine("billing").secretKey];
    for (const secret of [...keys, ...emulator.control.tokens().map((token) => token.secret)]) {
      expect(log.includes(secret)).toBe(false);
    }
  });
});

describe("a gateway that holds only the instance key", () => {
  let fixture: GatewayFixture;
  beforeAll(async () => {
    fixture = await startGatewayFixture({ keys: "instance" });
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  it.each(CLIENTS)("tells %s that it cannot mint", async (_name, connect) => {
    const client = connect(fixture.url);
    expect(await client.failureOf(client.create())).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "CREDENTIAL_MISSING",
    });
    client.close();
    expect(fixture.emulator.control.requests.total("m2m_tokens.create")).toBe(0);
  });
});
