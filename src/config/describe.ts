import type { LoadedConfig } from "../config.ts";
import { formatListenAddress, type ListenAddress } from "./endpoint.ts";
import { Secret } from "./secret.ts";
import { listSettings, settingPath } from "./settings.ts";
import type { Origin } from "./source.ts";

/** One setting, fit to be shown: secrets by their prefix only. */
interface SettingReport {
  /** The environment variable. */
  readonly name: string;
  /** The key in a file. */
  readonly path: string;
  /** For a secret `set (ak_…)` or `not set`. */
  readonly value: string;
  readonly origin: Origin;
  /** The variable, the flag, or the file and the key in it; empty for a default. */
  readonly where: string;
}

/** Every setting with its value and where it came from, in the order of the documentation. */
export function describeConfig({ config, origins }: LoadedConfig): readonly SettingReport[] {
  const values = new Map<string, Shown>(
    Object.entries(config).flatMap(([group, settings]) =>
      Object.entries<Shown>(settings).map(([key, value]) => [`${group}.${key}`, value] as const),
    ),
  );
  return listSettings().map((setting) => {
    const path = settingPath(setting);
    const { origin, where } = origins.get(path) ?? { origin: "default", where: "" };
    return { name: setting.facts.variable, path, value: shown(values.get(path)), origin, where };
  });
}

type Shown = string | number | boolean | ListenAddress | Secret | undefined;

function shown(value: Shown): string {
  if (value === undefined) return "not set";
  if (value instanceof Secret) return `set (${value.prefix})`;
  return typeof value === "object" ? formatListenAddress(value) : String(value);
}
