import { ConfigError } from "./config/problem.ts";
import type { Config } from "./config/settings.ts";
import type { Logger } from "./logger.ts";
import { IssuerKeys } from "./token/issuer-keys.ts";
import type { JwtRules } from "./token/jwt.ts";
import type { Clock, KeyEndpoint, SigningKeys } from "./token/ports.ts";
import { FixedKey, parsePublicKey } from "./token/signing-keys.ts";
import type { MachineId } from "./token/token.ts";
import { IssuerEndpoint } from "./upstream/issuer-endpoint.ts";

/** What JWTs are checked with. */
export interface JwtKeys {
  readonly keys: SigningKeys;
  readonly rules: JwtRules;
  start(): void;
  /** The key that opens the key set may be another instance's from now on. */
  renew(): void;
  /** Trusts these authorities, in PEM, in place of the usual ones, where the keys are fetched from the issuer. */
  trust(ca: string | undefined): void;
  close(): Promise<void>;
}

/**
 * Where the keys come from, as far as the configuration names a source: the key itself, the instance's key set, or the one
 * that the configured issuer publishes. `undefined` when there is none, or when it is not known which machine JWTs must be
 * granted to: then they are for the upstream to decide.
 *
 * @throws ConfigError when the key cannot be used
 */
export function openJwtKeys(config: Config, log: Logger, clock: Clock, instanceKeys: KeyEndpoint): JwtKeys | undefined {
  const { jwt, clerk } = config;
  const issuer = jwt.issuer ?? issuerOf(jwt.publishableKey);
  if (jwt.machineId === undefined && jwt.grant !== "any") return undefined;
  const rules: JwtRules = {
    issuer,
    machineId: jwt.machineId as MachineId | undefined,
    grant: jwt.grant,
    clockSkewMs: jwt.clockSkewMs,
    maxLifetimeMs: jwt.maxLifetimeMs,
  };
  if (jwt.key !== undefined)
    return { keys: fixedKey(jwt.key), rules, start() {}, renew() {}, trust() {}, async close() {} };
  const open = (endpoint: KeyEndpoint) =>
    new IssuerKeys({
      endpoint,
      clock,
      refreshMs: jwt.keysRefreshMs,
      cooldownMs: jwt.keysCooldownMs,
      maxAgeMs: jwt.keysMaxAgeMs,
      onError: (err) => log.warn({ err }, "the keys of JWTs cannot be fetched"),
    });
  if (clerk.secretKey !== undefined) {
    const keys = open(instanceKeys);
    const close = async () => keys.close();
    return { keys, rules, start: () => keys.start(), renew: () => keys.renew(), trust() {}, close };
  }
  if (issuer === undefined) return undefined;
  const endpoint = new IssuerEndpoint({ issuer, timeoutMs: clerk.timeoutMs, clock });
  const keys = open(endpoint);
  const close = async () => {
    keys.close();
    await endpoint.close();
  };
  return { keys, rules, start: () => keys.start(), renew() {}, trust: (ca) => endpoint.trust(ca), close };
}

function fixedKey(pem: string): FixedKey {
  try {
    return new FixedKey(parsePublicKey(pem.replaceAll("\\n", "\n")));
  } catch (error) {
    const what = error instanceof TypeError ? error.message : "it cannot be read";
    throw new ConfigError([
      {
        where: "CLERK_JWT_KEY",
        what: `cannot be used: ${what}`,
        fix: "copy the JWKS public key from Clerk's dashboard",
      },
    ]);
  }
}

/** A publishable key is the Frontend API's host and a dollar sign, in base64. */
function issuerOf(publishableKey: string | undefined): string | undefined {
  if (publishableKey === undefined) return undefined;
  const text = Buffer.from(publishableKey.replace(/^pk_(?:live|test)_/, ""), "base64").toString("latin1");
  if (/^[a-z0-9.-]{1,253}\$$/.test(text)) return `https://${text.slice(0, -1)}`;
  throw new ConfigError([
    {
      where: "CLERK_PUBLISHABLE_KEY",
      what: "names no host",
      fix: "copy it from Clerk's dashboard, or set CLERK_JWT_ISSUER",
    },
  ]);
}
