import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  BatchVerifyTokensResponseSchema,
  type BatchVerifyTokensResult,
  BatchVerifyTokensResultSchema,
  type TokenService,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { Verification } from "../token/verifier.ts";
import { statusFrom } from "./connect-error.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { demandsFrom, wireVerification } from "./verify-token.ts";

export function createBatchVerifyTokens(
  dependencies: RpcDependencies,
): ServiceImpl<typeof TokenService>["batchVerifyTokens"] {
  const { verifier } = dependencies;
  return async (request, { signal }) => {
    const demands = demandsFrom(request);
    const verifications = request.tokens.map((presented) => verifier.verify({ presented, ...demands, signal }));
    const results = await Promise.all(verifications.map((verification) => resultOf(verification, dependencies)));
    return create(BatchVerifyTokensResponseSchema, { results });
  };
}

async function resultOf(
  verification: Verification | Promise<Verification>,
  dependencies: RpcDependencies,
): Promise<BatchVerifyTokensResult> {
  try {
    const value = wireVerification(await verification, dependencies);
    return create(BatchVerifyTokensResultSchema, { result: { case: "response", value } });
  } catch (error) {
    return create(BatchVerifyTokensResultSchema, { result: { case: "error", value: statusFrom(error) } });
  }
}
