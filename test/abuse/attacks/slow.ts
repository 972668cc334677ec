import { encodeFields } from "../../../src/http2/hpack-encoder.ts";
import { continuation, data, headers, opening, requestFields, settingsAck } from "../../http2/kit/frames.ts";
import type { Attack } from "../attack.ts";
import { drip, pour } from "../siege.ts";

const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";
const WATCH = "/m2mgateway.v1.RevocationService/WatchRevocations";
const GRPC = [["content-type", "application/grpc"]] as const;
const H1 = { announced: "http/1.1", reads: true } as const;
const H2 = { announced: "h2", reads: true } as const;
const STREAMS = 200;

const BYTE = Buffer.from("x");
const H1_HEAD = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
const OPENING = Buffer.concat([opening(), settingsAck()]);

/** Clients that take their time. */
export const SLOW: readonly Attack[] = [
  {
    name: "slow HTTP/1.1 headers",
    over: "tcp and tls",
    options: H1,
    connections: [50, 2000],
    serve(socket) {
      socket.write(`${H1_HEAD}x-a: `);
      drip(socket, 1000, () => BYTE);
    },
  },
  {
    name: "slow HTTP/1.1 bodies",
    over: "tcp and tls",
    options: H1,
    connections: [50, 2000],
    serve(socket) {
      socket.write(`${H1_HEAD}content-length: 1000000\r\n\r\n{`);
      drip(socket, 1000, () => BYTE);
    },
  },
  {
    name: "HTTP/2 prefaces that never end",
    over: "tcp and tls",
    options: H2,
    connections: [50, 2000],
    serve(socket) {
      socket.write("PRI * HTTP/2.0\r\n");
    },
  },
  {
    name: "slow HTTP/2 headers",
    over: "tcp and tls",
    options: H2,
    connections: [50, 2000],
    serve(socket) {
      socket.write(OPENING);
      // A literal of which 16,384 bytes are announced.
      const literal = Buffer.from([0, 1, 0x78, 0x7f, 0x81, 0x7f]);
      const block = Buffer.concat([encodeFields(requestFields(VERIFY)), literal]);
      socket.write(headers(1, block, { endHeaders: false }));
      drip(socket, 1000, () => continuation(1, BYTE, false));
    },
  },
  {
    name: "TLS handshakes that never end",
    over: "tls",
    options: { announced: undefined, reads: true },
    connections: [50, 2000],
    serve(socket) {
      socket.write(Buffer.from("16030102000100", "hex"));
    },
  },
  {
    name: "streams whose requests never end",
    over: "tcp and tls",
    options: H2,
    connections: [5, 100],
    serve(socket) {
      socket.write(OPENING);
      for (let at = 0; at < STREAMS; at++) {
        const id = 2 * at + 1;
        socket.write(headers(id, requestFields(at % 2 === 0 ? VERIFY : WATCH, GRPC)));
        socket.write(data(id, Buffer.from([0, 0, 0, 100, 0, 1])));
      }
    },
  },
  {
    name: "bodies of megabytes that never end",
    over: "tcp and tls",
    options: H2,
    connections: [4, 16],
    serve(socket) {
      socket.write(OPENING);
      const part = data(0, Buffer.alloc(16_000));
      let at = 0;
      for (; at < STREAMS; at++) {
        // JSON is read whole before it is looked at.
        socket.write(headers(2 * at + 1, requestFields(VERIFY, [["content-type", "application/json"]])));
      }
      pour(socket, () => {
        at += 1;
        part.writeUInt32BE(2 * (at % STREAMS) + 1, 5);
        return Buffer.from(part);
      });
    },
  },
  {
    name: "idle connections",
    over: "tcp and tls",
    options: H2,
    connections: [300, 10_000],
    serve(socket) {
      socket.write(OPENING);
    },
  },
  {
    name: "clients that vanish, watching",
    over: "tcp and tls",
    options: { announced: "h2", reads: false },
    connections: [50, 2000],
    serve(socket) {
      socket.write(OPENING);
      socket.write(headers(1, requestFields(WATCH, GRPC)));
      socket.write(data(1, Buffer.alloc(5), { end: true }));
    },
  },
];
