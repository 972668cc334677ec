import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis, type RedisOptions } from "ioredis";
import type { RedisBinary } from "./redis-binary.ts";

const READY_TIMEOUT_MS = 15_000;
/** The cluster bus listens this far above the port. */
const BUS_OFFSET = 10_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface ProcessOptions {
  readonly binary: RedisBinary;
  /** Directives of redis.conf, in place of its defaults. */
  readonly directives: Readonly<Record<string, string>>;
  /** How to reach and log in to it, to see whether it is up. */
  readonly client: RedisOptions;
  /** A sentinel keeps its configuration in a file that it rewrites. */
  readonly sentinelConfig?: ((directory: string) => string) | undefined;
}

/** One server of ours on loopback, with nothing on disk but a temporary directory. */
export class RedisProcess {
  readonly #options: ProcessOptions;
  readonly directory = mkdtempSync(join(tmpdir(), "m2mgw-redis-"));
  #child: ChildProcess | undefined;
  #output = "";

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { binary, directives, sentinelConfig } = this.#options;
    const settings = Object.entries({ dir: this.directory, save: "", appendonly: "no", ...directives });
    const args =
      sentinelConfig === undefined
        ? settings.flatMap(([name, value]) => [`--${name}`, ...(value === "" ? [""] : value.split(" "))])
        : [sentinelConfig(this.directory), "--sentinel"];
    const child = spawn(binary.server, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...binary.environment },
    });
    running.add(child);
    child.once("exit", () => running.delete(child));
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-4_000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    this.#child = child;
    await this.#waitUntilUp(child);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** As a machine that hangs: connections stay open and nothing is answered. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs `use` on a connection of its own. */
  async with<T>(use: (client: Redis) => Promise<T>): Promise<T> {
    return await withClient(this.#options.client, use);
  }

  async #waitUntilUp(child: ChildProcess): Promise<void> {
    const deadlineMs = Date.now() + READY_TIMEOUT_MS;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`redis-server ended at once:\n${this.#output}`);
      try {
        await this.with((client) => client.ping());
        return;
      } catch (error) {
        if (Date.now() > deadlineMs)
          throw new Error(`redis-server does not answer:\n${this.#output}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

export async function withClient<T>(options: RedisOptions, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ ...options, replyMapping: "legacy", lazyConnect: true, retryStrategy: null });
  client.on("error", () => {
    // The rejection of connect() says the same.
  });
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** Asks again until `condition` holds. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    if (await condition().catch(() => false)) return;
    if (Date.now() > deadlineMs) throw new Error(`gave up waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that is free now, as is the one that its cluster bus would use. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await listenOnce(0);
    if (port === undefined || port + BUS_OFFSET > 65_535) continue;
    if ((await listenOnce(port + BUS_OFFSET)) !== undefined) return port;
  }
}

async function listenOnce(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch {
    return undefined;
  }
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : undefined;
}
