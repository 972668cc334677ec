import { once } from "node:events";
import http2 from "node:http2";
import { gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { describe, expect, it } from "vitest";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import {
  envelope,
  failureOf,
  grpcPost,
  MAX_MESSAGE_BYTES,
  post,
  rawExchange,
  rawHttp2,
  startFakeGateway,
  VERIFY,
  verifyRequestBytes,
} from "./fake-gateway.ts";

const SECRET = "mt_SuperSecretSuperSecretSuperSecret";

describe("a Host header that is no host", () => {
  it.each(["host: [", "host: a b", "host: ", "x: y"])("%j is served like any other", async (header) => {
    await using gateway = await startFakeGateway();
    const body = `{"token":"mt_1"}`;
    const answer = await rawExchange(
      gateway.server,
      `POST ${VERIFY} HTTP/1.0\r\n${header}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a request for nothing there is", () => {
  it("is UNIMPLEMENTED as a gRPC status for gRPC callers", async () => {
    await using gateway = await startFakeGateway();
    const headers = { ":path": "/nope.Nope/Nope", "content-type": "application/grpc+proto" };
    const answer = await rawHttp2(gateway.server, headers, envelope(new Uint8Array()));
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ "content-type": "application/grpc+proto", "grpc-status": "12" });
    expect(gateway.reports).toMatchObject([
      { service: "unknown", method: "unknown", protocol: "grpc", code: "UNIMPLEMENTED" },
    ]);
  });

  it("is answered over HTTP/2 by headers alone, as gRPC clients want a status that is not in trailers", async () => {
    await using gateway = await startFakeGateway();
    const session = http2.connect(gateway.server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/nope.Nope/Nope",
      "content-type": "application/grpc",
    });
    const [, flags] = await once(stream, "response");
    session.destroy();
    expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0);
  });

  it("does not keep a caller that sends without end", async () => {
    await using gateway = await startFakeGateway();
    const session = http2.connect(gateway.server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/nope.Nope/Nope",
      "content-type": "application/grpc",
    });
    stream.resume();
    await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });

  it("is UNIMPLEMENTED for gRPC-Web and Connect clients", async () => {
    await using gateway = await startFakeGateway();
    const transports = [
      createGrpcWebTransport({ baseUrl: gateway.server.url }),
      createConnectTransport({ baseUrl: gateway.server.url, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl: gateway.server.url, httpVersion: "2" }),
    ];
    for (const transport of transports) {
      const failure = await failureOf(createClient(GatewayService, transport).getStatus({}));
      expect(failure).toMatchObject({ code: 12, reason: "UNIMPLEMENTED" });
    }
  });

  it("is answered in JSON to anybody else", async () => {
    await using gateway = await startFakeGateway();
    for (const answer of [
      await fetch(`${gateway.server.url}/favicon.ico`),
      await post(gateway, "/x", "application/json", "{}"),
    ]) {
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: "unimplemented" });
    }
  });

  it("is told what this port is when it asks for the root", async () => {
    await using gateway = await startFakeGateway();
    const answer = await fetch(gateway.server.url);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("gRPC, gRPC-Web and Connect");
  });
});

describe("a request in the wrong form", () => {
  it("of the wrong content type is refused with 415 and the types there are", async () => {
    await using gateway = await startFakeGateway();
    const answer = await post(gateway, VERIFY, "text/xml", "<token/>");
    expect(answer.status).toBe(415);
    expect(answer.headers.get("accept-post")).toContain("application/json");
    expect(gateway.reports).toMatchObject([{ code: "INVALID_ARGUMENT", reason: "MALFORMED_REQUEST" }]);
  });

  it("of the wrong HTTP method is refused with 405", async () => {
    await using gateway = await startFakeGateway();
    const answer = await fetch(`${gateway.server.url}${VERIFY}?token=x`);
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("POST");
  });

  it.each([
    ["JSON that is cut short", "application/json", `{"token":"${SECRET}`],
    ["JSON of the wrong type", "application/json", `{"token":{"${SECRET}":1}}`],
    ["JSON that is no object", "application/json", `["${SECRET}"]`],
    ["binary that is cut short", "application/proto", Buffer.from([0x0a, 0x7f, 0x6d])],
    ["a token that is not UTF-8", "application/proto", Buffer.from([0x0a, 0x02, 0xff, 0xfe])],
  ])("%s is MALFORMED_REQUEST and is not quoted", async (_what, contentType, body) => {
    await using gateway = await startFakeGateway();
    const answer = await post(gateway, VERIFY, contentType, body);
    const text = await answer.text();
    expect(answer.status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      code: "invalid_argument",
      details: [{ type: "google.rpc.ErrorInfo", debug: { reason: "MALFORMED_REQUEST", domain: "m2m-gateway" } }],
    });
    expect(text).not.toContain("SuperSecret");
    expect(gateway.reports).toMatchObject([{ code: "INVALID_ARGUMENT", reason: "MALFORMED_REQUEST" }]);
  });

  it.each([
    ["a token that is not UTF-8", envelope(Buffer.from([0x0a, 0x02, 0xff, 0xfe]))],
    ["an envelope that is cut short", envelope(Buffer.alloc(100)).subarray(0, 20)],
    ["something compressed that is not", envelope(verifyRequestBytes(SECRET), 1)],
  ])("%s is MALFORMED_REQUEST over gRPC", async (_what, body) => {
    await using gateway = await startFakeGateway();
    const { trailers } = await grpcPost(gateway, { "grpc-encoding": "gzip" }, body);
    expect(trailers["grpc-status"]).toBe("3");
    expect(trailers["grpc-status-details-bin"]).toBeDefined();
    expect(gateway.reports).toMatchObject([{ code: "INVALID_ARGUMENT", reason: "MALFORMED_REQUEST" }]);
  });

  it("compressed without a word about how is INTERNAL, as gRPC's specification has it, and the caller's mistake", async () => {
    await using gateway = await startFakeGateway();
    const { trailers } = await grpcPost(gateway, {}, envelope(verifyRequestBytes("mt_1"), 1));
    expect(trailers["grpc-status"]).toBe("13");
    expect(gateway.reports).toMatchObject([{ code: "INTERNAL", reason: "MALFORMED_REQUEST" }]);
  });

  it("without a message is UNIMPLEMENTED over gRPC, as gRPC's own servers have it", async () => {
    await using gateway = await startFakeGateway();
    const { trailers } = await grpcPost(gateway, {}, Buffer.alloc(0));
    expect(trailers["grpc-status"]).toBe("12");
  });

  it("in an unknown compression is told which are known", async () => {
    await using gateway = await startFakeGateway();
    const { trailers } = await grpcPost(gateway, { "grpc-encoding": "zstd" }, envelope(verifyRequestBytes("mt_1"), 1));
    expect(trailers).toMatchObject({ "grpc-status": "12", "grpc-accept-encoding": "gzip" });
  });
});

describe("compression", () => {
  it("is read in requests and never used in answers", async () => {
    await using gateway = await startFakeGateway({
      verifyToken: async () => ({ verdict: Verdict.VALID, cursor: "c".repeat(5000) }),
    });
    const headers = { "content-encoding": "gzip", "accept-encoding": "gzip" };
    const answer = await post(gateway, VERIFY, "application/json", gzipSync(`{"token":"mt_1"}`), headers);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-encoding")).toBeNull();
  });

  it("does not smuggle a message over the limit", async () => {
    await using gateway = await startFakeGateway();
    const bomb = gzipSync(Buffer.alloc(50 * MAX_MESSAGE_BYTES, 0x20));
    const answer = await post(gateway, VERIFY, "application/json", bomb, { "content-encoding": "gzip" });
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ details: [{ debug: { reason: "MESSAGE_TOO_LARGE" } }] });
  });

  it("of no announced length that exceeds the limit leaves the connection usable", async () => {
    await using gateway = await startFakeGateway();
    const chunk = `${(8192).toString(16)}\r\n${"x".repeat(8192)}\r\n`;
    const answers = await rawExchange(
      gateway.server,
      `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      `${chunk.repeat(32)}0\r\n\r\n`,
      "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    expect(answers).toMatch(/^HTTP\/1\.1 429 .*MESSAGE_TOO_LARGE.*HTTP\/1\.1 200 .*gRPC-Web/s);
  });
});
