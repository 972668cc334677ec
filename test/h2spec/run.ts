/**
 * Runs h2spec's cases, the strict ones too, against the gateway's RPC server in clear text and over TLS, and against the
 * same server over node:http2 for comparison.
 *
 *     npm run h2spec
 *
 * Exit code 0: the engine fails no case but those explained below. 1: it does. 2: h2spec could not run.
 */
import {
  contentTypeMatcher,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { startRpcServer, type TransportName } from "../../src/rpc/rpc-server.ts";
import { admissionWith } from "../support/admission.ts";
import { makeCertificate } from "../support/certificates.ts";
import { type CaseResult, findH2spec, runH2spec } from "./h2spec.ts";

/** Cases that the engine fails and is right to, by their title, each with the section of the RFC that says so. */
const EXPLAINED: Readonly<Record<string, string>> = {
  "http2/3.5: Sends invalid connection preface":
    "in clear text the port speaks HTTP/1.1 too, and what opens otherwise than with HTTP/2's preface is answered as HTTP/1.1, " +
    "400, and closed. RFC 9113, 3.4: a GOAWAY frame MAY be omitted, since an invalid preface indicates that the peer is not " +
    "using HTTP/2. h2spec takes the answer for a frame that was cut off",
};

/**
 * Answers with some bytes, after the whole request as RPCs do: most cases go on with a request and look at what becomes of
 * it, which nobody can tell of one that has been answered before.
 */
const PATH = "/h2spec";
const ANSWER: UniversalHandler = Object.assign(
  async ({ body }: UniversalServerRequest): Promise<UniversalServerResponse> => {
    if (isAsyncIterable(body)) await drained(body);
    return { status: 200, header: new Headers({ "content-type": "text/plain" }), body: textOf("some bytes") };
  },
  {
    service: TokenService,
    method: TokenService.method.verifyToken,
    requestPath: PATH,
    supportedContentType: contentTypeMatcher(/.*/),
    protocolNames: [],
    allowedMethods: [],
  },
);

function isAsyncIterable(body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function drained(body: AsyncIterable<Uint8Array>): Promise<void> {
  const pieces = body[Symbol.asyncIterator]();
  while ((await pieces.next()).done !== true);
}

async function* textOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const TRANSPORTS: readonly TransportName[] = ["engine", "node"];

interface Run {
  readonly name: string;
  readonly results: readonly CaseResult[];
  readonly engineErrors: readonly unknown[];
}

async function main(): Promise<number> {
  const program = await findH2spec();
  // Beside each other: many a case waits for two seconds for what must not come.
  const runs = await Promise.all(
    TRANSPORTS.flatMap((transport) => [false, true].map((isTls) => runOn(program, transport, isTls))),
  );
  process.stdout.write(tableOf(runs));
  for (const run of runs) process.stdout.write(failuresOf(run));
  const ours = runs.filter(({ name }) => name.startsWith("engine"));
  const unexplained = ours.flatMap(({ results }) => failed(results)).filter(({ title }) => !(title in EXPLAINED));
  return unexplained.length > 0 || ours.some(({ engineErrors }) => engineErrors.length > 0) ? 1 : 0;
}

async function runOn(program: string, transport: TransportName, isTls: boolean): Promise<Run> {
  const name = `${transport}, ${isTls ? "TLS" : "TCP"}`;
  process.stderr.write(`running on ${name}\n`);
  const engineErrors: unknown[] = [];
  const server = await startRpcServer({
    admission: admissionWith(),
    listen: { host: "127.0.0.1", port: 0 },
    tls: isTls ? makeCertificate() : undefined,
    transport,
    routes: (router) => router.handlers.push(ANSWER),
    interceptors: [],
    maxMessageBytes: 64 * 1024,
    onEngineError: (error) => engineErrors.push(error),
  });
  try {
    return { name, results: await runH2spec(program, { port: server.port, isTls, path: PATH }), engineErrors };
  } finally {
    await server.drain(0);
  }
}

function tableOf(runs: readonly Run[]): string {
  const rows = runs.map(({ name, results }) => {
    const count = (outcome: CaseResult["outcome"]) => results.filter((result) => result.outcome === outcome).length;
    return [name, results.length, count("passed"), count("skipped"), count("failed")];
  });
  const lines = [["", "cases", "passed", "skipped", "failed"], ...rows].map(([name, ...counts]) =>
    [String(name).padEnd(12), ...counts.map((each) => String(each).padStart(8))].join(""),
  );
  return `${lines.join("\n")}\n`;
}

function failuresOf({ name, results, engineErrors }: Run): string {
  const cases = failed(results).map(({ title, detail }) => {
    const reason = EXPLAINED[title];
    return `\n${name}: ${title}${reason === undefined ? "" : ` (explained: ${reason})`}\n${detail.replaceAll(/^/gm, "    ")}\n`;
  });
  const errors = engineErrors.map((error) => `\n${name}: an error in the engine: ${String(error)}\n`);
  return [...cases, ...errors].join("");
}

function failed(results: readonly CaseResult[]): CaseResult[] {
  return results.filter(({ outcome }) => outcome === "failed");
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
