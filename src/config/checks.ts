import { addressesCollide, formatListenAddress, isLocal, isLoopback } from "./endpoint.ts";
import { JWT_CHECKS } from "./jwt-checks.ts";
import type { Problem } from "./problem.ts";
import { type Config, listSettings, settingPath } from "./settings.ts";

/** Clocks of replicas and upstream may be this far apart. */
const CLOCK_SKEW_MS = 60_000;

export interface Check {
  /** The settings it looks at; the first one is to blame. */
  readonly paths: readonly [string, ...string[]];
  readonly find: (config: Config) => Omit<Problem, "where"> | undefined;
}

/**
 * What no setting can tell by itself. A check is left out when a setting that it looks at is not `sound`; `nameOf` tells
 * where a setting was given.
 */
export function findConflicts(
  config: Config,
  sound: (path: string) => boolean,
  nameOf: (path: string) => string,
): Problem[] {
  return CHECKS.flatMap(({ paths, find }) => {
    const found = paths.every(sound) ? find(config) : undefined;
    return found === undefined ? [] : [{ where: nameOf(paths[0]), ...found }];
  });
}

const NO_MTLS = ", so no caller would be asked for a certificate";

const CHECKS: readonly Check[] = [
  exposed("rpc", ["rpc.tlsCertFile", "rpc.tlsKeyFile"], ({ rpc }) => rpc.tlsCertFile !== undefined),
  exposed("admin", ["admin.tls"], ({ admin }) => admin.tls),
  exposed("emulator"),
  {
    paths: ["clerk.url", "gateway.insecure"],
    find: ({ clerk, gateway }) => {
      const url = new URL(clerk.url);
      const host = url.hostname.replace(/^\[|\]$/g, "");
      if (url.protocol === "https:" || gateway.insecure || isLoopback(host)) return undefined;
      return {
        what: "would send keys and tokens unencrypted to another machine",
        fix: "use https, or set GATEWAY_INSECURE=true if the network in between is safe",
      };
    },
  },
  {
    paths: ["tracing.headers", "tracing.endpoint", "gateway.insecure"],
    find: ({ tracing, gateway }) => {
      if (tracing.headers === undefined || tracing.endpoint === undefined || gateway.insecure) return undefined;
      const url = new URL(tracing.endpoint);
      if (url.protocol === "https:" || isLoopback(url.hostname.replace(/^\[|\]$/g, ""))) return undefined;
      return {
        what: "would go unencrypted to another machine with every batch of traces",
        fix: "give OTEL_EXPORTER_OTLP_ENDPOINT with https, or set GATEWAY_INSECURE=true if the network in between is safe",
      };
    },
  },
  {
    paths: ["admin.listen", "rpc.listen"],
    find: ({ admin, rpc }) =>
      addressesCollide(admin.listen, rpc.listen)
        ? { what: "takes the port that GATEWAY_LISTEN takes", fix: "give it a port of its own" }
        : undefined,
  },
  ...pair("rpc.tlsCertFile", "rpc.tlsKeyFile", ({ rpc }) => [rpc.tlsCertFile, rpc.tlsKeyFile]),
  ...pair("clerk.clientCertFile", "clerk.clientKeyFile", ({ clerk }) => [clerk.clientCertFile, clerk.clientKeyFile]),
  needs("rpc.tlsClientCaFile", "rpc.tlsCertFile", ({ rpc }) => [rpc.tlsClientCaFile, rpc.tlsCertFile], NO_MTLS),
  needs("rpc.tlsClientAuth", "rpc.tlsClientCaFile", ({ rpc }) => [rpc.tlsClientAuth, rpc.tlsClientCaFile], NO_MTLS),
  needs("admin.tls", "rpc.tlsCertFile", ({ admin, rpc }) => [admin.tls || undefined, rpc.tlsCertFile], ""),
  {
    paths: ["limits.maxPendingBytes", "rpc.maxMessageBytes"],
    find: ({ limits, rpc }) =>
      limits.maxPendingBytes < rpc.maxMessageBytes
        ? {
            what: `is ${limits.maxPendingBytes}, less than one message of GATEWAY_MAX_MESSAGE_BYTES, which is ${rpc.maxMessageBytes}`,
            fix: "raise it, or lower GATEWAY_MAX_MESSAGE_BYTES",
          }
        : undefined,
  },
  {
    paths: ["clerk.attemptTimeoutMs", "clerk.timeoutMs"],
    find: ({ clerk }) =>
      clerk.attemptTimeoutMs > clerk.timeoutMs
        ? {
            what: `is ${clerk.attemptTimeoutMs}, more than CLERK_TIMEOUT_MS, which is ${clerk.timeoutMs}`,
            fix: "lower it, or raise CLERK_TIMEOUT_MS",
          }
        : undefined,
  },
  ...JWT_CHECKS,
  {
    paths: ["revocations.retentionMs", "cache.verdictTtlMs", "clerk.timeoutMs"],
    find: ({ revocations, cache, clerk }) => {
      const least = cache.verdictTtlMs + clerk.timeoutMs + CLOCK_SKEW_MS;
      if (revocations.retentionMs >= least) return undefined;
      return {
        what: `is ${revocations.retentionMs}, so a cached answer could outlive the revocation that contradicts it`,
        fix: `give at least ${least} (GATEWAY_VERDICT_TTL_MS + CLERK_TIMEOUT_MS + ${CLOCK_SKEW_MS})`,
      };
    },
  },
];

type Two = (config: Config) => readonly [unknown, unknown];

function pair(one: string, other: string, valuesOf: Two): Check[] {
  return [
    needs(one, other, valuesOf, ""),
    needs(other, one, (config) => [valuesOf(config)[1], valuesOf(config)[0]], ""),
  ];
}

/** The first of the two settings is of no use without the second. `consequence` reads on after that. */
function needs(path: string, needed: string, valuesOf: Two, consequence: string): Check {
  return {
    paths: [path, needed],
    find: (config) => {
      const [value, other] = valuesOf(config);
      if (value === undefined || other !== undefined) return undefined;
      return { what: `is given without ${variableOf(needed)}${consequence}`, fix: "give both, or neither" };
    },
  };
}

function variableOf(path: string): string {
  return listSettings().find((setting) => settingPath(setting) === path)?.facts.variable ?? path;
}

/** How to have TLS there. */
const TLS_FIXES = {
  rpc: "give GATEWAY_TLS_CERT_FILE and GATEWAY_TLS_KEY_FILE, ",
  admin: "set GATEWAY_ADMIN_TLS=true with a certificate, ",
  emulator: "",
} as const;

function exposed(
  group: "rpc" | "admin" | "emulator",
  morePaths: readonly string[] = [],
  hasTls: (config: Config) => boolean = () => false,
): Check {
  return {
    paths: [`${group}.listen`, "gateway.insecure", ...morePaths],
    find: (config) => {
      const { listen } = config[group];
      if (config.gateway.insecure || isLocal(listen) || hasTls(config)) return undefined;
      return {
        what: `lets other machines reach ${formatListenAddress(listen)}, and the port has neither TLS nor caller authentication`,
        fix: `listen on 127.0.0.1, ${TLS_FIXES[group]}or set GATEWAY_INSECURE=true if the network keeps strangers out`,
      };
    },
  };
}
