import type { Config } from "../config/settings.ts";

/**
 * What one of `count` workers is configured with. What the whole gateway may ask of the upstream is divided among them;
 * caches are each worker's own. Only the first looks for revocations made elsewhere.
 */
export function workerConfig(config: Config, name: string, index: number, count: number): Config {
  const share = (whole: number) => Math.max(1, Math.floor(whole / count));
  const shareOrNone = (whole: number) => (whole === 0 ? 0 : share(whole));
  const { clerk, gateway, outOfBand } = config;
  return {
    ...config,
    gateway: { ...gateway, replica: workerName(name, index) },
    clerk: {
      ...clerk,
      maxConcurrency: share(clerk.maxConcurrency),
      maxRequestsPerSecond: share(clerk.maxRequestsPerSecond),
    },
    outOfBand: {
      renewPerSecond: shareOrNone(outOfBand.renewPerSecond),
      renewPerDay: shareOrNone(outOfBand.renewPerDay),
      sweepIntervalMs: index === 1 ? outOfBand.sweepIntervalMs : 0,
    },
  };
}

/**
 * What the primary is configured with, for the calls that an operator makes by hand: a small cache, few connections, and
 * nothing that is done on nobody's behalf.
 */
export function consoleConfig(config: Config): Config {
  const { cache, clerk } = config;
  return {
    ...config,
    cache: { ...cache, maxEntries: 1_000, maxBytes: 1024 * 1024, refusalMaxEntries: 100 },
    clerk: { ...clerk, maxConcurrency: 2 },
    outOfBand: { renewPerSecond: 0, renewPerDay: 0, sweepIntervalMs: 0 },
  };
}

export function workerName(name: string, index: number): string {
  return `${name}/${index}`;
}
