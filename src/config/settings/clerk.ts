import { z } from "zod";
import { httpUrl, key, MS, matching, optionalText, whole } from "../setting.ts";

/** Clerk's API. */
export const clerkSettings = z.strictObject({
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
  caFile: optionalText(
    "CLERK_CA_FILE",
    "the path of a file",
    "PEM file of the authorities that the certificate of Clerk's API, or of the proxy in front of it, may come from, in place of the usual ones. Counts for the issuer too, where the keys of JWTs are fetched from it.",
  ),
  clientCertFile: optionalText(
    "CLERK_CLIENT_CERT_FILE",
    "the path of a file",
    "PEM file of the certificate that the gateway shows there.",
  ),
  clientKeyFile: optionalText(
    "CLERK_CLIENT_KEY_FILE",
    "the path of a file",
    "PEM file of the private key of that certificate.",
  ),
  servername: optionalText(
    "CLERK_SERVERNAME",
    "a host name",
    "Name to expect in that certificate, when it is not the host of the URL.",
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
    { min: 0, max: 1_000_000, initial: 512, unit: "calls" },
    "How many calls may wait for their turn; others are refused at once.",
  ),
  maxRequestsPerSecond: whole(
    "CLERK_MAX_REQUESTS_PER_SECOND",
    { min: 1, max: 100_000, initial: 90, unit: "requests per second" },
    "How many requests are sent, with bursts of one second's worth. Clerk allows a production instance 1000 and a development instance 100 in ten seconds, for all gateways together: divide it among them.",
  ),
});
