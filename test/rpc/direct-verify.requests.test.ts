import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createDomain, verifyRequest } from "../support/domain.ts";
import { secretOf, token } from "../support/tokens.ts";
import { MAX_BYTES, startTwins, type Twins } from "./direct-verify-fixture.ts";
import { binary, GRPC, JSON_TYPE, json, PROTO_TYPE } from "./direct-verify-forms.ts";
import { envelope } from "./fake-gateway.ts";

const KNOWN = { token: secretOf(1) };

let twins: Twins;
beforeAll(async () => {
  const domain = await createDomain();
  const asked = domain.verifier.verify(verifyRequest(KNOWN.token));
  domain.upstream.nextVerify().resolve(token(1));
  await asked;
  twins = await startTwins(domain);
});
afterAll(async () => {
  await twins[Symbol.asyncDispose]();
});

/** A field that nobody knows, which makes the message as long as that. */
function padded(bytes: number): Buffer {
  const message = binary(KNOWN);
  const length = bytes - message.length - 4;
  return Buffer.concat([
    message,
    Buffer.from([0x7a, 0x80 | (length & 0x7f), 0x80 | ((length >> 7) & 0x7f), length >> 14]),
    Buffer.alloc(length),
  ]);
}

const plain = envelope(binary(KNOWN));

describe("a gRPC call is answered as the framework does", () => {
  it.each<[string, boolean, Record<string, string>, Buffer[]]>([
    ["the whole content type", true, { "content-type": "application/grpc+proto" }, [plain]],
    ["a content type in capitals", false, { "content-type": "Application/GRPC" }, [plain]],
    ["a content type with parameters", false, { "content-type": "application/grpc; charset=utf-8" }, [plain]],
    ["JSON", false, { "content-type": "application/grpc+json" }, [envelope(json(KNOWN))]],
    ["gRPC-Web", false, { "content-type": "application/grpc-web+proto" }, [plain]],
    ["no compression, said so", true, { "grpc-encoding": "identity" }, [plain]],
    ["gzip", false, { "grpc-encoding": "gzip" }, [envelope(gzipSync(binary(KNOWN)), 1)]],
    ["gzip that it does not use", false, { "grpc-encoding": "gzip" }, [plain]],
    ["an unknown compression", false, { "grpc-encoding": "zstd" }, [plain]],
    ["a compressed flag without compression", false, {}, [envelope(binary(KNOWN), 1)]],
    ["unknown encodings for the answer", true, { "grpc-accept-encoding": "zstd,br" }, [plain]],
    ["gzip for the answer", true, { "grpc-accept-encoding": "br , gzip" }, [plain]],
    ["an unknown field", true, {}, [envelope(padded(100))]],
    ["a token given twice", true, {}, [envelope(Buffer.concat([binary({ token: "x" }), binary(KNOWN)]))]],
    ["a message without fields", true, {}, [envelope(Buffer.alloc(0))]],
    ["nothing", false, {}, []],
    ["half a head", false, {}, [plain.subarray(0, 3)]],
    ["a message that is cut short", false, {}, [plain.subarray(0, -1)]],
    ["two messages", false, {}, [plain, plain]],
    ["a message and half of one", false, {}, [plain, plain.subarray(0, 9)]],
    ["what is no message", false, {}, [envelope(Buffer.from([0x0a, 0x7f, 0x6d]))]],
    ["a token that is not UTF-8", false, {}, [envelope(Buffer.from([0x0a, 2, 0xff, 0xfe]))]],
    ["the largest message", true, {}, [envelope(padded(MAX_BYTES))]],
    ["a message that is too large by an octet", false, {}, [envelope(padded(MAX_BYTES + 1))]],
    ["a message that is far too large", false, {}, [envelope(padded(MAX_BYTES * 10))]],
  ])("with %s", async (_what, isDirect, headers, pieces) => {
    await twins.same({ http: "2", headers: { ...GRPC, ...headers }, pieces }, isDirect);
  });

  it("over HTTP/1.1, which has no trailers that clients would read", async () => {
    await twins.same({ http: "1.1", headers: GRPC, pieces: [plain] }, false);
  });
});

