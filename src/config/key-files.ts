import type { Problem } from "./problem.ts";
import { ConfigError } from "./problem.ts";
import { clerkSettings } from "./settings/clerk.ts";
import type { Config } from "./settings.ts";
import { type ReadFile, readSecret } from "./source.ts";
import { FILE_SUFFIX } from "./text-source.ts";

/** The files that the keys of the upstream came from. A key that was given directly has none. */
export interface KeyFiles {
  readonly machineSecretKey?: string;
  readonly secretKey?: string;
}

/** The keys of the upstream in the clear. */
export interface ClerkKeys {
  readonly machineSecretKey: string | undefined;
  readonly secretKey: string | undefined;
}

const VARIABLES = { machineSecretKey: "CLERK_MACHINE_SECRET_KEY", secretKey: "CLERK_SECRET_KEY" } as const;

/**
 * The keys as their files have them now; those without a file are the configuration's.
 *
 * @throws ConfigError when a file holds no such key; its text repeats nothing of what the file holds
 */
export function readKeys({ clerk }: Pick<Config, "clerk">, files: KeyFiles, readFile: ReadFile): ClerkKeys {
  const problems: Problem[] = [];
  const keyOf = (name: keyof KeyFiles): string | undefined => {
    const path = files[name];
    if (path === undefined) return clerk[name]?.reveal();
    const where = VARIABLES[name] + FILE_SUFFIX;
    const text = readSecret(path, where, readFile, problems);
    if (text === undefined) return undefined;
    const parsed = clerkSettings.shape[name].safeParse(text);
    if (parsed.success) return parsed.data?.reveal();
    const what = `names ${path}, which ${parsed.error.issues[0]?.message ?? "holds no key"}`;
    problems.push({ where, what, fix: "copy the key again from the Clerk dashboard" });
    return undefined;
  };
  const keys = { machineSecretKey: keyOf("machineSecretKey"), secretKey: keyOf("secretKey") };
  if (problems.length > 0) throw new ConfigError(problems);
  return keys;
}
