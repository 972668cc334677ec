import type { ServiceImpl } from "@connectrpc/connect";
import type { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { servicesOf } from "./call-context.ts";
import { msFromDuration, tokenFormatFrom, wireToken } from "./convert.ts";
import { jsonFromValue } from "./json-value.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createCreateToken(dependencies: RpcDependencies): ServiceImpl<typeof TokenService>["createToken"] {
  return async ({ format, ttl, claims, minRemainingTtl }, { signal, values }) => {
    const { upstream } = servicesOf(values, dependencies);
    const { token, secret } = await upstream.createToken(
      {
        format: tokenFormatFrom(format),
        ttlSeconds: ttl === undefined ? undefined : msFromDuration(ttl) / 1_000,
        claims: claims === undefined ? undefined : jsonFromValue(claims, "claims"),
        minRemainingTtlSeconds:
          minRemainingTtl === undefined ? undefined : Math.ceil(msFromDuration(minRemainingTtl) / 1_000),
      },
      signal,
    );
    return { token: wireToken(token), secret };
  };
}
