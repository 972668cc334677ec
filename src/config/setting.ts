import { z } from "zod";
import { type Endpoint, type ListenAddress, parseEndpoint, parseListenAddress } from "./endpoint.ts";
import { Secret } from "./secret.ts";

/** The unit of settings in milliseconds. */
export const MS = "milliseconds";

/** What is known of a setting beyond its schema. */
export interface SettingFacts {
  /** The environment variable. */
  readonly variable: string;
  readonly kind: "number" | "boolean" | "text" | "secret";
  readonly description: string;
  /** What may be given, for people: bounds, unit, form. */
  readonly accepts: string;
  /** The default, for people. */
  readonly initial: string;
}

/** The facts of every setting, by its schema. */
export const settingFacts = z.registry<SettingFacts>();

interface WholeRange {
  readonly min: number;
  readonly max: number;
  readonly initial: number;
  readonly unit: string;
}

export function whole(variable: string, { min, max, initial, unit }: WholeRange, description: string) {
  const accepts = `a whole number from ${min} to ${max} (${unit})`;
  const error = `is not ${accepts}`;
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "number", description, accepts, initial: String(initial) });
}

export function onOff(variable: string, description: string, initial = false) {
  const accepts = "true or false";
  return z
    .boolean({ error: `is not ${accepts}` })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "boolean", description, accepts, initial: String(initial) });
}

