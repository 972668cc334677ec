import http2 from "node:http2";
import net from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { VerifyTokenRequestSchema } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import {
  envelope,
  type Hostile,
  post,
  rawExchange,
  rawHttp2,
  reasonIn,
  startHostile,
} from "../support/hostile-fixture.ts";

const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SECRET = "mt_SuperSecretSuperSecretSuperSecretSuperSecretSupe";
const MESSAGE = toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, { token: SECRET }));
const HTTP2_TYPES = ["application/grpc", "application/grpc-web"] as const;

let hostile: Hostile;
beforeAll(async () => {
  hostile = await startHostile();
});
afterEach(() => hostile.assertAlive());
afterAll(() => hostile[Symbol.asyncDispose]());

/** The final status of an answer to gRPC or gRPC-Web. */
function grpcStatus({ headers, body }: Awaited<ReturnType<typeof rawHttp2>>): string | undefined {
  return String(headers["grpc-status"] ?? /grpc-status: ?(\d+)/.exec(body.toString("latin1"))?.[1]);
}

function grpcPost(type: string, body: Uint8Array, headers: http2.OutgoingHttpHeaders = {}, path = VERIFY) {
  return rawHttp2(hostile.gateway, path, { "content-type": type, ...headers }, body);
}

describe("an RPC that there is none of", () => {
  it.each(["/m2mgateway.v1.TokenService/StealTokens", "/evil.v1.Service/VerifyToken", "/", "/%00", "//", `/${SECRET}`])(
    "(%s) is UNIMPLEMENTED in every protocol and leaves no trace of its name",
    async (path) => {
      const before = hostile.lines.length;
      for (const type of HTTP2_TYPES) {
        const answer = await grpcPost(type, envelope(MESSAGE), {}, path);
        expect(answer.status).toBe(200);
        expect(grpcStatus(answer)).toBe("12");
      }
      for (const type of ["application/json", "application/proto", "application/connect+json"]) {
        const answer = await post(hostile.gateway, path, type, "{}");
        expect(answer.status).toBe(404);
        expect(reasonIn(await answer.text())).toBe("UNIMPLEMENTED");
      }
      expect(hostile.lines.slice(before).join("")).not.toContain("SuperSecret");
    },
  );
});

describe("a request that cannot be read", () => {
  it.each(["text/xml", "application/x-www-form-urlencoded", "application/jsonx", "", "application/grpcx"])(
    "by its content type (%j) is refused",
    async (type) => {
      const answer = await post(hostile.gateway, VERIFY, type, `{"token":"${SECRET}"}`);
      expect(answer.status === 415 || answer.headers.get("grpc-status") !== "0").toBe(true);
      expect(await answer.text()).not.toContain("SuperSecret");
    },
  );

  const unreadable: readonly [string, Buffer][] = [
    ["a field cut short", Buffer.from([0x0a, 0x7f, 0x6d])],
    ["a tag of zero", Buffer.from([0x00])],
    ["a varint without an end", Buffer.alloc(16, 0xff)],
    ["a length of 2^63", Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
    ["groups in groups", Buffer.alloc(10_000, 0x1b)],
    ["noise", Buffer.from("ffeeddccbbaa99887766554433221100", "hex")],
  ];

  it.each(unreadable)("(binary: %s) is MALFORMED_REQUEST in every protocol", async (_what, message) => {
    for (const type of HTTP2_TYPES) expect(grpcStatus(await grpcPost(type, envelope(message)))).toBe("3");
    const answer = await post(hostile.gateway, VERIFY, "application/proto", message);
    expect(answer.status).toBe(400);
    expect(reasonIn(await answer.text())).toBe("MALFORMED_REQUEST");
  });

  it.each([
    `{"token":"${SECRET}`,
    `{"token":"${SECRET}"x}`,
    `{"token":${SECRET}}`,
    `{"${SECRET}":1}`,
    `{"token":["${SECRET}"]}`,
    `{"token":"a","token":"${SECRET}"}`,
    `{"maxAge":"${SECRET}"}`,
    `${"[".repeat(200_000)}`,
    `{"policy":{"requiredClaims":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}}`,
    "null",
    '"\\u0000"',
  ])("(JSON %#) is refused without quoting it", async (body) => {
    const before = hostile.lines.length;
    const answer = await post(hostile.gateway, VERIFY, "application/json", body);
    const text = await answer.text();
    expect(answer.status).toBe(400);
    expect(reasonIn(text)).toMatch(/^(MALFORMED_REQUEST|ARGUMENT_INVALID)$/);
    expect(text).not.toContain("SuperSecret");
    expect(hostile.lines.slice(before).join("")).not.toContain("SuperSecretSuper");
  });
});

describe("a compressed message", () => {
  it("that would grow to 64 MiB is MESSAGE_TOO_LARGE in every protocol", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    for (const type of HTTP2_TYPES) {
      expect(grpcStatus(await grpcPost(type, envelope(bomb, 1), { "grpc-encoding": "gzip" }))).toBe("8");
    }
    const answer = await post(hostile.gateway, VERIFY, "application/proto", bomb, { "content-encoding": "gzip" });
    expect(answer.status).toBe(429);
    expect(reasonIn(await answer.text())).toBe("MESSAGE_TOO_LARGE");
  });

  it("that announces four gibibytes is MESSAGE_TOO_LARGE before they come", async () => {
    const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
    for (const type of HTTP2_TYPES) expect(grpcStatus(await grpcPost(type, head))).toBe("8");
  });
});

