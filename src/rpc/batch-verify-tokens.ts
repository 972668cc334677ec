import { setMaxListeners } from "node:events";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import {
  BatchVerifyTokensResponseSchema,
  type BatchVerifyTokensResult,
  BatchVerifyTokensResultSchema,
  type M2MToken,
  M2MTokenSchema,
  type TokenService,
  type VerifyTokenResponse,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { Token } from "../token/token.ts";
import type { Verification, VerifyRequest } from "../token/verification.ts";
import { callerOf, servicesOf } from "./call-context.ts";
import { statusFrom, transportError } from "./connect-error.ts";
import { wireToken } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { demandsFrom, wireVerification } from "./verify-token.ts";

/** What one result costs beside its token, in bytes. */
const RESULT_BYTES = 256;

type Decision = { readonly verification: Verification } | { readonly error: unknown };

export function createBatchVerifyTokens(
  common: RpcDependencies,
): ServiceImpl<typeof TokenService>["batchVerifyTokens"] {
  return async (request, { signal, values }) => {
    const dependencies = servicesOf(values, common);
    const { verifier } = dependencies;
    const caller = callerOf(values);
    const subjects = caller?.subjects;
    // The call counted as one when it was let in.
    caller?.allowance.charge(request.tokens.length - 1);
    const { minCursor, ...demands } = demandsFrom(request);
    // Every token that has to be asked for listens to this one signal.
    setMaxListeners(0, signal);
    if (minCursor !== undefined) await verifier.reach(minCursor, signal);
    const decisions = await Promise.all(
      request.tokens.map((presented) =>
        decide(dependencies, { presented, ...demands, minCursor: undefined, subjects, signal }),
      ),
    );
    return create(BatchVerifyTokensResponseSchema, { results: new ResultWriter(dependencies).write(decisions) });
  };
}

/** At once when memory can. Never rejects, nor throws: there is no cursor to reach any more. */
function decide({ verifier }: RpcDependencies, request: VerifyRequest): Decision | Promise<Decision> {
  const decided = verifier.verify(request);
  if (!(decided instanceof Promise)) return { verification: decided };
  return decided.then(
    (verification) => ({ verification }),
    (error: unknown) => ({ error }),
  );
}

/**
 * Builds the results. Those decided first waited for the slowest, so each is checked against the facts once more here,
 * where nothing is awaited any more. A token that stands in the batch often is converted once; what would make the
 * answer larger than a message may be is left out with an error of its own.
 */
class ResultWriter {
  readonly #dependencies: RpcDependencies;
  readonly #tokens = new Map<Token, { readonly wire: M2MToken; readonly bytes: number }>();
  #bytesLeft: number;

  constructor(dependencies: RpcDependencies) {
    this.#dependencies = dependencies;
    this.#bytesLeft = dependencies.maxMessageBytes;
  }

  write(decisions: readonly Decision[]): BatchVerifyTokensResult[] {
    return decisions.map((decision) =>
      "error" in decision ? failure(decision.error) : this.#result(decision.verification),
    );
  }

  #result(decided: Verification): BatchVerifyTokensResult {
    const verification = this.#dependencies.verifier.recheck(decided);
    const token = verification.token === undefined ? undefined : this.#convert(verification.token);
    this.#bytesLeft -= RESULT_BYTES + (token?.bytes ?? 0);
    if (this.#bytesLeft < 0) return failure(tooLarge());
    const value: VerifyTokenResponse = wireVerification(verification, this.#dependencies, token?.wire);
    return create(BatchVerifyTokensResultSchema, { result: { case: "response", value } });
  }

  #convert(token: Token): { readonly wire: M2MToken; readonly bytes: number } {
    const known = this.#tokens.get(token);
    if (known !== undefined) return known;
    const wire = wireToken(token);
    const bytes = Math.max(toBinary(M2MTokenSchema, wire).length, toJsonString(M2MTokenSchema, wire).length);
    const converted = { wire, bytes };
    this.#tokens.set(token, converted);
    return converted;
  }
}

function failure(error: unknown): BatchVerifyTokensResult {
  return create(BatchVerifyTokensResultSchema, { result: { case: "error", value: statusFrom(error) } });
}

function tooLarge(): Error {
  const message = "the answer is too large to hold this result: verify the token in another call";
  return transportError(Code.ResourceExhausted, "MESSAGE_TOO_LARGE", message);
}
