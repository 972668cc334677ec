import type { Readiness } from "../admin/admin-server.ts";
import type { GatewayBody } from "../gateway.ts";
import { WORKER_STATES } from "./control-messages.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import type { WorkerSlot } from "./worker-slot.ts";

/** What `/readyz` is made from: a worker's last words, and how often one was started in its place. */
type Reporter = Pick<WorkerSlot, "report" | "restarts">;

/** What the label `worker` says of the process that has the admin port and no RPC port. */
const PRIMARY = "primary";

/**
 * What the admin port tells of a host with workers.
 *
 * @param body the primary's own, which answers the console and asks the upstream for it
 */
export function pagesOf(slots: readonly WorkerSlot[], body: GatewayBody, isDraining: () => boolean) {
  return {
    metrics: () => readMetrics(slots, body),
    contentType: body.metrics.contentType,
    ready: () => hostReadiness(slots, body.rejectedKeys(), isDraining()),
  };
}

/**
 * Ready while any worker is: connections go to those that live.
 *
 * @param rejectedKeys keys that the upstream rejected when the primary asked with them
 */
export function hostReadiness(
  workers: readonly Reporter[],
  rejectedKeys: readonly string[],
  isDraining: boolean,
): Readiness {
  const reports = workers.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const ready = reports.filter(({ state }) => state !== "not_serving");
  const worst = Math.max(...reports.map(({ state }) => WORKER_STATES.indexOf(state)));
  const staleness = Math.max(...reports.map(({ stalenessMs }) => stalenessMs ?? Number.POSITIVE_INFINITY));
  const rejected = new Set([...rejectedKeys, ...reports.flatMap((report) => report.rejectedKeys)]);
  return {
    ready: !isDraining && ready.length > 0,
    detail: {
      state: isDraining ? "not_serving" : (WORKER_STATES[worst] ?? "not_serving"),
      workers: workers.length,
      workers_ready: ready.length,
      restarts: workers.reduce((sum, { restarts }) => sum + restarts, 0),
      ...(Number.isFinite(staleness) ? { staleness_ms: staleness } : {}),
      ...(rejected.size === 0 ? {} : { rejected_keys: [...rejected].sort().join(" ") }),
    },
  };
}

async function readMetrics(slots: readonly WorkerSlot[], body: GatewayBody): Promise<string> {
  const asked = slots.map(async (slot) => ({ worker: String(slot.index), text: await slot.ask("metrics") }));
  const [own, ...others] = await Promise.all([body.metrics.render(), ...asked]);
  const told = others.flatMap(({ worker, text }) => (text === undefined ? [] : [{ worker, text }]));
  return mergeMetrics([...told, { worker: PRIMARY, text: own }]);
}
