import type { Check } from "./checks.ts";
import { isLoopback } from "./endpoint.ts";

const NEEDS_MACHINE = {
  what: "is given, but not the machine that JWTs must be granted to",
  fix: "set CLERK_MACHINE_ID to the machine that the gateway verifies for, or GATEWAY_JWT_GRANT=any to accept the JWTs of every machine for any other",
};

/** What the settings of JWTs say only together. */
export const JWT_CHECKS: readonly Check[] = [
  {
    paths: ["jwt.key", "jwt.machineId", "jwt.grant"],
    find: ({ jwt }) =>
      jwt.key !== undefined && jwt.machineId === undefined && jwt.grant !== "any" ? NEEDS_MACHINE : undefined,
  },
  {
    paths: ["jwt.issuer", "jwt.machineId", "jwt.grant"],
    find: ({ jwt }) =>
      jwt.issuer !== undefined && jwt.machineId === undefined && jwt.grant !== "any" ? NEEDS_MACHINE : undefined,
  },
  {
    paths: ["jwt.issuer", "gateway.insecure"],
    find: ({ jwt, gateway }) => {
      if (jwt.issuer === undefined || gateway.insecure) return undefined;
      const { protocol, hostname } = new URL(jwt.issuer);
      if (protocol === "https:" || isLoopback(hostname.replace(/^\[|\]$/g, ""))) return undefined;
      return {
        what: "would fetch keys unencrypted from another machine",
        fix: "use https, or set GATEWAY_INSECURE=true if the network in between is safe",
      };
    },
  },
  {
    paths: ["jwt.keysMaxAgeMs", "jwt.keysRefreshMs"],
    find: ({ jwt }) =>
      jwt.keysMaxAgeMs < jwt.keysRefreshMs
        ? {
            what: `is ${jwt.keysMaxAgeMs}, less than GATEWAY_JWKS_REFRESH_MS, which is ${jwt.keysRefreshMs}`,
            fix: "raise it, or lower GATEWAY_JWKS_REFRESH_MS",
          }
        : undefined,
  },
];
