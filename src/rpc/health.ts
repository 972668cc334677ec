import { Code, type ServiceImpl } from "@connectrpc/connect";
import { type Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../gen/health/v1/health_pb.ts";
import { drainOf } from "./call-context.ts";
import { transportError } from "./connect-error.ts";

export interface HealthStatuses {
  readonly implementation: ServiceImpl<typeof Health>;
  /** Tells those who watch at once, unless nothing changed. */
  setServing(service: string, serving: boolean): void;
}

/**
 * grpc.health.v1. A watcher gets the status at once and then each change; of changes that come faster than it reads it
 * gets the last, so that nothing is kept for it.
 *
 * @param services the names known from the start, all NOT_SERVING; "" is the gateway as a whole
 */
export function createHealth(services: readonly string[]): HealthStatuses {
  const statuses = new Map(services.map((service) => [service, ServingStatus.NOT_SERVING]));
  const watchers = new Set<() => void>();

  return {
    implementation: {
      check({ service }) {
        const status = statuses.get(service);
        if (status === undefined) throw transportError(Code.NotFound, "SERVICE_UNKNOWN", "no such service");
        return { status };
      },

      list() {
        return { statuses: Object.fromEntries([...statuses].map(([service, status]) => [service, { status }])) };
      },

      async *watch({ service }, context) {
        const ended = AbortSignal.any([context.signal, drainOf(context.values)]);
        let sent: ServingStatus | undefined;
        for (;;) {
          const status = statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN;
          if (status !== sent) {
            sent = status;
            yield { status };
            continue;
          }
          // After the status: one who shuts the gateway down says NOT_SERVING first, and watchers are to hear it.
          ended.throwIfAborted();
          await changeOrEnd(watchers, ended);
        }
      },
    },

    setServing(service, serving) {
      const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      if (statuses.get(service) === status) return;
      statuses.set(service, status);
      for (const wake of watchers) wake();
    },
  };
}

function changeOrEnd(watchers: Set<() => void>, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      watchers.delete(wake);
      ended.removeEventListener("abort", wake);
      resolve();
    };
    watchers.add(wake);
    ended.addEventListener("abort", wake);
  });
}