describe.each(["1.1", "2"] as const)("a Connect call over HTTP/%s is answered as the framework does", (http) => {
  const text = json(KNOWN);
  it.each<[string, boolean, Record<string, string>, (Buffer | string)[]]>([
    ["a content type with parameters", false, { "content-type": "application/json; charset=utf-8" }, [text]],
    ["a content type in capitals", false, { "content-type": "Application/JSON" }, [text]],
    ["no compression, said so", true, { "content-encoding": "identity" }, [text]],
    ["gzip", false, { "content-encoding": "gzip" }, [gzipSync(text)]],
    ["gzip that is none", false, { "content-encoding": "gzip" }, [text]],
    ["an unknown compression", false, { "content-encoding": "br" }, [text]],
    ["gzip for the answer", true, { "accept-encoding": "gzip, br" }, [text]],
    ["unknown encodings for the answer", true, { "accept-encoding": "br" }, [text]],
    ["another version of the protocol", true, { "connect-protocol-version": "2" }, [text]],
    ["the content type of streams", false, { "content-type": "application/connect+json" }, [envelope(text)]],
    ["an unknown field", true, {}, [`{"token":"${KNOWN.token}","later":{"a":[1]}}`]],
    ["a byte order mark", true, {}, ["\ufeff", text]],
    ["null", true, {}, [`{"token":null}`]],
    ["no fields", true, {}, ["{}"]],
    ["a duration in words", false, {}, [`{"token":"x","maxAge":"soon"}`]],
    ["a duration", true, {}, [`{"token":"${KNOWN.token}","max_age":"1.5s"}`]],
    ["nothing", false, {}, []],
    ["an array", false, {}, ["[]"]],
    ["a number for the token", false, {}, [`{"token":1}`]],
    ["JSON that is cut short", false, {}, [text.subarray(0, -1)]],
    ["two documents", false, {}, [text, text]],
    ["what is not UTF-8", true, {}, [`{"token":"`, Buffer.from([0xff, 0xc3]), `"}`]],
    ["a lone surrogate", false, {}, [`{"token":"\\ud800"}`]],
    ["a key given twice", false, {}, [`{"token":"x","token":"y"}`]],
    ["JSON nested deeply", false, {}, [`{"policy":{"requiredClaims":{"a":${"[".repeat(9_000)}`]],
    ["the largest message", true, {}, [text, " ".repeat(MAX_BYTES - text.length)]],
    ["a message that is too large by an octet", false, {}, [text, " ".repeat(MAX_BYTES - text.length + 1)]],
    ["a message that is too large by five", false, {}, [text, " ".repeat(MAX_BYTES - text.length + 5)]],
    ["a message that is far too large", false, {}, [text, " ".repeat(MAX_BYTES * 10)]],
  ])("with %s, in JSON", async (_what, isDirect, headers, parts) => {
    const pieces = parts.map((part) => Buffer.from(part));
    await twins.same({ http, headers: { ...JSON_TYPE, ...headers }, pieces }, isDirect);
  });

  it.each<[string, boolean, Buffer[]]>([
    ["nothing", true, []],
    ["an unknown field", true, [padded(100)]],
    ["what is no message", false, [Buffer.from([0x0a, 0x7f, 0x6d])]],
    ["a group that has no end", false, [Buffer.from([0x7b])]],
    ["another wire type", false, [Buffer.from([0x08, 1])]],
    ["a token that is not UTF-8", false, [Buffer.from([0x0a, 2, 0xff, 0xfe])]],
    ["the largest message", true, [padded(MAX_BYTES)]],
    ["a message that is too large by an octet", false, [padded(MAX_BYTES + 1)]],
    ["a message that is too large by five", false, [padded(MAX_BYTES + 5)]],
  ])("with %s, in binary", async (_what, isDirect, pieces) => {
    await twins.same({ http, headers: PROTO_TYPE, pieces }, isDirect);
  });

  it("with an expectation", async () => {
    const length = { "content-length": String(text.length), expect: "100-continue" };
    await twins.same({ http, headers: { ...JSON_TYPE, ...length }, pieces: [text] }, false);
  });
});
