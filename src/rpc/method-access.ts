import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Role } from "../callers/role.ts";
import { ServerReflection as ReflectionV1 } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "../gen/health/v1/health_pb.ts";
import { GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";

/** What an RPC demands of its caller. */
export interface MethodAccess {
  /** `undefined` for RPCs that are open to everybody. */
  readonly role: Role | undefined;
  /** Whether each call leaves a line in the audit log. */
  readonly isAudited: boolean;
  /**
   * What becomes of a key of the caller's own: `used` in place of the gateway's, `ignored` where no key is needed, `refused`
   * where the gateway's own would be used in spite of it.
   */
  readonly ownKey: "used" | "ignored" | "refused";
}

type AccessTable<Methods> = { readonly [Name in keyof Methods]: MethodAccess };

/** Exhaustive: an RPC that is added to the .proto does not compile until its row is here. */
const TOKEN_SERVICE: AccessTable<typeof TokenService.method> = {
  createToken: { role: "mint", isAudited: true, ownKey: "used" },
  acquireToken: { role: "mint", isAudited: true, ownKey: "refused" },
  listTokens: { role: "revoke", isAudited: false, ownKey: "used" },
  revokeToken: { role: "revoke", isAudited: true, ownKey: "used" },
  verifyToken: { role: "verify", isAudited: false, ownKey: "used" },
  batchVerifyTokens: { role: "verify", isAudited: false, ownKey: "used" },
  verifyTokenStream: { role: "verify", isAudited: false, ownKey: "used" },
};

const REVOCATION_SERVICE: AccessTable<typeof RevocationService.method> = {
  watchRevocations: { role: "watch", isAudited: false, ownKey: "ignored" },
  listRevocations: { role: "watch", isAudited: false, ownKey: "ignored" },
  revokeSubject: { role: "revoke", isAudited: true, ownKey: "refused" },
  revokeKey: { role: "revoke", isAudited: true, ownKey: "refused" },
};

const GATEWAY_SERVICE: AccessTable<typeof GatewayService.method> = {
  getStatus: { role: "watch", isAudited: false, ownKey: "ignored" },
  invalidateCache: { role: "admin", isAudited: false, ownKey: "ignored" },
};

/** Probes must work for those who have no identity, and reflection tells what is published anyway. */
const OPEN: MethodAccess = { role: undefined, isAudited: false, ownKey: "ignored" };
const OPEN_SERVICES: ReadonlySet<string> = new Set([
  Health.typeName,
  ReflectionV1.typeName,
  ReflectionV1Alpha.typeName,
]);

const TABLES = new Map<string, Readonly<Record<string, MethodAccess>>>([
  [TokenService.typeName, TOKEN_SERVICE],
  [RevocationService.typeName, REVOCATION_SERVICE],
  [GatewayService.typeName, GATEWAY_SERVICE],
]);

/** @throws Error for an RPC without a row: nothing is served that nobody has thought about */
export function accessOf({ service, method }: Pick<UniversalHandler, "service" | "method">): MethodAccess {
  if (OPEN_SERVICES.has(service.typeName)) return OPEN;
  const access = TABLES.get(service.typeName)?.[method.localName];
  if (access === undefined) throw new Error(`no access rule for ${service.typeName}/${method.name}`);
  return access;
}
