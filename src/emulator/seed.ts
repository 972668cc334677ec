import { readFile } from "node:fs/promises";
import { newInstanceId, newInstanceKey, newMachineId, newMachineKey, newTokenId, newTokenSecret } from "./ids.ts";
import { InvalidInput } from "./invalid-input.ts";
import { type Json, parseJson } from "./json.ts";
import { DEFAULT_TOKEN_TTL_SECONDS } from "./limits.ts";
import { seedProblems } from "./seed-problems.ts";

/** What the emulated instance holds at the start and after a reset. What is not given is generated once per start. */
export interface Seed {
  readonly instance?: SeedInstance;
  readonly machines?: readonly SeedMachine[];
  readonly tokens?: readonly SeedToken[];
}

interface SeedInstance {
  /** `ins_` and 27 word characters. */
  readonly id?: string;
  /** Begins with `sk_`. */
  readonly secret_key?: string;
  /** URL that JWTs have as `iss`. Not given: the emulator's own. */
  readonly issuer?: string;
  /** RSA private key in PEM, 2048 bits or more, that signs JWTs. Not given: generated when first needed. */
  readonly signing_key?: string;
}

interface SeedMachine {
  /** 1 to 255 characters, unique in the seed. */
  readonly name: string;
  /** `mch_` and 27 word characters. */
  readonly id?: string;
  /** Begins with `ak_`. */
  readonly secret_key?: string;
  /** Seconds, 1 to 315360000; 3600 when not given. */
  readonly default_token_ttl?: number;
  /** Names or ids of the seed's machines that this one may access; at most 150. */
  readonly scoped_machines?: readonly string[];
}

/** An opaque token. */
interface SeedToken {
  /** Name or id of the machine that minted it. */
  readonly machine: string;
  /** `mt_` and 32 hexadecimal digits. */
  readonly id?: string;
  /** Begins with `mt_`. */
  readonly secret?: string;
  readonly claims?: Json;
  /** Names or ids; the machine's `scoped_machines` when not given. */
  readonly scopes?: readonly string[];
  /** Lifetime from the start or reset, more than 0; null: never expires; the machine's default when not given. */
  readonly seconds_until_expiration?: number | null;
  readonly revoked?: boolean;
  readonly revocation_reason?: string | null;
}

/** A seed with every id and key settled and every reference followed. */
export interface ResolvedSeed {
  readonly instanceId: string;
  readonly instanceKey: string;
  readonly issuer: string | undefined;
  readonly signingKey: string | undefined;
  readonly machines: readonly ResolvedMachine[];
  readonly tokens: readonly ResolvedToken[];
}

interface ResolvedMachine {
  readonly id: string;
  readonly name: string;
  readonly secretKey: string;
  readonly defaultTokenTtlSeconds: number;
  readonly scopes: readonly string[];
}

interface ResolvedToken {
  readonly id: string;
  readonly secret: string;
  readonly subject: string;
  readonly claims: Json;
  readonly scopes: readonly string[];
  readonly ttlSeconds: number | undefined;
  readonly revoked: boolean;
  readonly revocationReason: string | undefined;
}

/** `billing`, granted to itself and to `reports`, and `reports`, granted to `billing`. */
export const DEFAULT_SEED: Seed = {
  machines: [
    { name: "billing", scoped_machines: ["billing", "reports"] },
    { name: "reports", scoped_machines: ["billing"] },
  ],
};

/** @throws InvalidInput naming every problem of the file, unreadable and not JSON included */
export async function readSeed(path: string): Promise<Seed> {
  let value: unknown;
  try {
    value = parseJson(await readFile(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? "is not JSON" : `cannot be read (${codeOf(error)})`;
    throw new InvalidInput("seed", [`the file ${path} ${why}`]);
  }
  assertSeed(value);
  return value;
}

/** @throws InvalidInput naming every problem */
export function assertSeed(value: unknown): asserts value is Seed {
  const problems = seedProblems(value);
  if (problems.length > 0) throw new InvalidInput("seed", problems);
}

/** Settles what the seed leaves open. The seed must have passed `assertSeed`. */
export function resolveSeed(seed: Seed, nowMs: number): ResolvedSeed {
  const named = (seed.machines ?? []).map((machine) => ({ ...machine, id: machine.id ?? newMachineId(nowMs) }));
  const ids = new Map(named.flatMap(({ id, name }) => [[name, id] as const, [id, id] as const]));
  const idsOf = (references: readonly string[]) => [...new Set(references.map((name) => ids.get(name) ?? name))];
  const machines = named.map((machine) => ({
    id: machine.id,
    name: machine.name,
    secretKey: machine.secret_key ?? newMachineKey(),
    defaultTokenTtlSeconds: machine.default_token_ttl ?? DEFAULT_TOKEN_TTL_SECONDS,
    scopes: idsOf(machine.scoped_machines ?? []),
  }));
  const tokens = (seed.tokens ?? []).map((token): ResolvedToken => {
    const subject = ids.get(token.machine) ?? token.machine;
    const machine = machines.find(({ id }) => id === subject);
    const ttl = token.seconds_until_expiration;
    return {
      id: token.id?.toLowerCase() ?? newTokenId(),
      secret: token.secret ?? newTokenSecret(),
      subject,
      claims: token.claims ?? null,
      scopes: token.scopes === undefined ? (machine?.scopes ?? []) : idsOf(token.scopes),
      ttlSeconds: ttl === undefined ? machine?.defaultTokenTtlSeconds : (ttl ?? undefined),
      revoked: token.revoked ?? false,
      revocationReason: token.revocation_reason ?? undefined,
    };
  });
  return {
    instanceId: seed.instance?.id ?? newInstanceId(nowMs),
    instanceKey: seed.instance?.secret_key ?? newInstanceKey(),
    issuer: seed.instance?.issuer,
    signingKey: seed.instance?.signing_key,
    machines,
    tokens,
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}
