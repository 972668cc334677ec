import fc from "fast-check";
import { envelope, VERIFY, verifyRequestBytes } from "../rpc/fake-gateway.ts";
import { BlockEncoder, type FieldSpec } from "./block-encoder.ts";
import { dressed, FLAG, frame, ping, SETTING, settings, TYPE, uint32, windowUpdate } from "./wire.ts";

/** What a client does with one stream. */
export interface CallSpec {
  readonly kind: keyof typeof KINDS;
  /** Bytes that are asked for. */
  readonly size: number;
  /** How each field is encoded, over and over. */
  readonly forms: readonly Pick<FieldSpec, "form" | "isHuffman">[];
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly statesLength: boolean;
  readonly tableBytes: number | undefined;
  /** Where the header block and the body are cut, in thousandths. */
  readonly blockCuts: readonly number[];
  readonly bodyCuts: readonly number[];
  readonly padding: number | undefined;
  readonly dependsOn: number | undefined;
  readonly hasTrailers: boolean;
  /** An empty DATA frame ends the request. */
  readonly endsEmpty: boolean;
  /** Reset by the client, after so many frames. */
  readonly resetAfter: number | undefined;
}

export type ControlSpec =
  | { readonly do: "ping" }
  | { readonly do: "settings"; readonly values: readonly (readonly [number, number])[] }
  | { readonly do: "credit"; readonly call: number; readonly bytes: number }
  | { readonly do: "creditAll"; readonly bytes: number }
  | { readonly do: "priority"; readonly stream: number }
  | { readonly do: "unknown"; readonly type: number; readonly stream: number; readonly bytes: number };

export interface ConversationSpec {
  readonly firstSettings: readonly (readonly [number, number])[];
  readonly calls: readonly CallSpec[];
  /** Which of the calls goes on, step by step. */
  readonly order: readonly number[];
  readonly controls: readonly { readonly after: number; readonly control: ControlSpec }[];
}

/** Some frames that belong together. */
export interface Unit {
  readonly bytes: Buffer;
  /** 0 when it is the connection's. */
  readonly stream: number;
}

interface Kind {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  body(size: number): Buffer;
}

const grpc = (token: (size: number) => string): Kind => ({
  method: "POST",
  path: VERIFY,
  contentType: "application/grpc",
  body: (size) => envelope(verifyRequestBytes(token(size))),
});

const NOTHING = Buffer.alloc(0);

const KINDS = {
  lane: grpc((size) => `lane-${size}`),
  calm: grpc((size) => `calm-${size}`),
  late: grpc((size) => `late-${size}`),
  fail: grpc(() => "fail"),
  hang: grpc(() => "hang"),
  long: grpc((size) => `calm-1-${"x".repeat(size % 8_000)}`),
  proto: { ...grpc((size) => `calm-${size}`), contentType: "application/grpc+proto" },
  web: { ...grpc((size) => `calm-${size}`), contentType: "application/grpc-web+proto" },
  json: { ...grpc(() => ""), contentType: "application/json", body: (size) => Buffer.from(`{"token":"calm-${size}"}`) },
  badJson: { ...grpc(() => ""), contentType: "application/json", body: (size) => Buffer.from("{".repeat(size % 10)) },
  badType: { ...grpc(() => ""), contentType: "text/plain" },
  badMessage: { ...grpc(() => ""), body: (size) => Buffer.alloc(size % 100, 0xfe) },
  stream: {
    ...grpc(() => ""),
    path: "/m2mgateway.v1.TokenService/VerifyTokenStream",
    // Field 2, the request, without an id.
    body: (size) => {
      const request = verifyRequestBytes(`calm-${size}`);
      const one = envelope(Buffer.concat([Buffer.from([0x12, request.length]), request]));
      return Buffer.concat(new Array<Buffer>(1 + (size % 4)).fill(one));
    },
  },
  watch: {
    ...grpc(() => ""),
    path: "/m2mgateway.v1.RevocationService/WatchRevocations",
    body: (size) => {
      const count = String(size % 400);
      return envelope(Buffer.concat([Buffer.from([0x0a, count.length]), Buffer.from(count)]));
    },
  },
  unknown: { ...grpc(() => "x"), path: "/nothing/here" },
  get: { method: "GET", path: "/", contentType: undefined, body: () => NOTHING },
  head: { method: "HEAD", path: "/", contentType: undefined, body: () => NOTHING },
} as const satisfies Record<string, Kind>;

const KIND_NAMES = Object.keys(KINDS) as CallSpec["kind"][];

