import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ROLES } from "./role.ts";

/** What a callers' file may hold at most. */
const MAX_FILE_CHARS = 4_194_304;
const MAX_CALLERS = 1_000;
const MAX_KEYS = 16;
const MAX_NAMES = 64;
const MAX_SUBJECTS = 1_000;

const limitsSchema = z.strictObject({
  requestsPerSecond: z.number().min(0.001).max(1_000_000).optional(),
  burst: z.int().min(1).max(1_000_000).optional(),
  concurrency: z.int().min(1).max(1_000_000).optional(),
});

const callerSchema = z.strictObject({
  // What all callers without a name are counted as is no name.
  name: z.string().regex(/^(?!unnamed$)[A-Za-z0-9][\w.-]{0,63}$/),
  roles: z.array(z.enum(ROLES)).min(1),
  keys: z
    .array(z.string().regex(/^sha256:[0-9a-f]{64}$/))
    .max(MAX_KEYS)
    .prefault([]),
  uris: z
    .array(z.string().regex(/^[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,2048}$/))
    .max(MAX_NAMES)
    .prefault([]),
  dnsNames: z
    .array(z.string().regex(/^(?=.{1,253}$)[A-Za-z0-9_](?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)*$/))
    .max(MAX_NAMES)
    .prefault([]),
  subjects: z
    .array(z.string().regex(/^mch_\w{27}$/))
    .min(1)
    .max(MAX_SUBJECTS)
    .optional(),
  limits: limitsSchema.prefault({}),
});

const fileSchema = z.strictObject({ callers: z.array(callerSchema).max(MAX_CALLERS) });

/** A caller as the file has it. */
export type CallerEntry = z.output<typeof callerSchema>;

/** A callers' file cannot be used. The message repeats no value of it: a key may stand where its hash should. */
export class CallersFileError extends Error {
  override readonly name = "CallersFileError";
}

/** @throws CallersFileError */
export function parseCallersFile(text: string): readonly CallerEntry[] {
  if (text.length > MAX_FILE_CHARS) throw new CallersFileError(`is longer than ${MAX_FILE_CHARS} characters`);
  const parsed = fileSchema.safeParse(contentOf(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CallersFileError(issue === undefined ? "is not a list of callers" : faultOf(issue));
  }
  const { callers } = parsed.data;
  const fault = conflictIn(callers);
  if (fault !== undefined) throw new CallersFileError(fault);
  return callers;
}

function contentOf(text: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: "silent" });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) {
    const { line, col } = lineCounter.linePos(fault.pos[0]);
    throw new CallersFileError(`is not plain YAML or JSON at line ${line}, column ${col} (${fault.code})`);
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw new CallersFileError("has aliases that lead nowhere or multiply too far");
  }
}

const FORMS: Readonly<Record<string, string>> = {
  name: "1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first, and not unnamed",
  roles: `a list of ${ROLES.join(", ")}`,
  keys: `a list of up to ${MAX_KEYS} hashes as \`caller key\` prints them: sha256: and 64 hexadecimal digits`,
  uris: `a list of up to ${MAX_NAMES} URIs, for example spiffe://example.org/orders`,
  dnsNames: `a list of up to ${MAX_NAMES} DNS names without wildcards`,
  subjects: `a list of 1 to ${MAX_SUBJECTS} machine ids (mch_ and 27 word characters)`,
  limits: "requestsPerSecond (0.001 to 1000000), burst and concurrency (whole numbers from 1)",
};

function faultOf({ code, path }: z.core.$ZodIssue): string {
  const [list, index, key] = path;
  if (list !== "callers" || typeof index !== "number") {
    return `must hold a list named callers, of up to ${MAX_CALLERS} entries, and nothing else`;
  }
  const where = `callers[${index}]`;
  const form = typeof key === "string" ? FORMS[key] : undefined;
  if (form !== undefined) return `${where}.${String(key)} is not ${form}`;
  const known = Object.keys(FORMS).join(", ");
  return code === "unrecognized_keys" ? `${where} has a key that is none of ${known}` : `${where} is not a table`;
}

function conflictIn(callers: readonly CallerEntry[]): string | undefined {
  const seen = new Map<string, number>();
  for (const [index, { name, keys, uris, dnsNames }] of callers.entries()) {
    const shown = [...keys, ...uris.map((uri) => `URI ${uri}`), ...dnsNames.map((dns) => `DNS ${dns.toLowerCase()}`)];
    if (shown.length === 0) return `callers[${index}] has neither keys nor uris nor dnsNames to be known by`;
    for (const what of [`name ${name}`, ...shown]) {
      const first = seen.get(what);
      if (first !== undefined) return `callers[${index}] has a name, key, URI or DNS name of callers[${first}]`;
      seen.set(what, index);
    }
  }
  return undefined;
}
