import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { createCallerKey, fingerprintOf } from "../../src/callers/caller-key.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type GatewayFixture, startGatewayFixture } from "../support/gateway-fixture.ts";

/** A caller as the file has it; it is given a key where it says nothing to be known by. */
export type Entry = Readonly<Record<string, unknown>> & { readonly name: string };

export interface Clients extends Disposable {
  readonly tokens: Client<typeof TokenService>;
  readonly revocations: Client<typeof RevocationService>;
  readonly gateway: Client<typeof GatewayService>;
  readonly health: Client<typeof Health>;
}

export interface CallersFixture extends GatewayFixture {
  /** The bearer key of a caller of the file. */
  keyOf(name: string): string;
  /** Replaces the file by one that says this. */
  rewrite(entries: readonly Entry[]): void;
  /** Replaces the file by any text. */
  writeText(text: string): void;
  /** Calls as somebody, over gRPC unless something else is said. */
  as(name: string | undefined, headers?: Readonly<Record<string, string>>, protocol?: ProtocolName): Clients;
  /** The lines of the audit log, parsed. */
  audits(): readonly Record<string, unknown>[];
}

export const PROTOCOLS = {
  "gRPC over HTTP/2": (baseUrl: string, sessionManager: Http2SessionManager) =>
    createGrpcTransport({ baseUrl, sessionManager }),
  "gRPC-Web over HTTP/2": (baseUrl: string, sessionManager: Http2SessionManager) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "2", sessionManager }),
  "gRPC-Web over HTTP/1.1": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect over HTTP/2": (baseUrl: string, sessionManager: Http2SessionManager) =>
    createConnectTransport({ baseUrl, httpVersion: "2", sessionManager }),
  "Connect with JSON over HTTP/1.1": (baseUrl: string) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
} as const;

export type ProtocolName = keyof typeof PROTOCOLS;

/** A gateway that demands an identity of everybody, and the callers that it knows. */
export async function startCallersGateway(
  entries: readonly Entry[],
  env: Readonly<Record<string, string>> = {},
): Promise<CallersFixture> {
  const directory = mkdtempSync(join(tmpdir(), "m2mgw-callers-"));
  const file = join(directory, "callers.yaml");
  const keys = new Map<string, string>();
  const rewrite = (now: readonly Entry[]) => writeFileSync(file, fileText(now, keys));
  rewrite(entries);
  const fixture = await startGatewayFixture({
    env: {
      GATEWAY_CALLERS_FILE: file,
      GATEWAY_CALLERS_DEMAND_LOCAL: "true",
      GATEWAY_RELOAD_INTERVAL_MS: "100",
      ...env,
    },
  });
  const keyOf = (name: string) => keys.get(name) ?? createCallerKey();
  return {
    ...fixture,
    keyOf,
    rewrite,
    writeText: (text) => writeFileSync(file, text),
    as(name, headers = {}, protocol = "gRPC over HTTP/2") {
      const sessions = new Http2SessionManager(fixture.url);
      const all = name === undefined ? headers : { authorization: `Bearer ${keyOf(name)}`, ...headers };
      return clientsOn(withHeaders(PROTOCOLS[protocol](fixture.url, sessions), all), () => sessions.abort());
    },
    audits: () => parsed(fixture.logLines).filter(({ audit }) => audit === true),
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

/** How a call ended: `OK`, or the code and the stable reason. */
export async function endOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason}`;
  }
}

/** Reads a stream to its end, or to its first message where `first` says so. */
export async function drained(stream: AsyncIterable<unknown>, first = true): Promise<void> {
  for await (const _message of stream) if (first) return;
}

function clientsOn(transport: Transport, close: () => void): Clients {
  return {
    tokens: createClient(TokenService, transport),
    revocations: createClient(RevocationService, transport),
    gateway: createClient(GatewayService, transport),
    health: createClient(Health, transport),
    [Symbol.dispose]: close,
  };
}

function withHeaders(transport: Transport, headers: Readonly<Record<string, string>>): Transport {
  const merge = (given: ConstructorParameters<typeof Headers>[0]) => {
    const all = new Headers(given);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return all;
  };
  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      transport.unary(method, signal, timeoutMs, merge(header), input, values),
    stream: (method, signal, timeoutMs, header, input, values) =>
      transport.stream(method, signal, timeoutMs, merge(header), input, values),
  };
}

function fileText(entries: readonly Entry[], keys: Map<string, string>): string {
  const callers = entries.map((entry) => {
    if ("keys" in entry || "uris" in entry || "dnsNames" in entry) return entry;
    const key = keys.get(entry.name) ?? createCallerKey();
    keys.set(entry.name, key);
    return { ...entry, keys: [fingerprintOf(key)] };
  });
  return JSON.stringify({ callers });
}

function parsed(lines: readonly string[]): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
