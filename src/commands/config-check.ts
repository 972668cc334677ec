import { readCallers } from "../access.ts";
import type { ConfigCheckOptions } from "../cli/io.ts";
import { describeConfig } from "../config/describe.ts";
import { loadConfig } from "../config.ts";
import { type CommandContext, EXIT, explainStart } from "./command-context.ts";

/** Says what a gateway started now would be configured with, and every problem there is. */
export async function configCheck(options: ConfigCheckOptions, context: CommandContext): Promise<number> {
  try {
    const loaded = loadConfig({ env: context.env, file: options.config, needsKey: true });
    readCallers(loaded.config);
    const settings = describeConfig(loaded);
    if (options.output === "json") {
      context.stdout.write(`${JSON.stringify({ settings })}\n`);
      return EXIT.ok;
    }
    const nameWidth = Math.max(...settings.map(({ name }) => name.length));
    const valueWidth = Math.max(...settings.map(({ value }) => value.length));
    for (const { name, value, origin, where } of settings) {
      const from = where === "" || where === name ? origin : `${origin} (${where})`;
      context.stdout.write(`${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${from}\n`);
    }
    context.stdout.write("the configuration is sound\n");
    return EXIT.ok;
  } catch (error) {
    return explainStart(error, context);
  }
}
