import type { Interceptor, UnaryResponse } from "@connectrpc/connect";
import {
  type BatchVerifyTokensResponse,
  BatchVerifyTokensResponseSchema,
  Source,
  Verdict,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { noteOutcome } from "./call-context.ts";
import type { CallOutcome } from "./call-report.ts";

/** Notes what verifications decided, for whoever hears of the call's end. */
export const outcomeInterceptor: Interceptor = (next) => async (request) => {
  const response = await next(request);
  if (!response.stream) {
    const outcome = outcomeOf(response.message);
    if (outcome !== undefined) noteOutcome(request.contextValues, outcome);
  }
  return response;
};

function outcomeOf(message: UnaryResponse["message"]): CallOutcome | undefined {
  switch (message.$typeName) {
    case VerifyTokenResponseSchema.typeName:
      return outcomeOfOne(message as VerifyTokenResponse);
    case BatchVerifyTokensResponseSchema.typeName:
      return outcomeOfMany(message as BatchVerifyTokensResponse);
    default:
      return undefined;
  }
}

function outcomeOfOne({ verdict, source }: VerifyTokenResponse): CallOutcome {
  return { verdict: nameOf(Verdict[verdict]), source: nameOf(Source[source]) };
}

/** How many tokens, and how many got each verdict. */
function outcomeOfMany({ results }: BatchVerifyTokensResponse): CallOutcome {
  const outcome: Record<string, number> = { tokens: results.length };
  for (const { result } of results) {
    const name = result.case === "response" ? nameOf(Verdict[result.value.verdict]) : "failed";
    outcome[name] = (outcome[name] ?? 0) + 1;
  }
  return outcome;
}

/** As the metrics call it. */
function nameOf(name: string | undefined): string {
  return (name ?? "unknown").toLowerCase();
}
