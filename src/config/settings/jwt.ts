import { z } from "zod";
import { choice, MS, optionalHttpUrl, optionalMatching, optionalText, whole } from "../setting.ts";

/** JWT-format tokens. */
export const jwtSettings = z.strictObject({
  machineId: optionalMatching(
    "CLERK_MACHINE_ID",
    { pattern: /^mch_\w{27}$/, accepts: "the id of a machine (mch_…)", initial: "not set" },
    "The machine that the gateway verifies for. JWTs must name it in `aud` or `scopes`. Needed to check JWTs here; without it they are sent to Clerk.",
  ),
  key: optionalText(
    "CLERK_JWT_KEY",
    "a public RSA key in PEM",
    "Public key that JWTs are checked with, in PEM; line breaks may be written as `\\n`. Not set: the keys are fetched with `CLERK_SECRET_KEY`, or from the issuer.",
  ),
  issuer: optionalHttpUrl(
    "CLERK_JWT_ISSUER",
    "The issuer (`iss`) of JWTs: Clerk's Frontend API URL, such as `https://clerk.example.com`. With neither `CLERK_JWT_KEY` nor `CLERK_SECRET_KEY` its published keys are used. Not set: taken from `CLERK_PUBLISHABLE_KEY`, else any issuer whose JWTs the key signed.",
  ),
  publishableKey: optionalMatching(
    "CLERK_PUBLISHABLE_KEY",
    {
      pattern: /^pk_(?:live|test)_[A-Za-z0-9+/_=-]{4,512}$/,
      accepts: "a publishable key (pk_live_… or pk_test_…)",
      initial: "not set",
    },
    "Publishable key of the instance. It names the issuer, and is used for nothing else.",
  ),
  grant: choice(
    "GATEWAY_JWT_GRANT",
    ["required", "if_stated", "any"],
    "required",
    "Whether JWTs must name the machine in `aud` or `scopes`: `required`; `if_stated`, where they have either claim; `any`, never, as Clerk's SDK does.",
  ),
  whenUnsynced: choice(
    "GATEWAY_JWT_WHEN_UNSYNCED",
    ["refuse", "allow"],
    "refuse",
    "What becomes of a good JWT while the revocation log has not been read within `GATEWAY_STALENESS_BOUND_MS`: `refuse` answers UNAVAILABLE, `allow` answers VALID although it may be revoked.",
  ),
  clockSkewMs: whole(
    "GATEWAY_JWT_CLOCK_SKEW_MS",
    { min: 0, max: 60_000, initial: 5000, unit: MS },
    "By how much Clerk's clock and this one may differ when `exp`, `nbf` and `iat` are checked.",
  ),
  maxLifetimeMs: whole(
    "GATEWAY_JWT_MAX_LIFETIME_MS",
    { min: 60_000, max: 315_360_000_000, initial: 315_360_000_000, unit: MS },
    "The longest life of a JWT that is accepted, from `iat` to `exp`. Revocations of a machine's or a key's JWTs are remembered for as long. The default is the longest that a machine can be given.",
  ),
  keysRefreshMs: whole(
    "GATEWAY_JWKS_REFRESH_MS",
    { min: 1000, max: 86_400_000, initial: 300_000, unit: MS },
    "How often the keys are fetched anew. A key that the issuer has withdrawn is trusted for this long.",
  ),
  keysCooldownMs: whole(
    "GATEWAY_JWKS_COOLDOWN_MS",
    { min: 100, max: 600_000, initial: 10_000, unit: MS },
    "The least time between two fetches that JWTs with unknown keys cause.",
  ),
  keysMaxAgeMs: whole(
    "GATEWAY_JWKS_MAX_AGE_MS",
    { min: 1000, max: 604_800_000, initial: 3_600_000, unit: MS },
    "How long the last keys count while they cannot be fetched anew. At least `GATEWAY_JWKS_REFRESH_MS`.",
  ),
});
