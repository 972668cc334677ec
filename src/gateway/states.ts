import type { Readiness } from "../admin/admin-server.ts";
import type { HealthStatuses } from "../rpc/health.ts";
import { CREDENTIAL_SERVICE, FRESHNESS_SERVICE, SERVICES } from "../rpc/routes.ts";
import { freshnessState, type StatusParts, takeFreshness } from "../status.ts";

const INTERVAL_MS = 250;
const SERVING_SERVICES = ["", ...SERVICES.map((service) => service.typeName)];

/** What grpc.health.v1 tells of. */
export const HEALTH_SERVICES = [...SERVING_SERVICES, FRESHNESS_SERVICE, CREDENTIAL_SERVICE];

/** grpc.health.v1 is told of changes by looking often: nothing else needs to know what the state depends on. */
export function followState(health: HealthStatuses, parts: StatusParts): () => void {
  let cancel = () => {};
  const look = () => {
    setHealth(health, parts);
    cancel = parts.clock.after(INTERVAL_MS, look);
  };
  look();
  return () => cancel();
}

/**
 * Serving is being able to decide; the freshness service says whether what is cached may be used to, the credential service
 * whether the upstream takes the gateway's keys.
 */
export function setHealth(health: HealthStatuses, parts: StatusParts): void {
  const state = freshnessState(parts);
  const serving = state !== "not_serving";
  for (const service of SERVING_SERVICES) health.setServing(service, serving);
  health.setServing(FRESHNESS_SERVICE, state === "synced" || state === "degraded");
  health.setServing(CREDENTIAL_SERVICE, !parts.isDraining() && parts.upstream.rejectedKeys.length === 0);
}

export function readinessOf(parts: StatusParts): Readiness {
  const { state, cursor, stalenessMs } = takeFreshness(parts);
  const { rejectedKeys } = parts.upstream;
  const rejected = rejectedKeys.length === 0 ? {} : { rejected_keys: rejectedKeys.join(" ") };
  return { ready: state !== "not_serving", detail: { state, cursor, staleness_ms: stalenessMs, ...rejected } };
}
