import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService, Verdict, VerifyTokenResponseSchema } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { encodeFields } from "../../src/http2/hpack-encoder.ts";
import { fieldOf } from "../../src/http2/request-head.ts";
import type { UnaryLane } from "../../src/http2/unary-lane.ts";
import { type RpcServer, startRpcServer, type TransportName } from "../../src/rpc/rpc-server.ts";
import { tokenInRequest } from "../../src/rpc/verify-request-bytes.ts";
import { visibleText } from "../../src/token/visible-text.ts";
import { envelope, VERIFY } from "../rpc/fake-gateway.ts";
import { admissionWith } from "../support/admission.ts";

const LARGEST_LANE_ANSWER = 12_000;

/** The same handlers over the engine and over node:http2. */
export interface FuzzServers extends AsyncDisposable {
  readonly engine: RpcServer;
  readonly node: RpcServer;
  /** Calls that a handler has not finished with, over the engine. */
  openCalls(): number;
  /** @throws what went wrong in the engine, if anything did */
  check(): void;
}

export async function startFuzzServers(): Promise<FuzzServers> {
  const errors: unknown[] = [];
  let open = 0;
  const enter = (by: number) => {
    open += by;
  };
  const start = (transport: TransportName) =>
    startRpcServer({
      admission: admissionWith(),
      ...optionsOf(transport, errors),
      routes: routesOf(transport === "engine" ? enter : () => undefined),
    });
  const engine = await start("engine");
  const node = await start("node");
  return {
    engine,
    node,
    openCalls: () => open,
    check() {
      if (errors.length > 0) throw new Error("an error in the engine", { cause: errors.splice(0)[0] });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([engine.drain(0), node.drain(0)]);
    },
  };
}

function optionsOf(transport: TransportName, errors: unknown[]) {
  return {
    listen: { host: "127.0.0.1", port: 0 },
    transport,
    lanes: { unary: [LANE], streams: [] },
    interceptors: [],
    maxMessageBytes: 64 * 1024,
    onEngineError: (error: unknown) => errors.push(error),
  };
}

/**
 * What a token asks for: `lane-N` and `calm-N` are answered with N bytes, `late-N` later, `fail` with an error, and `hang`
 * not at all.
 */
async function answerTo(token: string, signal: AbortSignal) {
  const [kind = "", size] = token.split("-");
  if (kind === "late") await new Promise((resolve) => setImmediate(resolve));
  if (kind === "fail") throw new ConnectError("refused", Code.NotFound, { "x-why": "asked to" });
  if (kind === "hang") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  return messageOf(kind, size);
}

function messageOf(kind: string, size = "0") {
  const length = /^\d{1,5}$/.test(size) ? Math.min(Number(size), 40_000) : 0;
  return { verdict: kind === "" ? Verdict.INVALID : Verdict.VALID, cursor: "c".repeat(length) };
}

function routesOf(enter: (by: number) => void): Parameters<typeof startRpcServer>[0]["routes"] {
  return (router) => {
    router.service(TokenService, {
      async verifyToken({ token }, { signal }) {
        enter(1);
        try {
          return await answerTo(token, signal);
        } finally {
          enter(-1);
        }
      },
      async *verifyTokenStream(requests, { signal }) {
        enter(1);
        try {
          for await (const { id, request } of requests) {
            yield { id, result: { case: "response", value: await answerTo(request?.token ?? "", signal) } };
          }
        } finally {
          enter(-1);
        }
      },
    });
    router.service(RevocationService, {
      /** As many heartbeats as the cursor says. */
      async *watchRevocations({ cursor }, { signal }) {
        enter(1);
        try {
          const count = /^\d{1,3}$/.test(cursor) ? Number(cursor) : 0;
          for (let sent = 0; sent < count && !signal.aborted; sent += 1) {
            yield { cursor: `${sent}.${"h".repeat(100)}`, event: { case: "heartbeat", value: {} } };
          }
        } finally {
          enter(-1);
        }
      },
    });
  };
}

/** Answers `lane-N` as the handler does. */
const LANE: UnaryLane = {
  path: VERIFY,
  maxAnswerBytes: LARGEST_LANE_ANSWER + 32,
  admit(head) {
    const isPlain = head.method === "POST" && fieldOf(head, "content-type") === "application/grpc";
    const wantsMore = ["grpc-encoding", "grpc-accept-encoding", "grpc-timeout"].some(
      (name) => fieldOf(head, name) !== undefined,
    );
    if (!isPlain || wantsMore) return undefined;
    return {
      headers: encodeFields([
        [":status", "200"],
        ["content-type", "application/grpc+proto"],
      ]),
      trailers: encodeFields([["grpc-status", "0"]]),
    };
  },
  answer(body, start, end, target, offset) {
    const tokenAt = tokenInRequest(body, start, end);
    const token = tokenAt === 0 ? undefined : visibleText(body, tokenAt, end);
    const size = /^lane-(\d{1,5})$/.exec(token ?? "")?.[1];
    if (size === undefined || Number(size) > LARGEST_LANE_ANSWER) return 0;
    const message = toBinary(VerifyTokenResponseSchema, create(VerifyTokenResponseSchema, messageOf("lane", size)));
    return envelope(message).copy(target, offset);
  },
  answered: () => undefined,
};
