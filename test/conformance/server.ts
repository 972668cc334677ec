/**
 * The program that the Connect conformance suite tests: reads what server it is to be from its standard input, writes
 * where it listens to its standard output, and serves until it is told to end.
 *
 *     tsx server.ts --descriptors FILE --transport NAME
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { create, createFileRegistry, type FileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { connectErrorFrom } from "../../src/rpc/connect-error.ts";
import { startRpcServer, type TransportName } from "../../src/rpc/rpc-server.ts";
import { admissionWith } from "../support/admission.ts";
import { type ConformanceService, createConformanceService } from "./conformance-service.ts";
import type { ServerCompatRequest } from "./messages.ts";

/** Where the suite sets no limit: more than it sends. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const LENGTH_BYTES = 4;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { descriptors: { type: "string" }, transport: { type: "string" } } });
  const { descriptors = "", transport = "" } = values;
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
  const request = await readRequest(registry);
  const service = createConformanceService(registry);
  const server = await startRpcServer({
    admission: admissionWith(),
    listen: { host: "127.0.0.1", port: 0 },
    tls: request.useTls ? identityOf(request) : undefined,
    transport: transport as TransportName,
    routes: service.routes,
    interceptors: [],
    maxMessageBytes: request.messageReceiveLimit === 0 ? MAX_MESSAGE_BYTES : request.messageReceiveLimit,
    onEngineError: (error) => {
      throw error;
    },
    presentError: (thrown, signal) => presentError(service, thrown, signal),
  });
  writeResponse(registry, { host: "127.0.0.1", port: server.port, pemCert: request.serverCreds?.cert });
  await once(process, "SIGTERM");
  await server.drain(0);
}

/**
 * The errors that the suite asks for reach it word for word. Those that come of the transport are the gateway's own, but
 * without the details that the gateway adds to every error: the suite takes errors of the transport to have none.
 */
function presentError(service: ConformanceService, thrown: unknown, signal?: AbortSignal): ConnectError {
  if (thrown instanceof ConnectError && service.raised(thrown)) return thrown;
  const { rawMessage, code, metadata, cause } = connectErrorFrom(thrown, signal);
  return new ConnectError(rawMessage, code, metadata, [], cause);
}

function identityOf({ serverCreds }: ServerCompatRequest): { cert: Buffer; key: Buffer } {
  if (serverCreds === undefined) throw new Error("the suite gave no certificate");
  return { cert: Buffer.from(serverCreds.cert), key: Buffer.from(serverCreds.key) };
}

async function readRequest(registry: FileRegistry): Promise<ServerCompatRequest> {
  let received = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    received = Buffer.concat([received, chunk]);
    if (received.length < LENGTH_BYTES) continue;
    const end = LENGTH_BYTES + received.readUInt32BE(0);
    if (received.length < end) continue;
    return fromBinary(
      messageOf(registry, "ServerCompatRequest"),
      received.subarray(LENGTH_BYTES, end),
    ) as ServerCompatRequest;
  }
  throw new Error("standard input ended before it said what server to be");
}

function writeResponse(registry: FileRegistry, response: Record<string, unknown>): void {
  const desc = messageOf(registry, "ServerCompatResponse");
  const message = toBinary(desc, create(desc, response));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(message.byteLength, 0);
  process.stdout.write(Buffer.concat([length, message]));
}

function messageOf(registry: FileRegistry, name: string) {
  const desc = registry.getMessage(`connectrpc.conformance.v1.${name}`);
  if (desc === undefined) throw new Error(`the suite's descriptors have no ${name}`);
  return desc;
}

await main();
