import type { ServiceImpl } from "@connectrpc/connect";
import type { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { noteWork, servicesOf } from "./call-context.ts";
import { msFromDuration, tokenFormatFrom, wireToken } from "./convert.ts";
import { jsonFromValue } from "./json-value.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createCreateToken(dependencies: RpcDependencies): ServiceImpl<typeof TokenService>["createToken"] {
  return async ({ format, ttl, claims, minRemainingTtl }, { signal, values }) => {
    const { upstream } = servicesOf(values, dependencies);
    const created = upstream.createToken(
      {
        format: tokenFormatFrom(format),
        ttlSeconds: ttl === undefined ? undefined : msFromDuration(ttl) / 1_000,
        claims: claims === undefined ? undefined : jsonFromValue(claims, "claims"),
        minRemainingTtlSeconds:
          minRemainingTtl === undefined ? undefined : Math.ceil(msFromDuration(minRemainingTtl) / 1_000),
      },
      signal,
    );
    const work = created.then(({ token, secret }) => ({ token: wireToken(token), secret }));
    noteWork(values, work);
    return await work;
  };
}
