import { Cluster, Redis } from "ioredis";
import type { Clock } from "../token/ports.ts";
import { withDeadline } from "./deadline.ts";
import type { RedisOptions } from "./options.ts";
import { redisError } from "./redis-error.ts";
import type { Script } from "./scripts.ts";

export type Client = Redis | Cluster;

/**
 * What a connection is for. Commands fail at once while there is no connection, and are never sent twice; a subscription
 * waits for one, and whoever wants it renews it on the next.
 */
export type Purpose = "commands" | "subscription";

const CONNECT_TIMEOUT_MS = 1_000;
const MIN_SOCKET_TIMEOUT_MS = 1_000;
const SENTINEL_TIMEOUT_MS = 500;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 400;

/** Starts to connect and goes on trying until it is disconnected. Reports problems and never throws them. */
export function openClient(options: RedisOptions, purpose: Purpose): Client {
  const { nodes, mode } = options;
  const client =
    mode === "cluster" && !("unixSocket" in nodes)
      ? new Cluster([...nodes], clusterOptions(options, purpose))
      : new Redis(serverOptions(options, purpose));
  client.on("error", (error: unknown) => {
    options.onEvent({ kind: "error", error: redisError(`the ${purpose} connection`, error) });
  });
  client.on("end", () => goOn(client, options.clock));
  return client;
}

/** Clients that are not to connect again. */
const CLOSED = new WeakSet<Client>();

/**
 * Connects a client again that has ended by itself: one of the library's, when it hears from a sentinel of a new primary, cuts what is just
 * being connected, and takes that for its last word.
 */
function goOn(client: Client, clock: Clock): void {
  if (CLOSED.has(client)) return;
  clock.after(FIRST_RETRY_MS, () => {
    // What is wrong is told by the event `error`.
    if (!CLOSED.has(client) && client.status === "end") client.connect().catch(() => undefined);
  });
}

const HANDSHAKE_MS = 300;

/**
 * Ends a client for good. Not in the middle of a handshake, if that ends soon: its commands are the client library's own, and
 * one that is cut off there is rejected where nobody can catch it.
 */
export async function closeClient(client: Client): Promise<void> {
  CLOSED.add(client);
  if (client.status === "connecting" || client.status === "connect") {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, HANDSHAKE_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      for (const event of ["ready", "close", "end"] as const) client.once(event, done);
    });
  }
  client.disconnect();
}

/**
 * Runs a script by its digest, and by its text where the server has not seen it yet.
 * @throws RedisError
 */
export async function runScript(
  client: Client,
  script: Script,
  keys: readonly string[],
  values: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.call("evalsha", script.sha, keys.length, ...keys, ...values);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
  }
  return await client.call("eval", script.lua, keys.length, ...keys, ...values);
}

/** Resolves when commands can be sent. @throws RedisError after `timeoutMs`, GatewayError CANCELED */
export async function waitUntilReady(
  client: Client,
  timeoutMs: number,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  if (client.status === "ready") return;
  let ready = () => {};
  const connected = new Promise<void>((resolve) => {
    ready = resolve;
    client.once("ready", resolve);
  });
  await withDeadline(connected, timeoutMs, clock, signal).finally(() => client.off("ready", ready));
}

/**
 * A socket that owes an answer for so long is given up: a peer that vanished sends neither data nor an end. Nothing is
 * owed on a connection that is idle or only subscribed.
 */
function commonOptions(options: RedisOptions, purpose: Purpose) {
  return {
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: definedOnly(options.tls) }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: Math.max(MIN_SOCKET_TIMEOUT_MS, options.boundMs),
    maxRetriesPerRequest: purpose === "commands" ? 0 : null,
    autoResendUnfulfilledCommands: purpose === "subscription",
    // A primary that was demoted under an open connection: look for the new one.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  };
}

function serverOptions(options: RedisOptions, purpose: Purpose) {
  return {
    ...commonOptions(options, purpose),
    ...addressOf(options),
    db: options.database ?? 0,
    enableOfflineQueue: purpose === "subscription",
    autoResubscribe: false,
    retryStrategy,
  };
}

function addressOf({ nodes, mode, sentinelMaster, sentinelPassword, tls }: RedisOptions) {
  if ("unixSocket" in nodes) return { path: nodes.unixSocket };
  if (mode !== "sentinel") return { ...nodes[0] };
  return {
    sentinels: [...nodes],
    ...(sentinelMaster === undefined ? {} : { name: sentinelMaster }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: definedOnly(tls) }),
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    sentinelRetryStrategy: retryStrategy,
    failoverDetector: true,
    sentinelReconnectStrategy: retryStrategy,
  };
}

function clusterOptions(options: RedisOptions, purpose: Purpose) {
  return {
    redisOptions: commonOptions(options, purpose),
    enableOfflineQueue: purpose === "subscription",
    clusterRetryStrategy: retryStrategy,
    clusterNodeRetryStrategy: retryStrategy,
    retryDelayOnFailover: FIRST_RETRY_MS,
    retryDelayOnClusterDown: FIRST_RETRY_MS,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
  };
}

/** Doubling, capped, and spread so that a fleet does not come back in one instant. */
function retryStrategy(attempt: number): number {
  const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10));
  return delayMs * (0.5 + Math.random() / 2);
}

function definedOnly<T extends object>(options: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]: Exclude<T[Name], undefined>;
  };
}