describe("a deadline", () => {
  it.each(["0n", "0m", "0H"])("of %s has passed: DEADLINE_EXCEEDED, and nothing is asked", async (timeout) => {
    const { requests } = hostile.emulator.control;
    const before = requests.total("m2m_tokens.verify");
    for (const type of HTTP2_TYPES) {
      expect(grpcStatus(await grpcPost(type, envelope(MESSAGE), { "grpc-timeout": timeout }))).toBe("4");
    }
    const body = `{"token":"${SECRET}"}`;
    const answer = await post(hostile.gateway, VERIFY, "application/json", body, { "connect-timeout-ms": "0" });
    expect(answer.status).toBe(504);
    expect(requests.total("m2m_tokens.verify")).toBe(before);
  });

  it.each(["-1m", "5x", "999999999S", "1.5S", "m", "1m1m", "NaN"])("of %j is malformed", async (timeout) => {
    for (const type of HTTP2_TYPES) {
      expect(grpcStatus(await grpcPost(type, envelope(MESSAGE), { "grpc-timeout": timeout }))).toBe("3");
    }
    const answer = await post(hostile.gateway, VERIFY, "application/json", "{}", { "connect-timeout-ms": timeout });
    expect(reasonIn(await answer.text())).toBe("MALFORMED_REQUEST");
  });
});

describe("a connection", () => {
  it.each([
    ["speaks garbage", "\u0000\u00ff\u0013\u0037garbage\r\n\r\n"],
    ["speaks TLS", Buffer.from("1603010200010001fc0303", "hex")],
    ["sends the preface and then garbage", Buffer.concat([Buffer.from(PREFACE), Buffer.alloc(4096, 0xff)])],
    ["sends a mebibyte of header", `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(1024 * 1024)}\r\n\r\n`],
    [
      "smuggles with two lengths",
      `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x`,
    ],
    [
      "smuggles with length and chunks",
      `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["folds a header", `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n`],
  ])("that %s is closed", async (_what, bytes) => {
    const answer = await rawExchange(hostile.port, bytes);
    expect(answer).not.toContain("HTTP/1.1 200");
  });

  it.each(["", "P", "PRI *", `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{`])(
    "that half-closes after %j is closed",
    async (bytes) => {
      await rawExchange(hostile.port, bytes, true);
    },
  );

  it("that sends a mebibyte of HTTP/2 headers loses that call only", async () => {
    const headers = { "content-type": "application/grpc", x: "a".repeat(1024 * 1024) };
    await expect(grpcPost("application/grpc", envelope(MESSAGE), headers)).rejects.toThrow();
  });

  it("that opens streams and resets them at once harms nobody", async () => {
    const session = http2.connect(hostile.gateway.url);
    session.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => session.once("close", resolve));
    for (let index = 0; index < 2_000 && !session.destroyed; index++) {
      const stream = session.request({ ":method": "POST", ":path": VERIFY, "content-type": "application/grpc" });
      stream.on("error", () => undefined);
      stream.end(envelope(MESSAGE));
      stream.close(http2.constants.NGHTTP2_CANCEL);
      if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    session.destroy();
    await closed;
  });

  it("that goes away in the middle of everything harms nobody", async () => {
    const body = JSON.stringify({ token: SECRET });
    const request = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    for (let length = 0; length <= request.length; length += 7) {
      const socket = net.connect(hostile.port, "127.0.0.1");
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(request.slice(0, length));
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
  });
});
