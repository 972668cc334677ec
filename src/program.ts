import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { runCli } from "./cli/run-cli.ts";
import { callerKey } from "./commands/caller-key.ts";
import { configCheck } from "./commands/config-check.ts";
import { CRASH_EXIT_CODE, createCrash } from "./commands/crash.ts";
import { dev } from "./commands/dev.ts";
import { runEmulator } from "./commands/run-emulator.ts";
import { serve } from "./commands/serve.ts";
import { readEnv } from "./config.ts";

const env = readEnv();
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const stop = new AbortController();
const crash = createCrash({
  stderr: process.stderr,
  stop() {
    process.exitCode = CRASH_EXIT_CODE;
    stop.abort();
  },
  exit: (code) => process.exit(code),
});
process.on("uncaughtException", (error) => crash.report(error));
process.on("unhandledRejection", (error) => crash.report(error));
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait.
    if (stop.signal.aborted) process.exit(name === "SIGINT" ? 130 : 143);
    stop.abort();
  });
}

const context = {
  env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
  quit: () => stop.abort(),
  crash,
  invocation: invocationOf(process.argv[1] ?? ""),
  version,
  colorErr: process.stderr.isTTY === true && (env.NO_COLOR ?? "") === "",
};

const exitCode = await runCli(process.argv.slice(2), {
  ...context,
  stdin: process.stdin,
  isTty: process.stdout.isTTY === true,
  run: {
    serve: (options) => serve(options, context),
    dev: (options) => dev(options, context),
    emulator: (options) => runEmulator(options, context),
    callerKey: (options) => callerKey(options, context),
    configCheck: (options) => configCheck(options, context),
  },
});
process.exitCode = crash.happened ? CRASH_EXIT_CODE : exitCode;

/** How the user called this program, so that what is printed can be pasted. */
function invocationOf(script: string): string {
  return script.endsWith(".js") || script.endsWith(".ts") ? `node ${relative(process.cwd(), script)}` : "m2m-gateway";
}
