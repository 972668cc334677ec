import { createPrivateKey } from "node:crypto";
import { isDeeperThan, isJsonObject, type Json } from "./json.ts";
import { MAX_CLAIMS_LEVELS } from "./limits.ts";

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => string | undefined;

/** Everything wrong with a seed, each with its place. A key or a token is never quoted. */
export function seedProblems(value: unknown): string[] {
  if (!isJsonObject(value)) return ["the seed must be an object"];
  const problems = checkFields("", value, { instance: isObject, machines: listOfObjects, tokens: listOfObjects }, []);
  if (problems.length > 0) return problems;
  const seed: Fields = value;
  const instance = isJsonObject(seed.instance) ? seed.instance : {};
  const machines = objectsOf(seed.machines);
  const tokens = objectsOf(seed.tokens);
  problems.push(...checkFields("instance.", instance, INSTANCE_FIELDS, []));
  machines.forEach((machine, i) => {
    problems.push(...checkFields(`machines[${i}].`, machine, MACHINE_FIELDS, ["name"]));
  });
  tokens.forEach((token, i) => {
    problems.push(...checkFields(`tokens[${i}].`, token, TOKEN_FIELDS, ["machine"]));
  });
  problems.push(...duplicates("machines", machines, ["name", "id", "secret_key"]));
  problems.push(...duplicates("tokens", tokens, ["id", "secret"]));
  problems.push(...unknownReferences(machines, tokens));
  return problems;
}

const INSTANCE_FIELDS: Readonly<Record<string, Check>> = {
  id: matching(/^ins_\w{27}$/, "ins_ and 27 word characters"),
  secret_key: matching(/^sk_[!-~]+$/, "a key that begins with sk_"),
  issuer: (value) => (typeof value === "string" && URL.canParse(value) ? undefined : "must be a URL"),
  signing_key: (value) => (isRsaKey(value) ? undefined : "must be an RSA private key in PEM, 2048 bits or more"),
};

const MACHINE_FIELDS: Readonly<Record<string, Check>> = {
  name: (value) =>
    typeof value === "string" && value.length >= 1 && value.length <= 255 ? undefined : "must have 1 to 255 characters",
  id: matching(/^mch_\w{27}$/, "mch_ and 27 word characters"),
  secret_key: matching(/^ak_[!-~]+$/, "a key that begins with ak_"),
  default_token_ttl: (value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 315_360_000
      ? undefined
      : "must be a whole number of seconds from 1 to 315360000",
  scoped_machines: (value) => listOfNames(value, 150),
};

const TOKEN_FIELDS: Readonly<Record<string, Check>> = {
  machine: (value) => (typeof value === "string" ? undefined : "must be a machine's name or id"),
  id: matching(/^mt_[0-9A-Fa-f]{32}$/, "mt_ and 32 hexadecimal digits"),
  secret: matching(/^mt_[!-~]+$/, "a token that begins with mt_"),
  claims: (value) => (isDeeperThan(value as Json, MAX_CLAIMS_LEVELS) ? "nests too deep" : undefined),
  scopes: (value) => listOfNames(value, 150),
  seconds_until_expiration: (value) =>
    value === null || (typeof value === "number" && value > 0 && value <= 315_360_000)
      ? undefined
      : "must be null or a number of seconds above 0, at most 315360000",
  revoked: (value) => (typeof value === "boolean" ? undefined : "must be true or false"),
  revocation_reason: (value) => (value === null || typeof value === "string" ? undefined : "must be text or null"),
};

function checkFields(place: string, value: Fields, checks: Readonly<Record<string, Check>>, required: string[]) {
  const problems = required.filter((key) => value[key] === undefined).map((key) => `${place}${key}: is missing`);
  for (const [key, given] of Object.entries(value)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    const problem = check === undefined ? "is not a field of the seed" : given !== undefined && check(given);
    if (problem) problems.push(`${place}${key}: ${problem}`);
  }
  return problems;
}

function duplicates(place: string, list: readonly Fields[], keys: readonly string[]): string[] {
  return keys.flatMap((key) => {
    const seen = new Set<unknown>();
    return list.flatMap((entry, i) => {
      const value = entry[key];
      if (value === undefined) return [];
      const again = seen.has(value);
      seen.add(value);
      return again ? [`${place}[${i}].${key}: is used twice`] : [];
    });
  });
}

function unknownReferences(machines: readonly Fields[], tokens: readonly Fields[]): string[] {
  const known = new Set(machines.flatMap(({ name, id }) => [name, id]));
  const check = (place: string, references: unknown) =>
    (Array.isArray(references) ? references : []).flatMap((reference, i) =>
      typeof reference !== "string" || known.has(reference)
        ? []
        : [`${place}[${i}]: no machine of the seed has this name or id`],
    );
  const checkOne = (place: string, reference: unknown) =>
    typeof reference !== "string" || known.has(reference)
      ? []
      : [`${place}: no machine of the seed has this name or id`];
  return [
    ...machines.flatMap((machine, i) => check(`machines[${i}].scoped_machines`, machine.scoped_machines)),
    ...tokens.flatMap((token, i) => checkOne(`tokens[${i}].machine`, token.machine)),
    ...tokens.flatMap((token, i) => check(`tokens[${i}].scopes`, token.scopes)),
  ];
}

function isObject(value: unknown): string | undefined {
  return isJsonObject(value) ? undefined : "must be an object";
}

function listOfObjects(value: unknown): string | undefined {
  return Array.isArray(value) && value.every(isJsonObject) ? undefined : "must be a list of objects";
}

function listOfNames(value: unknown, max: number): string | undefined {
  const names = Array.isArray(value) && value.length <= max && value.every((name) => typeof name === "string");
  return names ? undefined : `must be a list of at most ${max} names or ids`;
}

function objectsOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value : [];
}

function matching(pattern: RegExp, description: string): Check {
  return (value) => (typeof value === "string" && pattern.test(value) ? undefined : `must be ${description}`);
}

function isRsaKey(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    const key = createPrivateKey(value);
    return key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
  } catch {
    return false;
  }
}
