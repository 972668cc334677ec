import type { ServeOptions } from "../cli/io.ts";
import { loadConfig } from "../config.ts";
import { startGateway } from "../gateway.ts";
import { createLogger } from "../logger.ts";
import { type CommandContext, EXIT, explainStart, untilAborted } from "./command-context.ts";

/** Runs a gateway until the process is asked to end. */
export async function serve(options: ServeOptions, context: CommandContext): Promise<number> {
  const { env, stderr, signal, version, colorErr } = context;
  try {
    const overrides = {
      GATEWAY_LISTEN: options.listen,
      GATEWAY_ADMIN_LISTEN: options.adminListen,
      GATEWAY_INSECURE: options.insecure ? "true" : undefined,
      GATEWAY_LOG_LEVEL: options.logLevel,
    };
    const { config } = loadConfig({ env, file: options.config, overrides, needsKey: true });
    const log = createLogger({ ...config.log, stream: stderr, color: colorErr });
    const gateway = await startGateway({ config, log, version });
    log.info({ rpc: gateway.url, admin: gateway.adminUrl, upstream: config.clerk.url, version }, "serving");
    await untilAborted(signal);
    log.info("draining");
    await gateway.close();
    log.info("stopped");
    return EXIT.ok;
  } catch (error) {
    return explainStart(error, context);
  }
}
