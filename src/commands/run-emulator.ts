import type { EmulatorOptions } from "../cli/io.ts";
import { ConfigError } from "../config/problem.ts";
import { loadConfig } from "../config.ts";
import { type Emulator, startEmulator } from "../emulator/emulator.ts";
import { InvalidInput } from "../emulator/invalid-input.ts";
import { readSeed } from "../emulator/seed.ts";
import { createLogger } from "../logger.ts";
import { type CommandContext, EXIT, explainStart, untilAborted } from "./command-context.ts";

/** Runs the emulator alone until the process is asked to end. */
export async function runEmulator(options: EmulatorOptions, context: CommandContext): Promise<number> {
  const { env, stdout, stderr, signal, colorErr } = context;
  try {
    const { config } = loadConfig({ env, overrides: { EMULATOR_LISTEN: options.listen } });
    const log = createLogger({ level: config.log.level, format: "pretty", stream: stderr, color: colorErr });
    const emulator = await openEmulator(options.seed, config.emulator.listen, (event) => log.info(event, "request"));
    const description = describeEmulator(emulator);
    stdout.write(options.output === "json" ? `${JSON.stringify(description)}\n` : emulatorPage(description));
    await untilAborted(signal);
    await emulator.close();
    return EXIT.ok;
  } catch (error) {
    return explainStart(error, context);
  }
}

/** @throws ConfigError when the seed cannot be used */
export async function openEmulator(
  seedPath: string | undefined,
  listen: { readonly host: string; readonly port: number },
  log: (event: object) => void,
): Promise<Emulator> {
  try {
    const seed = seedPath === undefined ? {} : { seed: await readSeed(seedPath) };
    return await startEmulator({ ...listen, ...seed, log });
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    throw new ConfigError([{ where: seedPath ?? "the seed", what: error.message, fix: "correct the seed file" }]);
  }
}

export function describeEmulator(emulator: Emulator) {
  return {
    emulator: emulator.url,
    instance_key: emulator.instanceKey,
    machines: emulator.machines().map(({ name, id, secretKey }) => ({ name, id, secret_key: secretKey })),
  };
}

function emulatorPage({ emulator, instance_key, machines }: ReturnType<typeof describeEmulator>): string {
  const rows = machines.map(({ name, id, secret_key }) => `  ${name.padEnd(12)} ${id}  ${secret_key}`);
  return `An emulator of Clerk's M2M API, for development only.

  CLERK_API_URL=${emulator}
  CLERK_SECRET_KEY=${instance_key}

Machines (name, id, secret key):
${rows.join("\n")}

Try it:
  curl -s ${emulator}/v1/machines -H 'authorization: Bearer ${instance_key}'
  curl -s ${emulator}/__emulator/state

Stop with Ctrl-C.
`;
}
