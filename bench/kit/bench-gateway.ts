import { NODE_OPTIONS } from "../../test/support/node-options.ts";
import { freePort } from "../../test/support/redis/redis-process.ts";
import { type Address, accepts, type Carrier, newAddress } from "./address.ts";
import { CannotRun, reasonOf } from "./cannot-run.ts";
import { Child } from "./child.ts";
import type { World } from "./world.ts";

export interface GatewayOptions {
  readonly carrier?: Carrier;
  /** `engine` is our own HTTP/2, `node` is node:http2. A build that knows no choice has the latter. */
  readonly transport?: "engine" | "node";
  /** Gateways with the same name share facts and verdicts. A new one for each gateway where not given. */
  readonly fleet?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node.js. */
  readonly nodeArgs?: readonly string[];
  readonly args?: readonly string[];
  /** False: alone, with its revocations in memory. */
  readonly withRedis?: boolean;
  /** The cores; the server's where not given. */
  readonly cores?: readonly number[];
}

let started = 0;

/** A gateway as in production, metrics, revocations in Redis and logging included. */
export class BenchGateway {
  readonly address: Address;
  readonly adminUrl: string;
  readonly child: Child;

  private constructor(address: Address, adminUrl: string, child: Child) {
    this.address = address;
    this.adminUrl = adminUrl;
    this.child = child;
  }

  /** @throws CannotRun when this build cannot serve like that */
  static async start(world: World, options: GatewayOptions = {}): Promise<BenchGateway> {
    started += 1;
    const address = await newAddress(options.carrier ?? "tcp", world.folder);
    const adminPort = await freePort();
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    const core = options.cores ?? world.cores.server;
    const env = {
      ...world.emulator.environment,
      CLERK_MAX_REQUESTS_PER_SECOND: "100000",
      // Caches are filled in one go, however slow the machine is.
      CLERK_MAX_QUEUE: "100000",
      CLERK_TIMEOUT_MS: "60000",
      ...(options.withRedis === false ? {} : redisEnvironment(world, options.fleet)),
      GATEWAY_REPLICA: `bench-${started}`,
      GATEWAY_LOG_LEVEL: "info",
      GATEWAY_LISTEN: address.text,
      GATEWAY_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      ...(world.variables.has("GATEWAY_CALLERS_FILE") && { GATEWAY_CALLERS_FILE: world.caller.file }),
      ...(await tlsEnvironment(world, address)),
      ...transportEnvironment(world, options.transport),
      ...options.env,
    };
    // Ready is able to decide; what is measured is a gateway that has read the log too, and so decides from its caches.
    const isUp = async () => {
      const response = await fetch(`${adminUrl}/readyz`);
      return response.ok && (await response.text()).includes('"synced"') && (await accepts(address));
    };
    const args = [...NODE_OPTIONS, ...(options.nodeArgs ?? []), "dist/main.js", "serve", ...(options.args ?? [])];
    try {
      const child = await Child.start({ command: process.execPath, args, env, core, isUp });
      return new BenchGateway(address, adminUrl, child);
    } catch (error) {
      throw new CannotRun(`this build does not start so: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** Verifications answered VALID so far, in all or by one source. */
  async validAnswers(source = "\\w+"): Promise<number> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    return sumOf(text, new RegExp(`^m2m_gateway_verify_total\\{verdict="valid",source="${source}"\\} (\\d+)$`, "gm"));
  }

  async cachedTokens(): Promise<number> {
    return await this.metric('m2m_gateway_cache_entries\\{kind="known"\\}');
  }

  /** The value of a metric, named by a regular expression. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    return sumOf(text, new RegExp(`^${name} (\\d+)$`, "gm"));
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

function sumOf(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}

function redisEnvironment({ redisPort }: World, fleet = `bench${process.pid}-${started}`): Record<string, string> {
  return { GATEWAY_REDIS_URL: `redis://127.0.0.1:${redisPort}`, GATEWAY_REDIS_PREFIX: fleet };
}

async function tlsEnvironment(world: World, { carrier }: Address): Promise<Record<string, string>> {
  if (carrier !== "tls") return {};
  if (!world.variables.has("GATEWAY_TLS_CERT_FILE")) throw new CannotRun("this build has no TLS");
  const { certFile, keyFile } = world.tls();
  return { GATEWAY_TLS_CERT_FILE: certFile, GATEWAY_TLS_KEY_FILE: keyFile };
}

function transportEnvironment(world: World, transport: GatewayOptions["transport"]): Record<string, string> {
  const hasChoice = world.variables.has("GATEWAY_TRANSPORT");
  if (transport === undefined) return {};
  if (hasChoice) return { GATEWAY_TRANSPORT: transport };
  if (transport === "node") return {};
  throw new CannotRun("this build has no transport but node:http2");
}
