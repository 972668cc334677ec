import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type FakeGateway, grpcVerify, startFakeGateway } from "./fake-gateway.ts";

/** Clients want an authority; of a Unix socket's there is none that means anything. */
const BASE_URL = "http://localhost";

describe("on a Unix socket", () => {
  let folder = "";
  let path = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rpc-"));
    path = join(folder, "rpc.sock");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function startOnSocket(): Promise<FakeGateway> {
    return startFakeGateway({ options: { listen: { path } } });
  }

  it("the URL names the path", async () => {
    await using gateway = await startOnSocket();
    expect(gateway.server).toMatchObject({ url: `unix:${path}`, port: 0 });
  });

  it("@grpc/grpc-js is served at the URL", async () => {
    await using gateway = await startOnSocket();
    const client = new grpc.Client(gateway.server.url, grpc.credentials.createInsecure());
    expect((await grpcVerify(client, "mt_1")).verdict).toBe(Verdict.VALID);
    client.close();
  });

  it("connect-node is served over HTTP/1.1 and HTTP/2", async () => {
    await using _gateway = await startOnSocket();
    const sessionManager = new Http2SessionManager(BASE_URL, {}, { createConnection: () => net.connect(path) });
    const transports = [
      createConnectTransport({ baseUrl: BASE_URL, httpVersion: "1.1", nodeOptions: { socketPath: path } }),
      createConnectTransport({ baseUrl: BASE_URL, httpVersion: "2", sessionManager }),
      createGrpcTransport({ baseUrl: BASE_URL, sessionManager }),
    ];
    for (const transport of transports) {
      const answer = await createClient(TokenService, transport).verifyToken({ token: "mt_1" });
      expect(answer.verdict).toBe(Verdict.VALID);
    }
    sessionManager.abort();
  });

  it("node:http2 is served", async () => {
    await using _gateway = await startOnSocket();
    const session = http2.connect(BASE_URL, { createConnection: () => net.connect(path) });
    const [headers] = await once(session.request({ ":path": "/" }), "response");
    expect(headers[":status"]).toBe(200);
    session.destroy();
  });

  it("the file goes when the server closes", async () => {
    const gateway = await startOnSocket();
    expect(existsSync(path)).toBe(true);
    await gateway.server.drain(0);
    expect(existsSync(path)).toBe(false);
  });

  it("a file left behind by a process that died is replaced", async () => {
    const server = "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))";
    expect(() => execFileSync(process.execPath, ["-e", server, path], { stdio: "ignore" })).toThrow();
    expect(existsSync(path)).toBe(true);
    await using gateway = await startOnSocket();
    expect(gateway.server.url).toBe(`unix:${path}`);
    await once(net.connect(path), "connect");
  });

  it("a socket that another process listens on is left to it", async () => {
    await using gateway = await startOnSocket();
    await expect(startOnSocket()).rejects.toThrow("EADDRINUSE");
    const client = new grpc.Client(gateway.server.url, grpc.credentials.createInsecure());
    expect((await grpcVerify(client, "mt_1")).verdict).toBe(Verdict.VALID);
    client.close();
  });

  it("a file that is no socket is not touched", async () => {
    writeFileSync(path, "precious");
    await expect(startOnSocket()).rejects.toMatchObject({ code: "ENOTSOCK", address: path });
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  it("the file is its owner's alone unless it is said otherwise", async () => {
    const before = process.umask(0);
    try {
      await using _gateway = await startOnSocket();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
    }
  });

  it("the file has the permissions and the group that it is to have", async () => {
    const gid = process.getgroups?.()[0] ?? 0;
    await using _gateway = await startFakeGateway({ options: { listen: { path, mode: 0o660, uid: -1, gid } } });
    expect(statSync(path)).toMatchObject({ gid, mode: expect.any(Number) });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  it("a file that cannot be given away is an error, and is not left behind", async () => {
    // No id is as large.
    const start = startFakeGateway({ options: { listen: { path, uid: 2 ** 33, gid: -1 } } });
    await expect(start).rejects.toMatchObject({ address: path });
    expect(existsSync(path)).toBe(false);
  });

  it("a folder that does not exist is an error", async () => {
    await expect(startFakeGateway({ options: { listen: { path: join(folder, "no", "rpc.sock") } } })).rejects.toThrow(
      /EACCES|ENOENT/,
    );
  });
});
