import { z } from "zod";
import { MS, matching, optionalText, secretText, whole } from "../setting.ts";

/** The fleet's Redis. */
export const redisSettings = z.strictObject({
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
});
