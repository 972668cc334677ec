import { nearest } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { OTHER_VARIABLES, type Setting } from "./settings.ts";
import { type Given, type ReadFile, type Source, secretGiven } from "./source.ts";

/** Texts by name, as the environment has them. An empty text is as good as none. */
export type Env = Readonly<Record<string, string | undefined>>;

/** The suffix of a variable that holds the path of a file with the secret, instead of the secret. */
export const FILE_SUFFIX = "_FILE";

/** Reads settings from environment variables. Unknown variables of ours are problems. */
export function envSource(env: Env, settings: readonly Setting[], readFile: ReadFile, problems: Problem[]): Source {
  const known = [...knownVariables(settings), ...Object.keys(OTHER_VARIABLES)];
  const foreign = Object.keys(env).filter((name) => isOurs(name) && !known.includes(name) && !isServiceLink(name, env));
  for (const name of foreign) {
    const suggestion = nearest(name, known);
    const fix = suggestion === undefined ? "remove it, or correct its name" : `did you mean ${suggestion}?`;
    problems.push({ where: name, what: "is not a setting", fix });
  }
  return ({ facts }) => {
    const { variable, kind } = facts;
    const direct = { where: variable, value: textOf(env, variable) };
    if (kind !== "secret") return given("env", direct.where, direct.value, kind);
    const pathVariable = variable + FILE_SUFFIX;
    const path = { where: pathVariable, value: textOf(env, pathVariable) };
    return secretGiven({ origin: "env", direct, path }, readFile, problems);
  };
}

/** Reads settings from flags, given under the names of the variables that they override. */
export function flagSource(flags: Env, settings: readonly Setting[], problems: Problem[]): Source {
  const known = settings.map((setting) => setting.facts.variable);
  for (const name of Object.keys(flags).filter((flag) => !known.includes(flag))) {
    problems.push({ where: name, what: "is given as a flag but is not a setting", fix: "remove it" });
  }
  return ({ facts }) => given("flag", `the flag for ${facts.variable}`, textOf(flags, facts.variable), facts.kind);
}

function knownVariables(settings: readonly Setting[]): string[] {
  return settings.flatMap(({ facts: { variable, kind } }) =>
    kind === "secret" ? [variable, variable + FILE_SUFFIX] : [variable],
  );
}

function given(
  origin: Given["origin"],
  where: string,
  text: string | undefined,
  kind: Setting["facts"]["kind"],
): Given | undefined {
  return text === undefined ? undefined : { origin, where, value: nativeValue(text, kind) };
}

/** The text as a file would have it. One that cannot be is left as it is, for the schema to refuse. */
function nativeValue(text: string, kind: Setting["facts"]["kind"]): unknown {
  if (kind === "number") return /^\d{1,15}$/.test(text.trim()) ? Number(text) : text;
  if (kind === "boolean") {
    if (/^(?:true|1)$/i.test(text.trim())) return true;
    return /^(?:false|0)$/i.test(text.trim()) ? false : text;
  }
  return kind === "secret" ? text : text.trim();
}

function textOf(env: Env, name: string): string | undefined {
  const text = env[name];
  return text === undefined || text.trim() === "" ? undefined : text;
}

function isOurs(name: string): boolean {
  return /^(?:GATEWAY|EMULATOR)_/.test(name);
}

/**
 * Kubernetes gives every pod variables about the services of its namespace. A service called `gateway` yields
 * GATEWAY_SERVICE_HOST, GATEWAY_PORT and the like, which are nobody's mistake.
 */
function isServiceLink(name: string, env: Env): boolean {
  if (/_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name))
    return true;
  return name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(env[name] ?? "");
}