/** The most that goes into one frame, and the bound of a connection's window that the server need not open. */
const LARGEST_ANSWER = 6_000;
const MAX_CALLS = 6;

const size = fc.oneof(
  fc.nat(60),
  fc.nat(LARGEST_ANSWER),
  fc.constantFrom(0, 11_990, 12_000, 12_001, 16_380, 20_000, 40_000),
);

const seldom = <T>(what: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: what });

const call: fc.Arbitrary<CallSpec> = fc.record({
  kind: fc.oneof(fc.constant<CallSpec["kind"]>("lane"), fc.constantFrom(...KIND_NAMES)),
  size,
  forms: fc.array(
    fc.record({ form: fc.constantFrom<FieldSpec["form"]>("index", "plain", "never"), isHuffman: fc.boolean() }),
    { minLength: 1, maxLength: 4 },
  ),
  metadata: fc.array(
    fc.tuple(
      fc.constantFrom("x-a", "x-trace-id", "authorization", "user-agent"),
      fc.stringMatching(/^[ -~]{0,40}$/).map((value) => value.trim()),
    ),
    { maxLength: 3 },
  ),
  statesLength: fc.boolean(),
  tableBytes: seldom(fc.constantFrom(0, 64, 200, 4_096)),
  blockCuts: fc.array(fc.nat(999), { maxLength: 3 }),
  bodyCuts: fc.array(fc.nat(999), { maxLength: 3 }),
  padding: seldom(fc.nat(255)),
  dependsOn: seldom(fc.nat(12).map((half) => 2 * half)),
  hasTrailers: seldom(fc.constant(true)).map((has) => has === true),
  endsEmpty: fc.boolean(),
  resetAfter: seldom(fc.nat(4)),
});

const windowBytes = fc.oneof(fc.nat(200), fc.nat(70_000));
const settingValues = fc.array(
  fc.oneof(
    fc.tuple(fc.constant<number>(SETTING.initialWindow), windowBytes),
    fc.tuple(fc.constant<number>(SETTING.tableSize), fc.constantFrom(0, 100, 4_096, 65_536)),
    fc.tuple(fc.constant<number>(SETTING.maxFrame), fc.constantFrom(16_384, 20_000, 0xff_ffff)),
    fc.tuple(fc.constant<number>(SETTING.maxStreams), fc.nat(10)),
    fc.tuple(fc.constant(0x4242), fc.nat(1000)),
  ),
  { maxLength: 3 },
);

const control: fc.Arbitrary<ControlSpec> = fc.oneof(
  fc.constant({ do: "ping" as const }),
  fc.record({ do: fc.constant("settings" as const), values: settingValues }),
  fc.record({ do: fc.constant("credit" as const), call: fc.nat(MAX_CALLS - 1), bytes: windowBytes.map((n) => n + 1) }),
  fc.record({ do: fc.constant("creditAll" as const), bytes: windowBytes.map((n) => n + 1) }),
  fc.record({ do: fc.constant("priority" as const), stream: fc.integer({ min: 1, max: 20 }) }),
  fc.record({
    do: fc.constant("unknown" as const),
    type: fc.integer({ min: 0x42, max: 0xff }),
    stream: fc.nat(20),
    bytes: fc.nat(100),
  }),
);

/** What a client does that keeps to the rules. */
export const conversation: fc.Arbitrary<ConversationSpec> = fc.record({
  firstSettings: settingValues,
  calls: fc.array(call, { minLength: 1, maxLength: MAX_CALLS }),
  order: fc.array(fc.nat(MAX_CALLS - 1), { maxLength: 24 }),
  controls: fc.array(fc.record({ after: fc.nat(20), control }), { maxLength: 8 }),
});

/** The streams of a conversation, by the order of their calls, and what their calls were. */
export interface Written {
  readonly units: readonly Unit[];
  readonly calls: ReadonlyMap<number, CallSpec>;
}

