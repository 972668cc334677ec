import { z } from "zod";
import { generateReplicaName } from "./replica-name.ts";
import {
  choice,
  httpUrl,
  key,
  listen,
  listenOrSocket,
  matching,
  onOff,
  optionalText,
  processName,
  type SettingFacts,
  secretText,
  settingFacts,
  whole,
} from "./setting.ts";

const MS = "milliseconds";

/** Every setting, grouped as in `Config` and in the file. The types, the checks and the documentation derive from it. */
export const configSchema = z.strictObject({
  gateway: z.strictObject({
    insecure: onOff(
      "GATEWAY_INSECURE",
      "Allows listening on addresses that other machines can reach, and plain http to an upstream on another machine. The RPC port needs it only without TLS. Neither port authenticates callers: allow it only where the network keeps strangers out.",
    ),
    replica: processName(
      "GATEWAY_REPLICA",
      generateReplicaName,
      "Name of this process: the origin of the revocations that it records. Must be unique among processes that run at the same time.",
    ),
  }),
  rpc: z.strictObject({
    listen: listenOrSocket("GATEWAY_LISTEN", "127.0.0.1:50051", "Where gRPC, gRPC-Web and Connect are served."),
    transport: choice(
      "GATEWAY_TRANSPORT",
      ["engine", "node"],
      "engine",
      "Which HTTP/2 implementation serves RPCs: the gateway's own, or Node's.",
    ),
    workers: whole(
      "GATEWAY_WORKERS",
      { min: 1, max: 64, initial: 1, unit: "processes" },
      "How many processes serve RPCs on the one port, each with its own cache. `docs/operations.md` says when to want more than one. `dev` runs one whatever is given.",
    ),
    tlsCertFile: optionalText(
      "GATEWAY_TLS_CERT_FILE",
      "the path of a file",
      "PEM file of the certificate, and of its chain, that callers of RPCs are shown. Given with the key, RPCs are served over TLS; the admin port is not.",
    ),
    tlsKeyFile: optionalText(
      "GATEWAY_TLS_KEY_FILE",
      "the path of a file",
      "PEM file of the private key of that certificate.",
    ),
    maxMessageBytes: whole(
      "GATEWAY_MAX_MESSAGE_BYTES",
      { min: 1024, max: 67_108_864, initial: 4_194_304, unit: "bytes" },
      "The largest request message accepted. The default is what gRPC servers usually take.",
    ),
    drainGraceMs: whole(
      "GATEWAY_DRAIN_GRACE_MS",
      { min: 0, max: 300_000, initial: 10_000, unit: MS },
      "How long calls under way may take to end once the gateway has been told to stop.",
    ),
  }),
  admin: z.strictObject({
    listen: listen("GATEWAY_ADMIN_LISTEN", "127.0.0.1:50052", "Where `/livez`, `/readyz` and `/metrics` are served."),
  }),
  emulator: z.strictObject({
    listen: listen("EMULATOR_LISTEN", "127.0.0.1:50053", "Where the emulator of Clerk's API is served, if it is run."),
  }),
  clerk: z.strictObject({
    url: httpUrl("CLERK_API_URL", "https://api.clerk.com", "Base URL of Clerk's API."),
    machineSecretKey: key(
      "CLERK_MACHINE_SECRET_KEY",
      { start: "ak_", accepts: "a machine secret key (ak_…)" },
      "Secret key of the machine that the gateway acts as. Needed to create tokens; used to verify where it is set, so that only tokens granted to this machine are valid.",
    ),
    secretKey: key(
      "CLERK_SECRET_KEY",
      { start: "sk_(?:live|test)_", accepts: "an instance secret key (sk_live_… or sk_test_…)" },
      "Secret key of the instance. Lists and revokes the tokens of every machine; verifies where there is no machine secret key.",
    ),
    apiVersion: matching(
      "CLERK_API_VERSION",
      { pattern: /^\d{4}-\d{2}-\d{2}$/, accepts: "a date such as 2026-05-12", initial: "2026-05-12" },
      "Version of Clerk's API, sent with every request.",
    ),
    timeoutMs: whole(
      "CLERK_TIMEOUT_MS",
      { min: 100, max: 60_000, initial: 5000, unit: MS },
      "How long one call may take in all, waiting for its turn and retries included.",
    ),
    attemptTimeoutMs: whole(
      "CLERK_ATTEMPT_TIMEOUT_MS",
      { min: 50, max: 60_000, initial: 2500, unit: MS },
      "How long one HTTP request may take. At most `CLERK_TIMEOUT_MS`.",
    ),
    maxAttempts: whole(
      "CLERK_MAX_ATTEMPTS",
      { min: 1, max: 10, initial: 3, unit: "requests" },
      "How often a verification, listing or revocation is tried. Creations are never repeated.",
    ),
    maxConcurrency: whole(
      "CLERK_MAX_CONCURRENCY",
      { min: 1, max: 1024, initial: 64, unit: "requests" },
      "How many requests may be under way at once, each on a connection of its own; others wait.",
    ),
    maxQueue: whole(
      "CLERK_MAX_QUEUE",
      { min: 0, max: 1_000_000, initial: 1024, unit: "calls" },
      "How many calls may wait for their turn; others are refused at once.",
    ),
    maxRequestsPerSecond: whole(
      "CLERK_MAX_REQUESTS_PER_SECOND",
      { min: 1, max: 100_000, initial: 90, unit: "requests per second" },
      "How many requests are sent, with bursts of one second's worth. Clerk allows a production instance 1000 and a development instance 100 in ten seconds, for all gateways together: divide it among them.",
    ),
  }),
  cache: z.strictObject({
    verdictTtlMs: whole(
      "GATEWAY_VERDICT_TTL_MS",
      { min: 0, max: 3_600_000, initial: 30_000, unit: MS },
      "How long an answer about a token is used again. 0 asks the upstream every time. A token revoked without the gateway can stay valid for this long.",
    ),
    refusalTtlMs: whole(
      "GATEWAY_REFUSAL_TTL_MS",
      { min: 0, max: 30_000, initial: 2000, unit: MS },
      "How long the upstream's refusal of a token is used again. 0 asks every time.",
    ),
    maxEntries: whole(
      "GATEWAY_CACHE_MAX_ENTRIES",
      { min: 1, max: 10_000_000, initial: 100_000, unit: "entries" },
      "How many answers about tokens are kept.",
    ),
    maxBytes: whole(
      "GATEWAY_CACHE_MAX_BYTES",
      { min: 1_048_576, max: 8_589_934_592, initial: 134_217_728, unit: "bytes" },
      "How much memory those answers may take, by estimate; claims count. The first of the two bounds that is reached holds.",
    ),
    refusalMaxEntries: whole(
      "GATEWAY_REFUSAL_CACHE_MAX_ENTRIES",
      { min: 1, max: 1_000_000, initial: 10_000, unit: "entries" },
      "How many refusals are kept, apart from the answers, so that made-up tokens cannot push those out.",
    ),
  }),
  redis: z.strictObject({
    url: secretText(
      "GATEWAY_REDIS_URL",
      {
        pattern: /^(?:rediss?(?:-sentinel|-cluster)?|unix):\/\/\S+$/,
        accepts: "redis://, rediss://, unix://, redis-sentinel:// or redis-cluster:// and where it is",
      },
      "Where the fleet's Redis is: `redis://[user:password@]host[:port][/database]`, `unix:///path`, `redis-sentinel://host[:port],…/master` or `redis-cluster://host[:port],…`; `rediss` in place of `redis` for TLS. Without it the gateway runs alone and remembers in memory.",
    ),
    password: secretText(
      "GATEWAY_REDIS_PASSWORD",
      { pattern: /^\S{1,512}$/, accepts: "a password without blanks" },
      "Password of Redis, where the URL does not hold it.",
    ),
    sentinelPassword: secretText(
      "GATEWAY_REDIS_SENTINEL_PASSWORD",
      { pattern: /^\S{1,512}$/, accepts: "a password without blanks" },
      "Password of the sentinels, where they have one of their own.",
    ),
    prefix: matching(
      "GATEWAY_REDIS_PREFIX",
      {
        pattern: /^[\w.-]{1,32}$/,
        accepts: "1 to 32 letters, digits, dots, hyphens and underscores",
        initial: "m2mgw",
      },
      "What all keys and the channel in Redis begin with. Gateways with the same one are one fleet.",
    ),
    caFile: optionalText(
      "GATEWAY_REDIS_CA_FILE",
      "the path of a file",
      "PEM file of the authorities that Redis's certificate may come from.",
    ),
    certFile: optionalText(
      "GATEWAY_REDIS_CERT_FILE",
      "the path of a file",
      "PEM file of the certificate that the gateway shows to Redis.",
    ),
    keyFile: optionalText(
      "GATEWAY_REDIS_KEY_FILE",
      "the path of a file",
      "PEM file of the private key of that certificate.",
    ),
    servername: optionalText(
      "GATEWAY_REDIS_SERVERNAME",
      "a host name",
      "Name to expect in Redis's certificate, when it is not the host of the URL.",
    ),
    verdictBudgetMs: whole(
      "GATEWAY_REDIS_VERDICT_BUDGET_MS",
      { min: 1, max: 1_000, initial: 10, unit: MS },
      "How long a verification waits for a verdict that another replica may have shared, before it asks the upstream.",
    ),
    verdictKey: secretText(
      "GATEWAY_VERDICT_KEY",
      { pattern: /^\S{16,512}$/, accepts: "16 to 512 characters without blanks" },
      "Key of the HMAC under which verdicts are shared in Redis; the same for the whole fleet. Not set: derived from the key that verifies.",
    ),
  }),
  outOfBand: z.strictObject({
    renewPerSecond: whole(
      "GATEWAY_RENEW_PER_SECOND",
      { min: 0, max: 10_000, initial: 5, unit: "requests per second" },
      "How many hot verdicts are renewed before they expire, by all means within `CLERK_MAX_REQUESTS_PER_SECOND`. 0 renews none.",
    ),
    renewPerDay: whole(
      "GATEWAY_RENEW_PER_DAY",
      { min: 0, max: 1_000_000_000, initial: 100_000, unit: "requests per day" },
      "How many renewals a day may cost. 100,000 cost $1 at Clerk's list price.",
    ),
    sweepIntervalMs: whole(
      "GATEWAY_SWEEP_INTERVAL_MS",
      { min: 0, max: 86_400_000, initial: 0, unit: MS },
      "How often the revoked tokens of every machine seen are listed, to find revocations made elsewhere. Needs `CLERK_SECRET_KEY`. 0 never does.",
    ),
  }),
  revocations: z.strictObject({
    stalenessBoundMs: whole(
      "GATEWAY_STALENESS_BOUND_MS",
      { min: 200, max: 60_000, initial: 1000, unit: MS },
      "How long after a revocation was acknowledged a cached answer may still contradict it, at most. Without proof of having read the log within this time no cached answer is used.",
    ),
    retentionMs: whole(
      "GATEWAY_REVOCATION_RETENTION_MS",
      { min: 60_000, max: 604_800_000, initial: 3_600_000, unit: MS },
      "How long a revocation is remembered. At least `GATEWAY_VERDICT_TTL_MS` + `CLERK_TIMEOUT_MS` + 60000, so that it outlives every cached answer.",
    ),
  }),
  watch: z.strictObject({
    maxLag: whole(
      "GATEWAY_WATCH_BUFFER",
      { min: 1, max: 1_000_000, initial: 1024, unit: "events" },
      "How many events a watcher may lag behind before its stream is cut.",
    ),
    heartbeatMs: whole(
      "GATEWAY_WATCH_HEARTBEAT_MS",
      { min: 100, max: 60_000, initial: 5000, unit: MS },
      "How often a watcher hears that its stream lives.",
    ),
  }),
  log: z.strictObject({
    level: choice(
      "GATEWAY_LOG_LEVEL",
      ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
      "info",
      "The least level that is logged.",
    ),
    format: choice("GATEWAY_LOG_FORMAT", ["json", "pretty"], "json", "`json` for machines, `pretty` for people."),
  }),
});

/** The configuration, complete and valid. Its secrets are `Secret`s. */
export type Config = z.output<typeof configSchema>;

export interface Setting {
  readonly group: string;
  readonly key: string;
  readonly facts: SettingFacts;
  /** What a value must be, in the form that a file gives it. */
  readonly schema: z.ZodType;
}

/** Variables that begin like settings but are none. */
export const OTHER_VARIABLES = {
  GATEWAY_CONFIG: "Path of the configuration file, where `--config` does not give one.",
  GATEWAY_URL:
    "The gateway that the command line calls, where `--gateway` does not give one. The gateway itself does not read it.",
} as const;

/** All settings in the order of the schema. */
export function listSettings(): readonly Setting[] {
  const settings: Setting[] = [];
  for (const [group, object] of Object.entries(configSchema.shape)) {
    for (const [name, schema] of Object.entries<z.ZodType>(object.shape)) {
      const facts = settingFacts.get(schema);
      if (facts !== undefined) settings.push({ group, key: name, facts, schema });
    }
  }
  return settings;
}

/** The setting's key in the file and its place in `Config`. */
export function settingPath({ group, key: name }: Setting): string {
  return `${group}.${name}`;
}
