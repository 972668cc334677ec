import { create, toBinary } from "@bufbuild/protobuf";
import { VerifyTokenResponseSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { type Cursor, formatCursor } from "../token/cursor.ts";
import type { KeptAnswer, Verification } from "../token/verification.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { wireDecision } from "./verify-token.ts";

/** Larger answers, of tokens with claims of many KiB, are not what a lane is for. */
export const MAX_ANSWER_BYTES: number = 16 * 1024;

/**
 * How long that is which does not change of an answer. Fields may come in any order, so that an answer is this and then what
 * does change. 0 when the token cannot be encoded, which is for the handler to report, or is too large.
 */
export function decisionBytes(decided: Verification | KeptAnswer): number {
  if ("bytes" in decided) return decided.to - decided.from;
  // A string of Latin-1 takes half the memory of a typed array and is as fast to copy.
  decided.encoded ??= encode(decided);
  return decided.encoded.length;
}

/** Writes it, once `decisionBytes` has been asked for it. */
export function writeDecision(decided: Verification | KeptAnswer, target: Buffer, at: number): void {
  if ("bytes" in decided) target.set(decided.bytes.subarray(decided.from, decided.to), at);
  else target.write(decided.encoded ?? "", at, "latin1");
}

function encode(verification: Verification): string {
  try {
    const bytes = toBinary(VerifyTokenResponseSchema, wireDecision(verification));
    if (bytes.length > MAX_ANSWER_BYTES) return "";
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  } catch {
    return "";
  }
}

/** `cursor` and `degraded`, as they stand at the end of every answer. Encoded once for each change. */
export class AnswerState {
  readonly #dependencies: Pick<RpcDependencies, "revocations" | "isDegraded">;
  #applied: Cursor | undefined;
  #degraded = false;
  #bytes = new Uint8Array();

  constructor(dependencies: Pick<RpcDependencies, "revocations" | "isDegraded">) {
    this.#dependencies = dependencies;
  }

  encoded(): Uint8Array {
    const { applied } = this.#dependencies.revocations;
    const degraded = this.#dependencies.isDegraded();
    if (applied !== this.#applied || degraded !== this.#degraded) {
      const message = create(VerifyTokenResponseSchema, { cursor: formatCursor(applied), degraded });
      this.#bytes = toBinary(VerifyTokenResponseSchema, message);
      this.#applied = applied;
      this.#degraded = degraded;
    }
    return this.#bytes;
  }
}
