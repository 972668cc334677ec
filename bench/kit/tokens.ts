import { createHash } from "node:crypto";

const MACHINE = "bench";
export const MACHINE_ID = `mch_${"2benchBENCH".padEnd(27, "0")}`;
export const MACHINE_KEY = `ak_${"b".repeat(44)}`;
export const INSTANCE_KEY = `sk_test_${"b".repeat(42)}`;

/** As many tokens as the emulator knows: `secretAt(0)` and on. */
export const KNOWN_TOKENS = 4_096;

const PREFIX = "mt_";
const DIGITS = 8;
/** What follows the number, to the length that the upstream's tokens have. */
const FILLER = createHash("sha256").update("benchmark").digest("hex").slice(0, 40);

/** The secret of a token, of the same length for all. It is unlike any real one's, being a number for the most part. */
export function secretAt(index: number): string {
  return `${PREFIX}${index.toString(16).padStart(DIGITS, "0")}${FILLER}`;
}

/** Where the digits of the number are in a secret. */
export const SECRET_DIGITS = { offset: PREFIX.length, length: DIGITS } as const;

/** What every token says and for how long it is good, in seconds. */
export const CLAIMS = { role: "reader", region: "eu-west-1" };
export const LIFETIME_SECONDS = 86_400;

/** What the emulator starts with. */
export function seedJson(): string {
  const tokens = Array.from({ length: KNOWN_TOKENS }, (_, index) => ({
    machine: MACHINE,
    secret: secretAt(index),
    claims: CLAIMS,
    seconds_until_expiration: LIFETIME_SECONDS,
  }));
  const machine = { name: MACHINE, id: MACHINE_ID, secret_key: MACHINE_KEY, scoped_machines: [MACHINE] };
  return JSON.stringify({ instance: { secret_key: INSTANCE_KEY }, machines: [machine], tokens });
}
