import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, sensitiveHeaders } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";
import { encodeFields, TABLE_SIZE_ZERO } from "../../src/http2/hpack-encoder.ts";

const PREFACE_OCTETS = 24;
const FRAME_HEADER_OCTETS = 9;
const HEADERS_FRAME = 1;
const SETTINGS_FRAME = 4;
const CONTINUATION_FRAME = 9;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const PRIORITY = 0x20;
const PRIORITY_OCTETS = 5;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Eight together are less than a frame, as `createPeer` needs it, and three more than the smaller tables. */
const fieldValue = fc.oneof(
  fc.string({ maxLength: 60 }).map((text) => text.replaceAll(/[^!-~]/g, "~")),
  fc.uint8Array({ maxLength: 40 }).map((octets) => octets.reduce((text, octet) => text + latin1Of(octet), "")),
  fc.constantFrom("gzip", "100m", "application/grpc", "x".repeat(1_500)),
);
const fieldName = fc.oneof(
  fc.constantFrom("content-type", "grpc-timeout", "authorization", "accept-charset", "user-agent", "x-request-id"),
  fc.stringMatching(/^x-[a-z0-9-]{1,12}$/),
);
const fieldList = fc.dictionary(fieldName, fieldValue, { maxKeys: 8, noNullPrototype: true });

describe("node's own client", () => {
  it.each([0, 100, 4_096])("sends header blocks that we decode, with a table of %i octets", async (tableBytes) => {
    const peer = await createPeer(tableBytes, () => undefined);
    const decoder = new HpackDecoder(tableBytes);
    await fc.assert(
      fc.asyncProperty(fieldList, fc.boolean(), async (headers, isSensitive) => {
        const block = peer.nextBlock();
        const request = peer.client.request({
          ":method": "POST",
          ":path": "/m2mgateway.v1.TokenService/VerifyToken",
          ...headers,
          ...(isSensitive && { [sensitiveHeaders]: Object.keys(headers) }),
        });
        request.on("error", () => request.destroy());
        const fields = fieldsOf(decoder, (await block).block);
        expect(fields.get(":path")).toBe("/m2mgateway.v1.TokenService/VerifyToken");
        expect(fields.get(":method")).toBe("POST");
        for (const pseudo of [":path", ":method", ":authority", ":scheme"]) fields.delete(pseudo);
        expect(Object.fromEntries(fields)).toEqual(headers);
      }),
      { numRuns: 100 },
    );
  });

  it("sends header blocks in several frames that we decode once they are together", async () => {
    const peer = await createPeer(4_096, () => undefined);
    const headers = Object.fromEntries(["a", "b", "c", "d"].map((name) => [`x-${name}`, name.repeat(12_000)]));
    const block = peer.nextBlock();
    const request = peer.client.request(headers);
    request.on("error", () => request.destroy());
    expect(Object.fromEntries(fieldsOf(new HpackDecoder(4_096), (await block).block))).toMatchObject(headers);
  });

  it.each([0, 100, 4_096])(
    "decodes the header blocks that we encode, with a table of %i octets",
    async (tableBytes) => {
      let answer: Buffer = Buffer.alloc(0);
      const peer = await createPeer(4_096, () => answer, tableBytes);
      let isFirst = true;
      await fc.assert(
        fc.asyncProperty(fieldList, fc.integer({ min: 200, max: 599 }), async (headers, status) => {
          const block = encodeFields([[":status", `${status}`], ...Object.entries(headers)]);
          answer = isFirst ? Buffer.concat([Buffer.of(TABLE_SIZE_ZERO), block]) : block;
          isFirst = false;
          const request = peer.client.request({ ":path": "/" });
          const received: IncomingHttpHeaders = (await once(request, "response"))[0];
          request.resume();
          expect(Object.fromEntries(Object.entries(received))).toEqual({ ":status": status, ...headers });
        }),
        { numRuns: 100 },
      );
    },
  );
});

interface Peer {
  readonly client: ClientHttp2Session;
  /** The next header block that arrives, and on which stream. */
  nextBlock(): Promise<RequestBlock>;
}

interface RequestBlock {
  readonly streamId: number;
  readonly block: Buffer;
}

/** A client of node's that has seen our settings, and what it sends. Requests are answered by the block of `answerOf`. */
async function createPeer(
  tableBytes: number,
  answerOf: () => Buffer | undefined,
  clientTableBytes = 4_096,
): Promise<Peer> {
  let deliver = (_block: RequestBlock) => {};
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write(frame(SETTINGS_FRAME, 0, 0, Buffer.of(0, 1, 0, 0, tableBytes >> 8, tableBytes & 0xff)));
    readBlocks(socket, (request) => {
      const answer = answerOf();
      if (answer !== undefined) socket.write(frame(HEADERS_FRAME, END_HEADERS | END_STREAM, request.streamId, answer));
      deliver(request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect(`http://127.0.0.1:${port}`, {
    settings: { headerTableSize: clientTableBytes },
    maxDeflateDynamicTableSize: 4_096,
  });
  closers.push(async () => {
    client.destroy();
    server.close();
    await once(server, "close");
  });
  await once(client, "remoteSettings");
  return {
    client,
    nextBlock: () =>
      new Promise((resolve) => {
        deliver = resolve;
      }),
  };
}

function readBlocks(socket: Socket, onBlock: (request: RequestBlock) => void): void {
  let block: Buffer = Buffer.alloc(0);
  readFrames(socket, (type, flags, streamId, payload) => {
    if (type === SETTINGS_FRAME && (flags & ACK) === 0) socket.write(frame(SETTINGS_FRAME, ACK, 0, Buffer.alloc(0)));
    if (type === HEADERS_FRAME) block = payload.subarray((flags & PRIORITY) === 0 ? 0 : PRIORITY_OCTETS);
    else if (type === CONTINUATION_FRAME) block = Buffer.concat([block, payload]);
    else return;
    if ((flags & END_HEADERS) !== 0) onBlock({ streamId, block });
  });
}

type OnFrame = (type: number, flags: number, streamId: number, payload: Buffer) => void;

function readFrames(socket: Socket, onFrame: OnFrame): void {
  let pending: Buffer = Buffer.alloc(0);
  let start = PREFACE_OCTETS;
  socket.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= start + FRAME_HEADER_OCTETS) {
      const header = pending.subarray(start, start + FRAME_HEADER_OCTETS);
      const end = start + FRAME_HEADER_OCTETS + header.readUIntBE(0, 3);
      if (pending.length < end) return;
      const payload = pending.subarray(start + FRAME_HEADER_OCTETS, end);
      pending = pending.subarray(end);
      start = 0;
      onFrame(header.readUInt8(3), header.readUInt8(4), header.readUInt32BE(5), payload);
    }
  });
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_OCTETS);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

function fieldsOf(decoder: HpackDecoder, block: Buffer): Map<string, string> {
  const fields: HeaderField[] = [];
  expect(decoder.decode(block, 0, block.length, fields, 1_000_000)).toBe(true);
  return new Map(fields.map(({ name, value }) => [name, value]));
}

/** A character that a field's value may have, at its ends as well. */
function latin1Of(octet: number): string {
  return octet > 0x20 && octet !== 0x7f ? String.fromCharCode(octet) : "-";
}
