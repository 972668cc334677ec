import type { KnownToken } from "./observation.ts";
import type { Json, MachineId, TokenFormat, TokenId } from "./token.ts";

/** A place is 512 bytes: numbers, then the token's text. */
const PLACE_WORDS = 128;
const PLACE_NUMBERS = PLACE_WORDS / 2;
const PLACE_BYTES = PLACE_WORDS * 4;
/** The length of the text; 0 where nothing is. */
const LENGTH = 0;
const USES = 1;
const IS_RENEWING = 2;
/** These have fractions, and take two words each: they count in pairs. */
const OBSERVED_AT_MONOTONIC = 2;
const OBSERVED_AT = 3;
const HEAD_BYTES = 32;
const MAX_TEXT_BYTES = PLACE_BYTES - HEAD_BYTES;
const MAX_USES = 0xffff_ffff;
/** Claims that are nested deeper are too long anyway, or meant to exhaust a stack. */
const MAX_DEPTH = 32;

/** What JSON says of a token, in this order; `null` for `undefined`. */
type Fields = [
  id: TokenId,
  subject: MachineId,
  format: TokenFormat,
  claims: [] | [Json],
  scopes: readonly MachineId[],
  revoked: boolean,
  revocationReason: string | null,
  expired: boolean,
  expiresAtMs: number | null,
  lastUsedAtMs: number | null,
  createdAtMs: number,
  updatedAtMs: number,
  keyId: string | null,
];

/**
 * Known tokens as bytes, by their slots. As objects each of them is a dozen, and V8 visits every page of its heap whenever it collects what is young, many
 * times a second: of a million, that took as long as a third of all calls. See docs/decisions/0025.
 */
export class PackedTokens {
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;

  /** Memory is taken as it is needed. */
  constructor(slots: number) {
    const places = new ArrayBuffer(slots * PLACE_BYTES);
    this.#words = new Uint32Array(places);
    this.#numbers = new Float64Array(places);
    this.#bytes = Buffer.from(places);
  }

  /**
   * Keeps all but what is made anew when it is missing: `valid` and `clearIn`.
   *
   * @returns false for a token that is too large, that JSON does not render faithfully, or whose signature was checked here, as keys are not
   *   bytes
   */
  pack(slot: number, known: KnownToken): boolean {
    const at = slot * PLACE_WORDS;
    if (this.#words[at + LENGTH] === 0 && !this.#write(slot, known)) return false;
    this.#words[at + USES] = Math.min(known.uses, MAX_USES);
    this.#words[at + IS_RENEWING] = known.isRenewing === true ? 1 : 0;
    return true;
  }

  /** What was packed; `undefined` where nothing was. */
  unpack(slot: number): KnownToken | undefined {
    const at = slot * PLACE_WORDS;
    const length = this.#wordAt(slot, LENGTH);
    if (length === 0) return undefined;
    const from = slot * PLACE_BYTES + HEAD_BYTES;
    const fields: Fields = JSON.parse(this.#bytes.toString("utf8", from, from + length));
    return {
      token: tokenOf(fields),
      observedAtMonotonicMs: this.#numberAt(slot, OBSERVED_AT_MONOTONIC),
      observedAtMs: this.#numberAt(slot, OBSERVED_AT),
      uses: this.#wordAt(slot, USES),
      isRenewing: this.#words[at + IS_RENEWING] === 1,
      valid: undefined,
      clearIn: undefined,
      signed: undefined,
    };
  }

  /** From now on the slot is for another token. */
  drop(slot: number): void {
    const at = slot * PLACE_WORDS + LENGTH;
    // What is not written takes no memory: what is never packed, as JWTs that are checked here, needs none.
    if (this.#words[at] !== 0) this.#words[at] = 0;
  }

  #wordAt(slot: number, word: number): number {
    return this.#words[slot * PLACE_WORDS + word] ?? 0;
  }

  #numberAt(slot: number, number: number): number {
    return this.#numbers[slot * PLACE_NUMBERS + number] ?? 0;
  }

  #write(slot: number, { token, signed, observedAtMonotonicMs, observedAtMs }: KnownToken): boolean {
    if (signed !== undefined || (token.claims !== undefined && !isFaithful(token.claims, 0))) return false;
    const text = JSON.stringify(fieldsOf(token));
    if (text.length > MAX_TEXT_BYTES || Buffer.byteLength(text) > MAX_TEXT_BYTES) return false;
    const length = this.#bytes.write(text, slot * PLACE_BYTES + HEAD_BYTES);
    this.#numbers[slot * PLACE_NUMBERS + OBSERVED_AT_MONOTONIC] = observedAtMonotonicMs;
    this.#numbers[slot * PLACE_NUMBERS + OBSERVED_AT] = observedAtMs;
    this.#words[slot * PLACE_WORDS + LENGTH] = length;
    return true;
  }
}

function fieldsOf(token: KnownToken["token"]): Fields {
  return [
    token.id,
    token.subject,
    token.format,
    token.claims === undefined ? [] : [token.claims],
    token.scopes,
    token.revoked,
    token.revocationReason ?? null,
    token.expired,
    token.expiresAtMs ?? null,
    token.lastUsedAtMs ?? null,
    token.createdAtMs,
    token.updatedAtMs,
    token.keyId ?? null,
  ];
}

function tokenOf(fields: Fields): KnownToken["token"] {
  const [
    id,
    subject,
    format,
    claims,
    scopes,
    revoked,
    reason,
    expired,
    expiresAtMs,
    lastUsedAtMs,
    created,
    updated,
    key,
  ] = fields;
  return {
    id,
    subject,
    format,
    claims: claims[0],
    scopes,
    revoked,
    revocationReason: reason ?? undefined,
    expired,
    expiresAtMs: expiresAtMs ?? undefined,
    lastUsedAtMs: lastUsedAtMs ?? undefined,
    createdAtMs: created,
    updatedAtMs: updated,
    keyId: key ?? undefined,
  };
}

/** Whether a value comes back from JSON as it was: JSON knows neither infinities nor a negative zero. */
function isFaithful(json: Json, depth: number): boolean {
  if (typeof json === "number") return Number.isFinite(json) && !Object.is(json, -0);
  if (typeof json !== "object" || json === null) return true;
  return depth < MAX_DEPTH && Object.values(json).every((value) => isFaithful(value, depth + 1));
}
