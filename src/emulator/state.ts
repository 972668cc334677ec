import type { EmulatorClock } from "./clock.ts";
import { newMachineId, newMachineKey, newTokenId, newTokenSecret } from "./ids.ts";
import type { Json } from "./json.ts";
import type { ResolvedSeed } from "./seed.ts";

export interface MachineRecord {
  readonly id: string;
  name: string;
  /** The current key. Former ones may be valid for a while yet. */
  secretKey: string;
  defaultTokenTtlSeconds: number;
  /** Ids of the machines that its tokens grant access to. */
  readonly scopes: Set<string>;
  readonly createdAtMs: number;
  updatedAtMs: number;
}

export interface TokenRecord {
  readonly id: string;
  readonly secret: string;
  /** Id of the machine that minted it. */
  readonly subject: string;
  readonly claims: Json;
  /** Frozen when it was minted. */
  readonly scopes: readonly string[];
  /** `undefined` when it never expires. */
  readonly expiresAtMs: number | undefined;
  readonly createdAtMs: number;
  updatedAtMs: number;
  lastUsedAtMs: number | undefined;
  revokedAtMs: number | undefined;
  revocationReason: string | undefined;
}

interface KeyRecord {
  readonly machineId: string;
  /** `undefined` for a current key; for a rotated one, when it dies. */
  diesAtMs: number | undefined;
}

/** All that the emulated instance knows, in memory, with the indexes its lookups need. */
export class State {
  readonly #clock: EmulatorClock;
  readonly #seed: ResolvedSeed;
  readonly #machines = new Map<string, MachineRecord>();
  readonly #keys = new Map<string, KeyRecord>();
  readonly #tokens = new Map<string, TokenRecord>();
  readonly #tokensBySecret = new Map<string, TokenRecord>();
  readonly #tokensBySubject = new Map<string, TokenRecord[]>();

  constructor(seed: ResolvedSeed, clock: EmulatorClock) {
    this.#seed = seed;
    this.#clock = clock;
    this.reset();
  }

  get instanceId(): string {
    return this.#seed.instanceId;
  }

  get instanceKey(): string {
    return this.#seed.instanceKey;
  }

  /** Back to the seed: the same ids, keys and tokens as at the start, born now. */
  reset(): void {
    for (const index of [this.#machines, this.#keys, this.#tokens, this.#tokensBySecret, this.#tokensBySubject]) {
      index.clear();
    }
    for (const { id, name, secretKey, defaultTokenTtlSeconds, scopes } of this.#seed.machines) {
      this.addMachine({ id, name, secretKey, defaultTokenTtlSeconds, scopes });
    }
    for (const { revoked, revocationReason, ...token } of this.#seed.tokens) {
      const record = this.addToken(token);
      if (revoked) this.revoke(record, revocationReason);
    }
  }

  addMachine(machine: {
    id?: string;
    name: string;
    secretKey?: string;
    defaultTokenTtlSeconds: number;
    scopes: Iterable<string>;
  }): MachineRecord {
    const nowMs = this.#clock.nowMs();
    const record: MachineRecord = {
      id: machine.id ?? newMachineId(nowMs),
      name: machine.name,
      secretKey: machine.secretKey ?? newMachineKey(),
      defaultTokenTtlSeconds: machine.defaultTokenTtlSeconds,
      scopes: new Set(machine.scopes),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
    this.#machines.set(record.id, record);
    this.#keys.set(record.secretKey, { machineId: record.id, diesAtMs: undefined });
    return record;
  }

  /** In order of creation. */
  machines(): MachineRecord[] {
    return [...this.#machines.values()];
  }

  machine(id: string): MachineRecord | undefined {
    return this.#machines.get(id);
  }

  /** The machine that `key` is a live key of. */
  machineOfKey(key: string): MachineRecord | undefined {
    const record = this.#keys.get(key);
    if (record === undefined) return undefined;
    if (record.diesAtMs !== undefined && record.diesAtMs <= this.#clock.nowMs()) {
      this.#keys.delete(key);
      return undefined;
    }
    return this.#machines.get(record.machineId);
  }

  /** Gives the machine a new key. Its present one dies after `graceSeconds`; earlier ones keep their own terms. */
  rotateKey(machine: MachineRecord, graceSeconds: number): void {
    const nowMs = this.#clock.nowMs();
    const present = this.#keys.get(machine.secretKey);
    if (present !== undefined) present.diesAtMs = nowMs + graceSeconds * 1000;
    machine.secretKey = newMachineKey();
    machine.updatedAtMs = nowMs;
    this.#keys.set(machine.secretKey, { machineId: machine.id, diesAtMs: undefined });
  }

  /** Its keys die at once and no machine has access to it any more. Its tokens go only if `withTokens`. */
  removeMachine(machine: MachineRecord, withTokens: boolean): void {
    this.#machines.delete(machine.id);
    for (const [key, record] of this.#keys) {
      if (record.machineId === machine.id) this.#keys.delete(key);
    }
    for (const other of this.#machines.values()) other.scopes.delete(machine.id);
    if (!withTokens) return;
    for (const token of this.tokensOf(machine.id)) {
      this.#tokens.delete(token.id);
      this.#tokensBySecret.delete(token.secret);
    }
    this.#tokensBySubject.delete(machine.id);
  }

  /** Without `ttlSeconds` it never expires. A fraction of a millisecond is rounded up. */
  addToken({
    ttlSeconds,
    ...token
  }: {
    id?: string;
    secret?: string;
    subject: string;
    claims: Json;
    scopes: readonly string[];
    ttlSeconds: number | undefined;
  }): TokenRecord {
    const nowMs = this.#clock.nowMs();
    const record: TokenRecord = {
      ...token,
      expiresAtMs: ttlSeconds === undefined ? undefined : nowMs + Math.ceil(ttlSeconds * 1000),
      id: token.id ?? newTokenId(),
      secret: token.secret ?? newTokenSecret(),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      lastUsedAtMs: undefined,
      revokedAtMs: undefined,
      revocationReason: undefined,
    };
    this.#tokens.set(record.id, record);
    this.#tokensBySecret.set(record.secret, record);
    const siblings = this.#tokensBySubject.get(record.subject);
    if (siblings === undefined) this.#tokensBySubject.set(record.subject, [record]);
    else siblings.push(record);
    return record;
  }

  /** In order of creation. */
  tokens(): TokenRecord[] {
    return [...this.#tokens.values()];
  }

  /** Those the machine minted, in order of creation. */
  tokensOf(subject: string): readonly TokenRecord[] {
    return this.#tokensBySubject.get(subject) ?? [];
  }

  token(id: string): TokenRecord | undefined {
    return this.#tokens.get(id);
  }

  tokenBySecret(secret: string): TokenRecord | undefined {
    return this.#tokensBySecret.get(secret);
  }

  revoke(token: TokenRecord, reason: string | undefined): void {
    const nowMs = this.#clock.nowMs();
    token.revokedAtMs = nowMs;
    token.updatedAtMs = nowMs;
    token.revocationReason = reason;
  }
}

export function isExpired(token: TokenRecord, nowMs: number): boolean {
  return token.expiresAtMs !== undefined && token.expiresAtMs <= nowMs;
}
