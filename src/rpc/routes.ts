import type { ConnectRouter } from "@connectrpc/connect";
import { Health } from "../gen/health/v1/health_pb.ts";
import { GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { createAcquireToken } from "./acquire-token.ts";
import { createBatchVerifyTokens } from "./batch-verify-tokens.ts";
import { createCreateToken } from "./create-token.ts";
import { createGetStatus } from "./get-status.ts";
import type { HealthStatuses } from "./health.ts";
import { createInvalidateCache } from "./invalidate-cache.ts";
import { createListRevocations } from "./list-revocations.ts";
import { createListTokens } from "./list-tokens.ts";
import { addReflection } from "./reflection.ts";
import { createRevokeKey } from "./revoke-key.ts";
import { createRevokeSubject } from "./revoke-subject.ts";
import { createRevokeToken } from "./revoke-token.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { createVerifyToken } from "./verify-token.ts";
import { createVerifyTokenStream } from "./verify-token-stream.ts";
import { createWatchRevocations } from "./watch-revocations.ts";

/** The services that speak for the gateway, by the names that grpc.health.v1 knows. */
export const SERVICES = [TokenService, RevocationService, GatewayService] as const;

/** The health service that says whether cached verdicts can be trusted. */
export const FRESHNESS_SERVICE = "m2mgateway.freshness";

/** The health service that says whether the upstream takes the gateway's keys. */
export const CREDENTIAL_SERVICE = "m2mgateway.credential";

/** What the console is made of, by path. No other RPC is served on the admin port. */
export const CONSOLE_RPCS: ReadonlySet<string> = new Set(
  [
    GatewayService.method.getStatus,
    RevocationService.method.watchRevocations,
    TokenService.method.verifyToken,
    TokenService.method.revokeToken,
  ].map(({ parent, name }) => `/${parent.typeName}/${name}`),
);

export function createRoutes(dependencies: RpcDependencies, health: HealthStatuses): (router: ConnectRouter) => void {
  return (router) => {
    router.service(TokenService, {
      createToken: createCreateToken(dependencies),
      acquireToken: createAcquireToken(dependencies),
      listTokens: createListTokens(dependencies),
      revokeToken: createRevokeToken(dependencies),
      verifyToken: createVerifyToken(dependencies),
      batchVerifyTokens: createBatchVerifyTokens(dependencies),
      verifyTokenStream: createVerifyTokenStream(dependencies),
    });
    router.service(RevocationService, {
      watchRevocations: createWatchRevocations(dependencies),
      listRevocations: createListRevocations(dependencies),
      revokeSubject: createRevokeSubject(dependencies),
      revokeKey: createRevokeKey(dependencies),
    });
    router.service(GatewayService, {
      getStatus: createGetStatus(dependencies),
      invalidateCache: createInvalidateCache(dependencies),
    });
    router.service(Health, health.implementation);
    addReflection(router, [...SERVICES, Health]);
  };
}
