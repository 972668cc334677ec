import { randomBytes, randomInt } from "node:crypto";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KSUID_EPOCH_S = 1_400_000_000;
const KSUID_CHARS = 27;

export function newInstanceId(nowMs: number): string {
  return `ins_${ksuid(nowMs)}`;
}

export function newMachineId(nowMs: number): string {
  return `mch_${ksuid(nowMs)}`;
}

export function newInstanceKey(): string {
  return `sk_test_${randomAlphanumerics(42)}`;
}

export function newMachineKey(): string {
  return `ak_${randomAlphanumerics(44)}`;
}

/** `mt_` and 32 hexadecimal digits. */
export function newTokenId(): string {
  return `mt_${randomBytes(16).toString("hex")}`;
}

/** `mt_` and 48 letters and digits: longer than an id, so that the two cannot be mistaken for each other. */
export function newTokenSecret(): string {
  return `mt_${randomAlphanumerics(48)}`;
}

export function newTraceId(): string {
  return randomBytes(16).toString("hex");
}

/** 27 characters that sort by time: a 32-bit second count and 128 random bits in base 62. */
function ksuid(nowMs: number): string {
  const bytes = randomBytes(20);
  const seconds = Math.min(Math.max(Math.floor(nowMs / 1000) - KSUID_EPOCH_S, 0), 0xffff_ffff);
  bytes.writeUInt32BE(seconds, 0);
  let rest = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  while (text.length < KSUID_CHARS) {
    text = ALPHABET.charAt(Number(rest % 62n)) + text;
    rest /= 62n;
  }
  return text;
}

function randomAlphanumerics(length: number): string {
  return Array.from({ length }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join("");
}
