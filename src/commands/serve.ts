import type { ServeOptions } from "../cli/io.ts";
import { type LoadedConfig, loadConfig } from "../config.ts";
import { startGateway } from "../gateway.ts";
import { createLogger, type Logger } from "../logger.ts";
import { startPrimary, WorkerFailed } from "../workers/primary.ts";
import { isWorker, runWorker } from "../workers/worker.ts";
import { type CommandContext, EXIT, explainStart, untilAborted } from "./command-context.ts";

/** Runs a gateway until the process is asked to end: in this process, or in several that this one looks after. */
export async function serve(options: ServeOptions, context: CommandContext): Promise<number> {
  const { env, stderr, signal, version, colorErr } = context;
  try {
    if (isWorker()) {
      await runWorker({
        version,
        stderr,
        color: colorErr,
        signal,
        onLog: (log, config) => context.crash.drainThrough(log, config.rpc),
      });
      return EXIT.ok;
    }
    const overrides = {
      GATEWAY_LISTEN: options.listen,
      GATEWAY_ADMIN_LISTEN: options.adminListen,
      GATEWAY_TRANSPORT: options.transport,
      GATEWAY_WORKERS: options.workers,
      GATEWAY_INSECURE: options.insecure ? "true" : undefined,
      GATEWAY_LOG_LEVEL: options.logLevel,
    };
    const loaded = loadConfig({ env, file: options.config, overrides, needsKey: true });
    const { config } = loaded;
    const log = createLogger({ ...config.log, stream: stderr, color: colorErr });
    context.crash.drainThrough(log, config.rpc);
    const gateway = await start(loaded, log, context);
    const { workers } = config.rpc;
    const serving = { rpc: gateway.url, admin: gateway.adminUrl, upstream: config.clerk.url, version };
    log.info(workers === 1 ? serving : { ...serving, workers }, "serving");
    await untilAborted(signal);
    log.info("draining");
    await gateway.close();
    log.info("stopped");
    return EXIT.ok;
  } catch (error) {
    // The worker has explained it.
    if (error instanceof WorkerFailed) return error.exitCode;
    return explainStart(error, context);
  }
}

function start(loaded: LoadedConfig, log: Logger, { version, quit: onQuit }: CommandContext) {
  const { config, tls, keyFiles } = loaded;
  return config.rpc.workers === 1
    ? startGateway({ config, tls, keyFiles, log, version, onQuit })
    : startPrimary({ loaded, log, onQuit });
}