/** At its end every window is open, so that what there is to say can be said. */
export function write(spec: ConversationSpec): Written {
  const encoder = new BlockEncoder();
  const units: Unit[] = [
    { stream: 0, bytes: settings(...spec.firstSettings) },
    { stream: 0, bytes: frame(TYPE.settings, FLAG.ack, 0) },
  ];
  const streams: { readonly id: number; readonly call: CallSpec; readonly rest: Buffer[] }[] = [];
  const opened = new Map<number, CallSpec>();
  const step = (index: number) => {
    const spec_ = spec.calls[index];
    if (spec_ === undefined) return;
    let stream = streams[index];
    if (stream === undefined) {
      const id = 2 * opened.size + 1;
      opened.set(id, spec_);
      stream = { id, call: spec_, rest: framesOf(spec_, id, encoder) };
      streams[index] = stream;
    }
    const bytes = stream.rest.shift();
    if (bytes !== undefined) units.push({ stream: stream.id, bytes });
  };
  spec.order.forEach((pick, at) => {
    step(pick % spec.calls.length);
    for (const { after, control } of spec.controls) {
      if (after === at) units.push(unitOf(control, streams[control.do === "credit" ? control.call : 0]?.id));
    }
  });
  spec.calls.forEach((_, index) => {
    do step(index);
    while ((streams[index]?.rest.length ?? 0) > 0);
  });
  units.push({
    stream: 0,
    bytes: Buffer.concat([settings([SETTING.initialWindow, 1 << 20]), windowUpdate(0, 1 << 24)]),
  });
  return { units, calls: opened };
}

/** The header block is encoded now: its frames must be the next that open a stream. */
function framesOf(spec: CallSpec, id: number, encoder: BlockEncoder): Buffer[] {
  const kind: Kind = KINDS[spec.kind];
  const body = kind.body(spec.size);
  const endsAtOnce = body.length === 0 && !spec.endsEmpty && !spec.hasTrailers;
  const frames = [headersOf(spec, kind, body.length, id, endsAtOnce, encoder)];
  if (!endsAtOnce) {
    const pieces = cut(body, spec.bodyCuts);
    pieces.forEach((piece, at) => {
      const isLast = at === pieces.length - 1 && !spec.endsEmpty && !spec.hasTrailers;
      frames.push(dressed(TYPE.data, isLast ? FLAG.endStream : 0, id, piece, { padding: spec.padding }));
    });
    if (spec.hasTrailers) {
      // Names and values that no table knows, so that they can come at any time.
      const block = new BlockEncoder().encode([{ name: "x-end", value: "1", form: "plain", isHuffman: false }]);
      frames.push(frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, id, block));
    } else if (spec.endsEmpty) frames.push(frame(TYPE.data, FLAG.endStream, id));
  }
  if (spec.resetAfter === undefined) return frames;
  return [...frames.slice(0, 1 + spec.resetAfter), frame(TYPE.reset, 0, id, uint32(8))];
}

function headersOf(
  spec: CallSpec,
  kind: Kind,
  length: number,
  id: number,
  endStream: boolean,
  encoder: BlockEncoder,
): Buffer {
  const fields: [string, string][] = [
    [":method", kind.method],
    [":scheme", "http"],
    [":path", kind.path],
    [":authority", "localhost"],
  ];
  if (kind.contentType !== undefined) fields.push(["content-type", kind.contentType], ["te", "trailers"]);
  if (spec.statesLength) fields.push(["content-length", String(length)]);
  fields.push(...spec.metadata.map(([name, value]): [string, string] => [name, value]));
  const block = encoder.encode(
    fields.map(([name, value], at) => ({ name, value, ...(spec.forms[at % spec.forms.length] ?? PLAIN) })),
    spec.tableBytes,
  );
  const pieces = cut(block, spec.blockCuts);
  const frames = pieces.map((piece, at) => {
    const flags = (at === pieces.length - 1 ? FLAG.endHeaders : 0) | (at === 0 && endStream ? FLAG.endStream : 0);
    return at === 0
      ? dressed(TYPE.headers, flags, id, piece, spec.dependsOn === id ? {} : spec)
      : frame(TYPE.continuation, flags, id, piece);
  });
  return Buffer.concat(frames);
}

const PLAIN = { form: "plain", isHuffman: false } as const;

function unitOf(spec: ControlSpec, stream: number | undefined): Unit {
  const connection = (bytes: Buffer) => ({ stream: 0, bytes });
  switch (spec.do) {
    case "ping":
      return connection(ping("fuzz"));
    case "settings":
      return connection(settings(...spec.values));
    case "creditAll":
      return connection(windowUpdate(0, spec.bytes));
    case "credit":
      return stream === undefined ? connection(ping("fuzz")) : { stream, bytes: windowUpdate(stream, spec.bytes) };
    case "priority":
      return connection(frame(TYPE.priority, 0, spec.stream, Buffer.concat([uint32(0), Buffer.from([1])])));
    case "unknown":
      return connection(frame(spec.type, 0xff, spec.stream, Buffer.alloc(spec.bytes, 7)));
  }
}

/** In pieces, some of which may be empty. */
function cut(bytes: Buffer, thousandths: readonly number[]): Buffer[] {
  const places = thousandths.map((each) => Math.floor((each * bytes.length) / 1000)).sort((a, b) => a - b);
  return [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length));
}
