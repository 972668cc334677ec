import type { Clock } from "../token/ports.ts";
import type { MachineId } from "../token/token.ts";
import { Allowance } from "./allowance.ts";
import { type Caller, UNNAMED } from "./caller.ts";
import { fingerprintIn } from "./caller-key.ts";
import type { CallerEntry } from "./callers-file.ts";
import type { Badge, PeerFacts } from "./peer.ts";
import { ALL_ROLES, rolesFrom } from "./role.ts";

export interface CallersOptions {
  readonly clock: Clock;
  /** Who there is; `undefined` when callers are not told apart, and everybody may do everything. */
  readonly entries: readonly CallerEntry[] | undefined;
  /** Whether those who can only be on this machine must say who they are too. */
  readonly demandsLocal: boolean;
}

/** How much one caller has asked for. */
export interface CallerUse {
  readonly name: string;
  readonly admitted: number;
  readonly inFlight: number;
}

/**
 * Who may call. A caller is found once for what its requests show, and again when `generation` has changed: a reload takes
 * effect with the next call of every open connection.
 */
export class Callers {
  readonly #clock: Clock;
  readonly #demandsLocal: boolean;
  /** Callers that the file does not name. */
  readonly #anyone: Caller;
  readonly #listeners = new Set<() => void>();
  #isConfigured = false;
  #named: ReadonlyMap<string, Caller> = new Map();
  /** By the hash of a key, and by the names in certificates. */
  #byFingerprint: ReadonlyMap<string, Caller> = new Map();
  #byUri: ReadonlyMap<string, Caller> = new Map();
  #byDnsName: ReadonlyMap<string, Caller> = new Map();
  /** Changes whenever `identify` may find somebody else. */
  generation = 0;

  constructor({ clock, entries, demandsLocal }: CallersOptions) {
    this.#clock = clock;
    this.#demandsLocal = demandsLocal;
    this.#anyone = {
      name: UNNAMED,
      identity: entries === undefined ? undefined : UNNAMED,
      roles: ALL_ROLES,
      subjects: undefined,
      allowance: new Allowance(clock),
    };
    if (entries !== undefined) this.replace(entries);
  }

  /** Whether anybody is told apart. */
  get isConfigured(): boolean {
    return this.#isConfigured;
  }

  /** Whose requests show this; `undefined` for nobody who may call. */
  identify(badge: Badge): Caller | undefined {
    if (badge.generation !== this.generation) {
      badge.caller = this.#find(badge);
      badge.generation = this.generation;
    }
    return badge.caller;
  }

  /** Takes over a new state of the file. What callers of the same name have used up counts on. */
  replace(entries: readonly CallerEntry[]): void {
    const named = new Map<string, Caller>();
    const byFingerprint = new Map<string, Caller>();
    const byUri = new Map<string, Caller>();
    const byDnsName = new Map<string, Caller>();
    for (const entry of entries) {
      const caller = this.#callerOf(entry);
      named.set(caller.name, caller);
      for (const key of entry.keys) byFingerprint.set(key, caller);
      for (const uri of entry.uris) byUri.set(uri, caller);
      for (const dnsName of entry.dnsNames) byDnsName.set(dnsName.toLowerCase(), caller);
    }
    this.#named = named;
    this.#byFingerprint = byFingerprint;
    this.#byUri = byUri;
    this.#byDnsName = byDnsName;
    this.#isConfigured = true;
    this.generation += 1;
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Those that the file names now, and `unnamed` for all others together. */
  uses(): readonly CallerUse[] {
    return [this.#anyone, ...this.#named.values()].map(({ name, allowance }) => ({
      name,
      admitted: allowance.admitted,
      inFlight: allowance.inFlight,
    }));
  }

  /**
   * A key that is sent decides, and so does an unknown one: whoever sends it means to be somebody. It is looked up by its
   * SHA-256, so how long that takes tells of the hash of a guess and not of a key.
   */
  #find({ authorization, peer }: Badge): Caller | undefined {
    if (!this.#isConfigured) return this.#anyone;
    if (authorization !== undefined) return this.#byFingerprint.get(fingerprintIn(authorization) ?? "");
    const certified = this.#findCertified(peer);
    if (certified !== undefined) return certified;
    return peer.isLocal && !this.#demandsLocal ? this.#anyone : undefined;
  }

  /** A certificate whose names are those of several callers is nobody's. */
  #findCertified({ names }: PeerFacts): Caller | undefined {
    if (names === undefined) return undefined;
    const found = new Set<Caller>();
    for (const uri of names.uris) addIfAny(found, this.#byUri.get(uri));
    for (const dnsName of names.dnsNames) addIfAny(found, this.#byDnsName.get(dnsName));
    return found.size === 1 ? [...found][0] : undefined;
  }

  #callerOf({ name, roles, subjects, limits }: CallerEntry): Caller {
    const allowance = this.#named.get(name)?.allowance ?? new Allowance(this.#clock);
    allowance.limit(limits);
    const confinedTo = subjects === undefined ? undefined : new Set(subjects as MachineId[]);
    return { name, identity: name, roles: rolesFrom(roles), subjects: confinedTo, allowance };
  }
}

function addIfAny(callers: Set<Caller>, caller: Caller | undefined): void {
  if (caller !== undefined) callers.add(caller);
}
