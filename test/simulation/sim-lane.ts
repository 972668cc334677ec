import type { KeptAnswer, Verification, VerifyRequest } from "../../src/token/verification.ts";
import type { Verifier } from "../../src/token/verifier.ts";

/**
 * Asks as the lane of VerifyToken does: memory first, by the bytes of the token, where nothing is demanded beyond a verdict.
 * What is answered is encoded, so that it comes to stand.
 */
export class SimLane {
  readonly #verifier: Verifier;
  /** Each is encoded as its place here: an answer that is not its token's does not go unnoticed. */
  readonly #answers: Verification[] = [];

  constructor(verifier: Verifier) {
    this.#verifier = verifier;
  }

  verify(request: VerifyRequest): Verification | Promise<Verification> {
    const { presented, maxAgeMs, minCursor, policy } = request;
    if (maxAgeMs === Number.POSITIVE_INFINITY && minCursor === undefined && policy === undefined) {
      const bytes = Buffer.from(presented);
      const recalled = this.#verifier.recallBytes(bytes, 0, bytes.length);
      if (recalled !== undefined) return this.#answerOf(recalled);
    }
    return this.#verifier.verify(request);
  }

  #answerOf(recalled: Verification | KeptAnswer): Verification {
    if ("bytes" in recalled) {
      const answer = this.#answers[Number(recalled.bytes.toString("latin1", recalled.from, recalled.to))];
      if (answer === undefined) throw new Error("what was kept is no answer");
      return answer;
    }
    recalled.encoded ??= `${this.#answers.push(recalled) - 1}`;
    return recalled;
  }
}
