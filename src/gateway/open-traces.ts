import { everyTenSeconds } from "../domain.ts";
import { type Logger, withFields } from "../logger.ts";
import type { Clock } from "../token/ports.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { GatewayOptions } from "./gateway-options.ts";

/** Traces where they are on, with a log whose lines name them; else not even the packages that make them are loaded. */
export async function openTraces(
  { config, log, version }: GatewayOptions,
  clock: Clock,
): Promise<{ readonly tracing: Tracing | undefined; readonly log: Logger }> {
  const { tracing: settings, clerk, gateway } = config;
  const { endpoint, disabled } = settings;
  if (endpoint === undefined || disabled) return { tracing: undefined, log };
  const { openTracing } = await import("../tracing/open-tracing.ts");
  const tracing = await openTracing({
    settings,
    endpoint,
    version,
    instance: gateway.replica,
    upstreamUrl: clerk.url,
    clock,
    onError: everyTenSeconds(clock, (err) => log.warn({ err }, "traces cannot be sent")),
  });
  return { tracing, log: withFields(log, () => tracing.ids()) };
}