export function choice<const Names extends readonly [string, ...string[]]>(
  variable: string,
  names: Names,
  initial: Names[number],
  description: string,
) {
  const accepts = `one of ${names.join(", ")}`;
  return z
    .enum(names, { error: `is not ${accepts}` })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

/** A choice that need not be made. `initial` tells people what holds then. */
export function optionalChoice<const Names extends readonly [string, ...string[]]>(
  variable: string,
  names: Names,
  initial: string,
  description: string,
) {
  const accepts = `one of ${names.join(", ")}`;
  return z
    .enum(names, { error: `is not ${accepts}` })
    .optional()
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

export function matching(
  variable: string,
  { pattern, accepts, initial }: { readonly pattern: RegExp; readonly accepts: string; readonly initial: string },
  description: string,
) {
  const error = `is not ${accepts}`;
  return z
    .string({ error })
    .regex(pattern, { error })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

export function listen(variable: string, initial: string, description: string) {
  const accepts = "host:port, [IPv6 address]:port or :port; port 0 to 65535, where 0 takes any free port";
  const error = "is not host:port, [IPv6 address]:port or :port with a port from 0 to 65535";
  return z
    .string({ error })
    .transform((text, context): Endpoint => {
      const endpoint = parseEndpoint(text);
      if (endpoint !== undefined) return endpoint;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

/** The same, or the path of a Unix domain socket. */
export function listenOrSocket(variable: string, initial: string, description: string) {
  const accepts =
    "host:port, [IPv6 address]:port or :port, port 0 to 65535, where 0 takes any free port; or unix:/absolute/path";
  const error =
    "is not host:port, [IPv6 address]:port or :port with a port from 0 to 65535, nor unix: and an absolute path of at most 103 bytes";
  return z
    .string({ error })
    .transform((text, context): ListenAddress => {
      const address = parseListenAddress(text);
      if (address !== undefined) return address;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

const BASE_URL = "an http or https URL without credentials, query or fragment";

function baseUrl() {
  const error = `is not ${BASE_URL}`;
  return z.string({ error }).transform((text, context): string => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    // The text is searched too, because an empty query or fragment leaves no trace in the parsed URL.
    const isBase = url?.username === "" && url.password === "" && !/[?#\s]/.test(text);
    if (url !== undefined && isBase && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, "");
    context.addIssue({ code: "custom", message: error });
    return z.NEVER;
  });
}

/** A base URL; its value has no slash at the end. */
export function httpUrl(variable: string, initial: string, description: string) {
  const facts = { variable, kind: "text", description, accepts: BASE_URL, initial } as const;
  return baseUrl().prefault(initial).register(settingFacts, facts);
}

/** The same, where it need not be given. */
export function optionalHttpUrl(variable: string, description: string) {
  const facts = { variable, kind: "text", description, accepts: BASE_URL, initial: "not set" } as const;
  return baseUrl().optional().register(settingFacts, facts);
}

const RATIO = "a number from 0 to 1";

/** `undefined` when it is none. */
function parseRatio(value: string | number): number | undefined {
  if (typeof value === "string" && !/^(?:\d{1,4}(?:\.\d{0,9})?|\.\d{1,9})$/.test(value)) return undefined;
  const parsed = Number(value);
  return parsed >= 0 && parsed <= 1 ? parsed : undefined;
}

/** A share of something. */
export function ratio(variable: string, initial: string, description: string) {
  const error = `is not ${RATIO}`;
  return z
    .union([z.number(), z.string()], { error })
    .transform((value, context): number => {
      const parsed = parseRatio(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    })
    .prefault(initial)
    .register(settingFacts, { variable, kind: "text", description, accepts: RATIO, initial });
}

/** Which calls the access log has. */
export function accessLog(variable: string, description: string) {
  const accepts = `off, errors, or ${RATIO}`;
  const error = `is not ${accepts}`;
  return z
    .union([z.number(), z.string()], { error })
    .transform((value, context): "off" | "errors" | number => {
      if (value === "off" || value === "errors") return value;
      const parsed = parseRatio(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    })
    .prefault("off")
    .register(settingFacts, { variable, kind: "text", description, accepts, initial: "off" });
}

/** The name of this process among its like: the one given, or the one that `generate` makes up. */
export function processName(variable: string, generate: () => string, description: string) {
  const accepts = "1 to 64 letters, digits, dots, hyphens and underscores";
  const error = `is not ${accepts}`;
  return z
    .string({ error })
    .regex(/^[\w.-]{1,64}$/, { error })
    .optional()
    .transform((name) => name ?? generate())
    .register(settingFacts, { variable, kind: "text", description, accepts, initial: "host name and a random suffix" });
}

interface KeyForm {
  /** What every such key begins with, as a pattern. */
  readonly start: "ak_" | "sk_(?:live|test)_";
  /** The form, for people. */
  readonly accepts: string;
}

/** The longest key taken, in characters: well above any that the upstream issues. */
export const MAX_KEY_CHARS = 512;

export function key(variable: string, { start, accepts }: KeyForm, description: string) {
  const form = new RegExp(`^${start}[A-Za-z0-9+/=_.~-]+$`);
  return z
    .string({ error: `is not ${accepts}` })
    .transform((text, context): Secret => {
      if (form.test(text) && text.length <= MAX_KEY_CHARS) return new Secret(text);
      context.addIssue({ code: "custom", message: `is not ${accepts}${mistakenFor(text)}` });
      return z.NEVER;
    })
    .optional()
    .register(settingFacts, { variable, kind: "secret", description, accepts, initial: "not set" });
}

function mistakenFor(text: string): string {
  if (/\s/.test(text)) return " (it has blanks or line breaks in it)";
  if (text.startsWith("sk_")) return " (it begins like an instance secret key, which belongs in CLERK_SECRET_KEY)";
  if (text.startsWith("ak_"))
    return " (it begins like a machine secret key, which belongs in CLERK_MACHINE_SECRET_KEY)";
  if (text.startsWith("pk_")) return " (it begins like a publishable key, which grants nothing here)";
  if (text.startsWith("mt_")) return " (it begins like a token, which is not a key)";
  return "";
}

/** A secret that is not one of the upstream's keys. */
export function secretText(
  variable: string,
  { pattern, accepts }: { readonly pattern: RegExp; readonly accepts: string },
  description: string,
) {
  const error = `is not ${accepts}`;
  return z
    .string({ error })
    .transform((text, context): Secret => {
      if (pattern.test(text)) return new Secret(text);
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    })
    .optional()
    .register(settingFacts, { variable, kind: "secret", description, accepts, initial: "not set" });
}

/** Text of a form that need not be given. `initial` tells people what holds then. */
export function optionalMatching(
  variable: string,
  { pattern, accepts, initial }: { readonly pattern: RegExp; readonly accepts: string; readonly initial: string },
  description: string,
) {
  const error = `is not ${accepts}`;
  return z
    .string({ error })
    .regex(pattern, { error })
    .optional()
    .register(settingFacts, { variable, kind: "text", description, accepts, initial });
}

/** Text that need not be given. */
export function optionalText(variable: string, accepts: string, description: string) {
  return z
    .string({ error: `is not ${accepts}` })
    .min(1, { error: `is not ${accepts}` })
    .optional()
    .register(settingFacts, { variable, kind: "text", description, accepts, initial: "not set" });
}
