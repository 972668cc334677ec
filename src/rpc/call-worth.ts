import { Health } from "../gen/health/v1/health_pb.ts";
import { GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";

/**
 * What a call is worth to a gateway that has too much to do. `vital`: the probes by which it is kept alive. `control`:
 * what takes effect on others or tells of the gateway's state. `verify`: what memory may answer. `costly`: the rest.
 */
export type CallWorth = "vital" | "control" | "verify" | "costly";

const WORTH: ReadonlyMap<string, CallWorth> = new Map([
  [pathOf(Health, "check"), "vital"],
  [pathOf(Health, "list"), "control"],
  [pathOf(Health, "watch"), "control"],
  [pathOf(TokenService, "revokeToken"), "control"],
  [pathOf(RevocationService, "revokeSubject"), "control"],
  [pathOf(RevocationService, "revokeKey"), "control"],
  [pathOf(GatewayService, "getStatus"), "control"],
  [pathOf(GatewayService, "invalidateCache"), "control"],
  [pathOf(TokenService, "acquireToken"), "verify"],
  [pathOf(TokenService, "verifyToken"), "verify"],
  [pathOf(TokenService, "batchVerifyTokens"), "verify"],
]);

/** @param path of the RPC, `/package.Service/Method` */
export function worthOf(path: string): CallWorth {
  return WORTH.get(path) ?? "costly";
}

function pathOf<M extends Record<string, { readonly name: string }>>(
  { typeName, method }: { readonly typeName: string; readonly method: M },
  name: keyof M & string,
): string {
  return `/${typeName}/${method[name]?.name}`;
}
