import type { Command } from "commander";
import { examples } from "./examples.ts";
import type { Runner } from "./invocation.ts";
import type { ConfigCheckOptions, DevOptions, EmulatorOptions, ServeOptions } from "./io.ts";

type Given<Options> = { readonly [Key in keyof Options]?: Options[Key] };

/** The commands that run a gateway or an emulator in this process: their options are read here and handed on. */
export function addLocalCommands(program: Command, runner: Runner): void {
  addServe(program, runner);
  addDev(program, runner);
  addEmulator(program, runner);
  const config = program.command("config").description("Look at the configuration.");
  addConfigCheck(config, runner);
  const caller = program.command("caller").description("Prepare who may call a gateway.");
  addCallerKey(caller, runner);
}

function addServe(program: Command, runner: Runner): void {
  const { invocation, run } = runner.io;
  program
    .command("serve")
    .description(
      "Run a gateway until it is asked to end. Keys are read from the environment or from files, never from here.",
    )
    .option("--config <file>", "configuration file (env: GATEWAY_CONFIG); other variables win over it")
    .option("--listen <address>", "where callers connect (env: GATEWAY_LISTEN, default: 127.0.0.1:50051)")
    .option(
      "--admin-listen <address>",
      "where probes and metrics are (env: GATEWAY_ADMIN_LISTEN, default: 127.0.0.1:50052)",
    )
    .option("--transport <name>", "what serves HTTP/2: engine or node (env: GATEWAY_TRANSPORT, default: engine)")
    .option("--workers <n>", "processes that share the port (env: GATEWAY_WORKERS, default: 1)")
    .option("--insecure", "serve cleartext on addresses that other machines can reach")
    .option("--log-level <level>", "how much to log: trace, debug, info, warn, error, fatal or silent")
    .addHelpText(
      "after",
      examples(
        invocation,
        "CLERK_MACHINE_SECRET_KEY_FILE=machine.key {cli} serve",
        "{cli} serve --config gateway.yaml --listen 127.0.0.1:50051",
      ),
    )
    .action(
      runner.action<Given<ServeOptions>>(({ options }) =>
        run.serve({
          config: options.config,
          listen: options.listen,
          adminListen: options.adminListen,
          transport: options.transport,
          workers: options.workers,
          insecure: options.insecure === true,
          logLevel: options.logLevel,
        }),
      ),
    );
}

function addDev(program: Command, runner: Runner): void {
  const { invocation, run } = runner.io;
  program
    .command("dev")
    .description(
      "Run a gateway with an emulator of Clerk's API and machines to try it with. Needs no account and no keys.",
    )
    .option("--config <file>", "configuration file (env: GATEWAY_CONFIG); other variables win over it")
    .option("--listen <address>", "where callers connect (env: GATEWAY_LISTEN, default: 127.0.0.1:50051)")
    .option(
      "--admin-listen <address>",
      "where probes and metrics are (env: GATEWAY_ADMIN_LISTEN, default: 127.0.0.1:50052)",
    )
    .option("--emulator-listen <address>", "where the emulator is (env: EMULATOR_LISTEN, default: 127.0.0.1:50053)")
    .option("--transport <name>", "what serves HTTP/2: engine or node (env: GATEWAY_TRANSPORT, default: engine)")
    .option("--seed <file>", "machines and tokens that the emulator begins with")
    .addHelpText("after", examples(invocation, "{cli} dev", "{cli} dev --listen 127.0.0.1:0 --output json"))
    .action(
      runner.action<Given<DevOptions>>(({ options, printer }) =>
        run.dev({
          config: options.config,
          listen: options.listen,
          adminListen: options.adminListen,
          emulatorListen: options.emulatorListen,
          transport: options.transport,
          seed: options.seed,
          output: options.output,
          color: printer.colorOut,
        }),
      ),
    );
}

function addEmulator(program: Command, runner: Runner): void {
  const { invocation, run } = runner.io;
  program
    .command("emulator")
    .description("Run the emulator of Clerk's M2M API alone, for tests and for other clients. State is in memory.")
    .option("--listen <address>", "where it listens (env: EMULATOR_LISTEN, default: 127.0.0.1:50053)")
    .option("--seed <file>", "machines and tokens that it begins with")
    .addHelpText("after", examples(invocation, "{cli} emulator", "{cli} emulator --listen 127.0.0.1:0 --output json"))
    .action(
      runner.action<Given<EmulatorOptions>>(({ options, printer }) =>
        run.emulator({
          listen: options.listen,
          seed: options.seed,
          output: options.output,
          color: printer.colorOut,
        }),
      ),
    );
}

function addConfigCheck(config: Command, runner: Runner): void {
  const { invocation, run } = runner.io;
  config
    .command("check")
    .description(
      "Report every problem of the environment and the configuration file at once, without starting anything.",
    )
    .option("--config <file>", "configuration file (env: GATEWAY_CONFIG); other variables win over it")
    .addHelpText(
      "after",
      examples(invocation, "{cli} config check", "{cli} config check --config gateway.yaml --output json"),
    )
    .action(
      runner.action<Given<ConfigCheckOptions>>(({ options, printer }) =>
        run.configCheck({ config: options.config, output: options.output, color: printer.colorOut }),
      ),
    );
}

function addCallerKey(caller: Command, runner: Runner): void {
  const { invocation, run } = runner.io;
  caller
    .command("key")
    .description(
      "Make a key for a caller: the key on standard output, and its hash, for the callers' file, on standard error. " +
        "Nothing is kept.",
    )
    .addHelpText("after", examples(invocation, "{cli} caller key > orders.key", "{cli} caller key --output json"))
    .action(runner.action<object>(({ options }) => run.callerKey({ output: options.output })));
}
