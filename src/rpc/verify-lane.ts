import type { Socket } from "node:net";
import type { Badge } from "../callers/peer.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { LaneReply, UnaryLane } from "../http2/unary-lane.ts";
import type { Verifier } from "../token/verifier.ts";
import type { AccessControl } from "./access-control.ts";
import { ENVELOPE_HEAD_BYTES, OK_TRAILERS, plainGrpcHeaders } from "./plain-grpc.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { AnswerState, decisionBytes, MAX_ANSWER_BYTES, writeDecision } from "./verify-answer-bytes.ts";
import { tokenInRequest } from "./verify-request-bytes.ts";

export interface VerifyLaneOptions extends Pick<RpcDependencies, "revocations" | "isDegraded" | "maxMessageBytes"> {
  readonly verifier: Pick<Verifier, "recallBytes" | "count">;
  readonly access: AccessControl;
  /** Told how many calls were answered at once and how long that took. Every one ended well. */
  readonly onAnswered: (count: number, durationMs: number) => void;
}

/** Well-formed and longer than nothing. */
const TIMEOUT = /^(?=\d*[1-9])\d{1,8}[HMSmun]$/;

/**
 * VerifyToken over gRPC, for calls that demand nothing beyond a verdict and whose verdict memory holds. Answers what the
 * handler in verify-token.ts would, and leaves to it whatever is refused, malformed, undecided or out of the ordinary.
 */
export function createVerifyLane(options: VerifyLaneOptions): UnaryLane {
  return new VerifyLane(options);
}

/** How calls with one head are answered, and what they show of their caller. */
interface VerifyReply extends LaneReply {
  readonly badge: Badge;
}

class VerifyLane implements UnaryLane {
  readonly path = `/${TokenService.typeName}/${TokenService.method.verifyToken.name}`;
  readonly maxAnswerBytes: number;
  readonly #options: VerifyLaneOptions;
  readonly #state: AnswerState;

  constructor(options: VerifyLaneOptions) {
    this.#options = options;
    this.#state = new AnswerState(options);
    this.maxAnswerBytes = Math.min(MAX_ANSWER_BYTES, ENVELOPE_HEAD_BYTES + options.maxMessageBytes);
  }

  admit(head: RequestHead, socket: Socket): VerifyReply | undefined {
    const headers = plainGrpcHeaders(head);
    const timeout = fieldOf(head, "grpc-timeout");
    if (headers === undefined || (timeout !== undefined && !TIMEOUT.test(timeout))) return undefined;
    const badge = this.#options.access.peerOf(socket).badge(fieldOf(head, "authorization"));
    return { headers, trailers: OK_TRAILERS, badge };
  }

  answer(body: Buffer, start: number, end: number, target: Buffer, offset: number, { badge }: VerifyReply): number {
    if (end - start > this.#options.maxMessageBytes) return 0;
    const caller = this.#options.access.guard.callers.identify(badge);
    if (caller === undefined || !caller.roles.has("verify") || caller.allowance.isBusy) return 0;
    const tokenAt = tokenInRequest(body, start, end);
    if (tokenAt === 0) return 0;
    const verification = this.#options.verifier.recallBytes(body, tokenAt, end, caller.subjects);
    if (verification === undefined) return 0;
    const decidedBytes = decisionBytes(verification);
    const state = this.#state.encoded();
    const length = decidedBytes + state.length;
    if (decidedBytes === 0 || ENVELOPE_HEAD_BYTES + length > this.maxAnswerBytes) return 0;
    if (!caller.allowance.take(1)) return 0;

    caller.allowance.admitted += 1;
    target[offset] = 0;
    target.writeUInt32BE(length, offset + 1);
    writeDecision(verification, target, offset + ENVELOPE_HEAD_BYTES);
    target.set(state, offset + ENVELOPE_HEAD_BYTES + decidedBytes);
    this.#options.verifier.count(verification);
    return ENVELOPE_HEAD_BYTES + length;
  }

  answered(count: number, durationMs: number): void {
    this.#options.onAnswered(count, durationMs);
  }
}
