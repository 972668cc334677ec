import http2 from "node:http2";
import net from "node:net";
import { inspect } from "node:util";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { loadConfig } from "../../src/config.ts";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { type Gateway, startGateway } from "../../src/gateway.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { Source, TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { TRANSPORT_ENV } from "./test-transport.ts";

export interface HostileOptions {
  /** Settings by their variables, on top of the fixture's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where the gateway finds its upstream, instead of at the emulator. */
  readonly upstreamUrl?: string;
  /** Told every line of the log as it leaves. */
  readonly onLine?: (line: string) => void;
}

/** A real gateway on a real emulator, all in this process. */
export interface Hostile extends AsyncDisposable {
  readonly emulator: Emulator;
  readonly gateway: Gateway;
  readonly port: number;
  /** The log; at level trace unless `env` says otherwise. */
  readonly lines: readonly string[];
  /** Over gRPC. */
  readonly clients: Clients;
  on(protocol: Protocol): Clients;
  /** A new good token, minted at the upstream by the gateway's machine. */
  mint(body?: Readonly<Record<string, unknown>>): Promise<Minted>;
  /** Fails unless a good token, never seen before, verifies from the upstream and then from memory. */
  assertAlive(): Promise<void>;
}

/** `connectH1` speaks JSON over HTTP/1.1; the others binary over HTTP/2. */
export type Protocol = "grpc" | "grpcWeb" | "connect" | "connectH1";

type Clients = ReturnType<typeof clientsOn>;

export interface Minted {
  readonly id: string;
  readonly secret: string;
}

export async function startHostile(options: HostileOptions = {}): Promise<Hostile> {
  const emulator = await startEmulator();
  const { config } = loadConfig({
    env: {
      ...TRANSPORT_ENV,
      GATEWAY_LISTEN: "127.0.0.1:0",
      GATEWAY_ADMIN_LISTEN: "127.0.0.1:0",
      GATEWAY_DRAIN_GRACE_MS: "0",
      GATEWAY_SHED_DELAY_MS: "0",
      GATEWAY_LOG_LEVEL: "trace",
      CLERK_API_URL: options.upstreamUrl ?? emulator.url,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_SECRET_KEY: emulator.instanceKey,
      ...options.env,
    },
    needsKey: true,
  });
  const lines: string[] = [];
  const onLine = options.onLine ?? (() => undefined);
  const write = (line: string) => {
    lines.push(line);
    onLine(line);
  };
  const log = createLogger({ ...config.log, stream: { write } });
  const gateway = await startGateway({ config, log, version: "0.0.0-hostile" });
  const transports = transportsTo(gateway.url);
  const clients = clientsOn(transports.grpc);
  const mint = (body = {}) => mintAt(emulator, body);
  return {
    emulator,
    gateway,
    port: Number(new URL(gateway.url).port),
    lines,
    clients,
    on: (protocol) => clientsOn(transports[protocol]),
    mint,
    async assertAlive() {
      const token = (await mint()).secret;
      for (const source of [Source.UPSTREAM, Source.MEMORY]) {
        const answer = await clients.tokens.verifyToken({ token });
        if (answer.verdict !== Verdict.VALID || answer.source !== source) {
          throw new Error(`the gateway does not work any more: ${Verdict[answer.verdict]} ${Source[answer.source]}`);
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await emulator.close();
    },
  };
}

function transportsTo(baseUrl: string): Readonly<Record<Protocol, Transport>> {
  return {
    grpc: createGrpcTransport({ baseUrl }),
    grpcWeb: createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
    connect: createConnectTransport({ baseUrl, httpVersion: "2" }),
    connectH1: createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  };
}

function clientsOn(transport: Transport) {
  return {
    tokens: createClient(TokenService, transport),
    revocations: createClient(RevocationService, transport),
    gateway: createClient(GatewayService, transport),
  };
}

/** Mints past the gateway. `json` is sent as it is, so that it may hold what JSON.stringify would not write. */
export async function mintAt(emulator: Emulator, body: Readonly<Record<string, unknown>> | string): Promise<Minted> {
  const answer = await fetch(`${emulator.url}/v1/m2m_tokens`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${emulator.machine("billing").secretKey}`,
      "content-type": "application/json",
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const minted: unknown = await answer.json();
  if (answer.status !== 201 || typeof minted !== "object" || minted === null) {
    throw new Error(`the emulator did not mint: ${answer.status} ${inspect(minted)}`);
  }
  if (!("id" in minted) || !("token" in minted)) throw new Error("the emulator minted nothing");
  return { id: String(minted.id), secret: String(minted.token) };
}

/** One HTTP POST as curl would send it. */
export function post(
  gateway: Gateway,
  path: string,
  contentType: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { "content-type": contentType, ...headers },
    body: typeof body === "string" ? body : Buffer.from(body),
  });
}

export interface RawAnswer {
  readonly status: number;
  /** Headers and trailers together. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** One HTTP/2 request byte for byte, on a connection of its own. */
export async function rawHttp2(
  gateway: Gateway,
  path: string,
  headers: http2.OutgoingHttpHeaders,
  body: Uint8Array,
): Promise<RawAnswer> {
  const session = http2.connect(gateway.url);
  try {
    return await new Promise<RawAnswer>((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
      const received: Record<string, unknown> = {};
      const chunks: Buffer[] = [];
      stream.on("response", (head) => Object.assign(received, head));
      stream.on("trailers", (trailers) => Object.assign(received, trailers));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () =>
        resolve({ status: Number(received[":status"]), headers: received, body: Buffer.concat(chunks) }),
      );
      stream.end(body);
    });
  } finally {
    session.destroy();
  }
}

/** Sends bytes as they are, then ends its half if asked to, and resolves with all that came until the connection closed. */
export function rawExchange(port: number, bytes: string | Buffer, end = false): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    let received = "";
    socket.setEncoding("latin1");
    socket.on("data", (data) => {
      received += data;
    });
    // A reset is one of the ways to be closed.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
    if (end) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** A gRPC message with its five bytes of head. */
export function envelope(payload: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(payload.byteLength, 1);
  return Buffer.concat([head, payload]);
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Those that violations name. */
  readonly fields: readonly string[];
}

/** How a call failed, as its caller sees it. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const thrown: unknown = await call.then(
    () => new Error("the call succeeded"),
    (error: unknown) => error,
  );
  if (!(thrown instanceof ConnectError)) throw thrown;
  const [info] = thrown.findDetails(ErrorInfoSchema);
  const violations = thrown.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  return {
    code: Code[thrown.code] ?? "",
    message: thrown.rawMessage,
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    fields: violations.map(({ field }) => field),
  };
}

/** As `failureOf`, for calls that are under way together: each is listened to from the start. */
export function failuresOf(...calls: readonly Promise<unknown>[]): Promise<readonly Failure[]> {
  return Promise.all(calls.map(failureOf));
}

/** ErrorInfo.reason in the JSON of a Connect error. */
export function reasonIn(json: string): string | undefined {
  return /"reason":"([A-Z_]+)"/.exec(json)?.[1];
}

/** Resolves once `condition` holds; the test's own timeout is the bound. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
