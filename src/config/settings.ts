import { z } from "zod";
import { type SettingFacts, settingFacts } from "./setting.ts";
import { adminSettings } from "./settings/admin.ts";
import { cacheSettings } from "./settings/cache.ts";
import { callersSettings } from "./settings/callers.ts";
import { clerkSettings } from "./settings/clerk.ts";
import { emulatorSettings } from "./settings/emulator.ts";
import { gatewaySettings } from "./settings/gateway.ts";
import { jwtSettings } from "./settings/jwt.ts";
import { limitsSettings } from "./settings/limits.ts";
import { logSettings } from "./settings/log.ts";
import { outOfBandSettings } from "./settings/out-of-band.ts";
import { poolSettings } from "./settings/pool.ts";
import { redisSettings } from "./settings/redis.ts";
import { revocationsSettings } from "./settings/revocations.ts";
import { rpcSettings } from "./settings/rpc.ts";
import { tracingSettings } from "./settings/tracing.ts";
import { watchSettings } from "./settings/watch.ts";

/** Every setting, grouped as in `Config` and in the file. The types, the checks and the documentation derive from it. */
export const configSchema = z.strictObject({
  gateway: gatewaySettings,
  rpc: rpcSettings,
  callers: callersSettings,
  limits: limitsSettings,
  admin: adminSettings,
  emulator: emulatorSettings,
  clerk: clerkSettings,
  jwt: jwtSettings,
  cache: cacheSettings,
  pool: poolSettings,
  redis: redisSettings,
  outOfBand: outOfBandSettings,
  revocations: revocationsSettings,
  watch: watchSettings,
  log: logSettings,
  tracing: tracingSettings,
});

/** The configuration, complete and valid. Its secrets are `Secret`s. */
export type Config = z.output<typeof configSchema>;

export interface Setting {
  readonly group: string;
  readonly key: string;
  readonly facts: SettingFacts;
  /** What a value must be, in the form that a file gives it. */
  readonly schema: z.ZodType;
}

/** Variables that begin like settings but are none. */
export const OTHER_VARIABLES = {
  GATEWAY_CONFIG: "Path of the configuration file, where `--config` does not give one.",
  GATEWAY_URL:
    "The gateway that the command line calls, where `--gateway` does not give one. The gateway itself does not read it.",
  GATEWAY_CALLER_KEY: "The key that the command line calls with. The gateway itself does not read it.",
  GATEWAY_CALLER_KEY_FILE:
    "Path of a file with that key, where neither `--caller-key-file` nor `GATEWAY_CALLER_KEY` is given. The gateway itself does not read it.",
} as const;

/** All settings in the order of the schema. */
export function listSettings(): readonly Setting[] {
  const settings: Setting[] = [];
  for (const [group, object] of Object.entries(configSchema.shape)) {
    for (const [name, schema] of Object.entries<z.ZodType>(object.shape)) {
      const facts = settingFacts.get(schema);
      if (facts !== undefined) settings.push({ group, key: name, facts, schema });
    }
  }
  return settings;
}

/** The setting's key in the file and its place in `Config`. */
export function settingPath({ group, key: name }: Setting): string {
  return `${group}.${name}`;
}
