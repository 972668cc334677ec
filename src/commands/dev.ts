import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { DevOptions } from "../cli/io.ts";
import { ConfigError } from "../config/problem.ts";
import { loadConfig } from "../config.ts";
import type { Emulator } from "../emulator/emulator.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { createLogger } from "../logger.ts";
import { type CommandContext, EXIT, explainStart, untilAborted } from "./command-context.ts";
import { devPage } from "./dev-page.ts";
import { describeEmulator, openEmulator } from "./run-emulator.ts";

/** The machine whose key the gateway holds. */
const OWN_MACHINE = "billing";

/** Runs a gateway on an emulated Clerk with machines to try it with, until the process is asked to end. */
export async function dev(options: DevOptions, context: CommandContext): Promise<number> {
  let emulator: Emulator | undefined;
  let gateway: Gateway | undefined;
  try {
    const { env, stdout, stderr, version, colorErr } = context;
    const overrides = {
      GATEWAY_LISTEN: options.listen,
      GATEWAY_ADMIN_LISTEN: options.adminListen,
      EMULATOR_LISTEN: options.emulatorListen,
      GATEWAY_TRANSPORT: options.transport,
    };
    const loaded = loadConfig({ env: withoutClerk(env), file: options.config, overrides }).config;
    const log = createLogger({ ...loaded.log, format: "pretty", stream: stderr, color: colorErr });
    context.crash.drainThrough(log, loaded.rpc);
    emulator = await openEmulator(options.seed, loaded.emulator.listen, (event) =>
      log.debug(event, "emulated request"),
    );
    const own = ownMachine(emulator);
    const { config, tls } = loadConfig({
      env: withoutClerk(env),
      file: options.config,
      overrides: {
        ...overrides,
        CLERK_API_URL: emulator.url,
        CLERK_SECRET_KEY: emulator.instanceKey,
        CLERK_MACHINE_SECRET_KEY: own.secretKey,
        CLERK_MACHINE_ID: own.id,
      },
    });
    gateway = await startGateway({ config, tls, log, version, onQuit: context.quit });
    stdout.write(
      options.output === "json" ? readyLine(gateway, emulator) : await readyPage(gateway, emulator, context, options),
    );
    await untilAborted(context.signal);
    return EXIT.ok;
  } catch (error) {
    return explainStart(error, context);
  } finally {
    await gateway?.close();
    await emulator?.close();
  }
}

/** The emulator's keys are used, whatever keys the developer's shell has: nothing here may reach the real Clerk. */
function withoutClerk(env: CommandContext["env"]): CommandContext["env"] {
  const isTarget = (name: string) =>
    /^CLERK_(API_URL|SECRET_KEY|MACHINE_SECRET_KEY|MACHINE_ID|JWT_KEY|JWT_ISSUER|PUBLISHABLE_KEY)(_FILE)?$/.test(name);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isTarget(name)));
}

/** The machine of that name or, where a seed has none, the first. */
function ownMachine(emulator: Emulator): ReturnType<Emulator["machine"]> {
  const machines = emulator.machines();
  const machine = machines.find(({ name }) => name === OWN_MACHINE) ?? machines[0];
  if (machine === undefined) {
    throw new ConfigError([{ where: "the seed", what: "has no machine", fix: `give one, named ${OWN_MACHINE} say` }]);
  }
  return machine;
}

function readyLine(gateway: Gateway, emulator: Emulator): string {
  return `${JSON.stringify({ rpc: gateway.url, admin: gateway.adminUrl, ...describeEmulator(emulator) })}\n`;
}

/** Mints a token through the gateway itself, so that every call on the page can be pasted alone, in any order. */
async function readyPage(
  gateway: Gateway,
  emulator: Emulator,
  { invocation }: CommandContext,
  { seed }: DevOptions,
): Promise<string> {
  const tokens = createClient(TokenService, createGrpcTransport({ baseUrl: gateway.url }));
  const { token, secret } = await tokens.createToken({});
  return devPage({
    rpc: gateway.url,
    admin: gateway.adminUrl,
    emulator: emulator.url,
    machines: emulator.machines(),
    own: ownMachine(emulator).name,
    tokenId: token?.id ?? "",
    secret,
    isGrantedToItself: seed === undefined,
    invocation,
  });
}
