import type { ServiceImpl } from "@connectrpc/connect";
import type { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { callerOf } from "./call-context.ts";
import { msFromDuration, tokenFormatFrom, wireToken } from "./convert.ts";
import { jsonFromValue } from "./json-value.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createAcquireToken({ pool }: RpcDependencies): ServiceImpl<typeof TokenService>["acquireToken"] {
  return async ({ format, claims, minRemainingTtl, ttl }, { signal, values }) => {
    const { token, secret } = await pool.acquire({
      identity: callerOf(values)?.identity,
      format: tokenFormatFrom(format),
      ttlSeconds: ttl === undefined ? undefined : msFromDuration(ttl) / 1_000,
      claims: claims === undefined ? undefined : jsonFromValue(claims, "claims"),
      minRemainingMs: minRemainingTtl === undefined ? undefined : msFromDuration(minRemainingTtl),
      signal,
    });
    return { token: wireToken(token), secret };
  };
}
