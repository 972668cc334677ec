import { readFileSync } from "node:fs";
import { findConflicts } from "./config/checks.ts";
import { fileSource } from "./config/file-source.ts";
import { ConfigError, type Problem } from "./config/problem.ts";
import { type Config, configSchema, listSettings, type Setting, settingPath } from "./config/settings.ts";
import type { Given, Origin, ReadFile, Source } from "./config/source.ts";
import { type Env, envSource, flagSource } from "./config/text-source.ts";
import { readTlsFiles, type TlsFiles } from "./config/tls-files.ts";

export interface LoadOptions {
  /** The environment variables: `readEnv()`, except in tests. */
  readonly env: Env;
  /** Path of a YAML or JSON file; without it, GATEWAY_CONFIG of `env` if there is one. */
  readonly file?: string | undefined;
  /** What flags say, as typed, by the variables that they override: `{ GATEWAY_LISTEN: "127.0.0.1:0" }`. */
  readonly overrides?: Env | undefined;
  /** Whether a key of the upstream must be given, as serving needs. */
  readonly needsKey?: boolean | undefined;
  /** Reads a text file, or throws. */
  readonly readFile?: ReadFile | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where each setting came from, by its path in `config`, for example `rpc.listen`. */
  readonly origins: ReadonlyMap<string, SettingOrigin>;
  /** The files that RPCs over TLS need, read; `undefined` in cleartext. */
  readonly tls: TlsFiles | undefined;
  /** What was given, secrets in the clear, for `configFromHandover` in a process of the same gateway and nobody else. */
  handover(): string;
}

interface SettingOrigin {
  readonly origin: Origin;
  /** Its name there, for people; empty for a default. */
  readonly where: string;
}

/** The environment of this process. The only place that reads it. */
export function readEnv(): Env {
  return process.env;
}

/**
 * Flags win over the environment, the environment over the file, the file over the defaults.
 *
 * @throws ConfigError with every problem there is
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const problems: Problem[] = [];
  const settings = listSettings();
  const given = lookUp(settings, sourcesOf(options, settings, problems));
  const { raw, unsound } = validate(settings, given, problems);

  // What is unsound is absent from `raw` and stands at its default here, so this cannot fail.
  const config = configSchema.parse(raw);
  const variables = new Map(settings.map((setting) => [settingPath(setting), setting.facts.variable]));
  const nameOf = (path: string) => given.get(path)?.where ?? variables.get(path) ?? path;
  problems.push(...findConflicts(config, (path) => !unsound.has(path), nameOf));
  const tls = readTlsFiles(config, options.readFile ?? readTextFile, nameOf, problems);
  if (options.needsKey === true) problems.push(...missingKey(given));
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: frozen(config), origins: originsOf(settings, given), tls, handover: () => JSON.stringify(raw) };
}

/** The configuration that another process of this gateway loaded. @throws ZodError when the text is no such thing */
export function configFromHandover(text: string): Config {
  return frozen(configSchema.parse(JSON.parse(text)));
}

/** The sources, the strongest first. */
function sourcesOf(options: LoadOptions, settings: readonly Setting[], problems: Problem[]): Source[] {
  const { env, overrides = {}, readFile = readTextFile } = options;
  const sources = [flagSource(overrides, settings, problems), envSource(env, settings, readFile, problems)];
  const path = options.file ?? env.GATEWAY_CONFIG;
  if (path !== undefined && path !== "") sources.push(fileSource(path, settings, readFile, problems));
  return sources;
}

function lookUp(settings: readonly Setting[], sources: readonly Source[]): Map<string, Given> {
  const found = new Map<string, Given>();
  for (const setting of settings) {
    for (const source of sources) {
      const given = source(setting);
      if (given === undefined) continue;
      found.set(settingPath(setting), given);
      // What a stronger source overrides is not looked at: it cannot do harm.
      break;
    }
  }
  return found;
}

function validate(settings: readonly Setting[], given: ReadonlyMap<string, Given>, problems: Problem[]) {
  const raw: Record<string, Record<string, unknown>> = {};
  const unsound = new Set<string>();
  for (const setting of settings) {
    const path = settingPath(setting);
    const group = raw[setting.group] ?? {};
    raw[setting.group] = group;
    const found = given.get(path);
    if (found === undefined) continue;
    const what = found.value === undefined ? undefined : refusal(setting, found.value);
    if (what !== undefined) problems.push({ where: found.where, what, fix: fixFor(setting) });
    if (found.value === undefined || what !== undefined) unsound.add(path);
    else group[setting.key] = found.value;
  }
  return { raw, unsound };
}

function refusal({ schema }: Setting, value: unknown): string | undefined {
  return schema.safeParse(value).error?.issues[0]?.message;
}

function fixFor({ facts }: Setting): string {
  if (facts.variable.startsWith("CLERK_") && facts.kind === "secret") {
    return "copy the key again from the Clerk dashboard";
  }
  return `correct it, or leave it out for the default (${facts.initial})`;
}

function missingKey(given: ReadonlyMap<string, Given>): Problem[] {
  if (given.has("clerk.machineSecretKey") || given.has("clerk.secretKey")) return [];
  return [
    {
      where: "CLERK_MACHINE_SECRET_KEY",
      what: "and CLERK_SECRET_KEY are both missing",
      fix: "give at least one of them, or the path of a file that holds it in a variable of the same name with _FILE",
    },
  ];
}

function originsOf(settings: readonly Setting[], given: ReadonlyMap<string, Given>): Map<string, SettingOrigin> {
  return new Map(
    settings.map((setting) => {
      const path = settingPath(setting);
      const found = given.get(path);
      return [path, { origin: found?.origin ?? "default", where: found?.where ?? "" }];
    }),
  );
}

function frozen(config: Config): Config {
  for (const group of Object.values(config)) Object.freeze(group);
  return Object.freeze(config);
}

function readTextFile(path: string): string {
  return readFileSync(path, "utf8");
}
