import { create, toBinary } from "@bufbuild/protobuf";
import { TokenService, VerifyTokenResponseSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { LaneReply, UnaryLane } from "../http2/unary-lane.ts";
import { type Cursor, formatCursor } from "../token/cursor.ts";
import type { Verification } from "../token/verifier.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { readPlainRequest } from "./verify-request-bytes.ts";
import { wireDecision } from "./verify-token.ts";

export interface VerifyLaneOptions
  extends Pick<RpcDependencies, "verifier" | "revocations" | "isDegraded" | "maxMessageBytes"> {
  /** Told how many calls were answered at once and how long that took. Every one ended well. */
  readonly onAnswered: (count: number, durationMs: number) => void;
}

/** The head of a gRPC message: a flag and four bytes of length. */
const ENVELOPE_HEAD_BYTES = 5;

/** Larger answers, of tokens with claims of many KiB, are not what a lane is for. */
const MAX_ANSWER_BYTES = 16 * 1024;

const PROTO_TYPES: ReadonlySet<string> = new Set(["application/grpc", "application/grpc+proto"]);

/** Well-formed and longer than nothing. */
const TIMEOUT = /^(?=\d*[1-9])\d{1,8}[HMSmun]$/;

/**
 * VerifyToken over gRPC, for calls that demand nothing beyond a verdict and whose verdict memory holds. Answers what the
 * handler in verify-token.ts would, and leaves to it whatever is refused, malformed, undecided or out of the ordinary.
 */
export function createVerifyLane(options: VerifyLaneOptions): UnaryLane {
  return new VerifyLane(options);
}

class VerifyLane implements UnaryLane {
  readonly path = `/${TokenService.typeName}/${TokenService.method.verifyToken.name}`;
  readonly maxAnswerBytes: number;
  readonly #options: VerifyLaneOptions;
  readonly #plainReply = replyOf([]);
  readonly #gzipReply = replyOf([["grpc-encoding", "gzip"]]);
  #applied: Cursor | undefined;
  #degraded = false;
  /** `cursor` and `degraded`, as they stand at the end of every answer. */
  #state = new Uint8Array();

  constructor(options: VerifyLaneOptions) {
    this.#options = options;
    this.maxAnswerBytes = Math.min(MAX_ANSWER_BYTES, ENVELOPE_HEAD_BYTES + options.maxMessageBytes);
  }

  admit(head: RequestHead): LaneReply | undefined {
    if (head.method !== "POST" || !PROTO_TYPES.has(fieldOf(head, "content-type") ?? "")) return undefined;
    if ((fieldOf(head, "grpc-encoding") ?? "identity") !== "identity") return undefined;
    if (fieldOf(head, "expect") !== undefined) return undefined;
    const timeout = fieldOf(head, "grpc-timeout");
    if (timeout !== undefined && !TIMEOUT.test(timeout)) return undefined;
    // What the framework says to callers who take gzip, although it leaves every answer as it is.
    const takes = fieldOf(head, "grpc-accept-encoding")?.split(",") ?? [];
    return takes.some((name) => name.trim() === "gzip") ? this.#gzipReply : this.#plainReply;
  }

  answer(body: Uint8Array, start: number, end: number, target: Buffer, offset: number): number {
    if (end - start > this.#options.maxMessageBytes) return 0;
    const presented = readPlainRequest(body, start, end);
    if (presented === undefined) return 0;
    const verification = this.#options.verifier.recall(presented);
    if (verification === undefined) return 0;
    const decision = verification.encoded ?? encode(verification);
    const state = this.#encodedState();
    const length = decision.length + state.length;
    if (decision === "" || ENVELOPE_HEAD_BYTES + length > this.maxAnswerBytes) return 0;

    target[offset] = 0;
    target.writeUInt32BE(length, offset + 1);
    target.write(decision, offset + ENVELOPE_HEAD_BYTES, "latin1");
    target.set(state, offset + ENVELOPE_HEAD_BYTES + decision.length);
    this.#options.verifier.count(verification);
    return ENVELOPE_HEAD_BYTES + length;
  }

  answered(count: number, durationMs: number): void {
    this.#options.onAnswered(count, durationMs);
  }

  #encodedState(): Uint8Array {
    const { applied } = this.#options.revocations;
    const degraded = this.#options.isDegraded();
    if (applied !== this.#applied || degraded !== this.#degraded) {
      const message = create(VerifyTokenResponseSchema, { cursor: formatCursor(applied), degraded });
      this.#state = toBinary(VerifyTokenResponseSchema, message);
      this.#applied = applied;
      this.#degraded = degraded;
    }
    return this.#state;
  }
}

/**
 * What does not change of an answer. Its fields come before those that do, by number, so that an answer is the one after
 * the other. Kept as a string of Latin-1: half the memory of a typed array and as fast to copy. Empty when the token
 * cannot be encoded, which is for the handler to report.
 */
function encode(verification: Verification): string {
  try {
    const bytes = toBinary(VerifyTokenResponseSchema, wireDecision(verification));
    verification.encoded =
      bytes.length > MAX_ANSWER_BYTES
        ? ""
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  } catch {
    verification.encoded = "";
  }
  return verification.encoded;
}

function replyOf(more: readonly (readonly [string, string])[]): LaneReply {
  return {
    headers: encodeFields([[":status", "200"], ["content-type", "application/grpc+proto"], ...more]),
    trailers: encodeFields([["grpc-status", "0"]]),
  };
}
