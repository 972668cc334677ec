import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CertificateFiles, makeCertificateFiles } from "../../test/support/certificates.ts";
import { findBinary, unpackBinary } from "../../test/support/redis/redis-binary.ts";
import { freePort, RedisProcess } from "../../test/support/redis/redis-process.ts";
import { type BenchCaller, makeCaller } from "./caller.ts";
import { type Cores, moveGroup, moveProcess, planCores } from "./cpu-pinning.ts";
import { BenchEmulator } from "./emulator.ts";
import { compilePrograms } from "./programs.ts";
import { StockClient } from "./stock-client.ts";

/** What a run measures on: cores, Redis, the emulator, a client, and a folder that is removed at the end. */
export interface World {
  readonly cores: Cores;
  readonly folder: string;
  readonly redis: RedisProcess;
  readonly redisPort: number;
  readonly emulator: BenchEmulator;
  readonly client: StockClient;
  readonly caller: BenchCaller;
  /** The environment variables that this build of the gateway knows. */
  readonly variables: ReadonlySet<string>;
  /** The path of a peer's compiled server. */
  readonly program: (name: string) => string;
  /** A certificate for 127.0.0.1 and its key. @throws Error without openssl */
  tls(): CertificateFiles;
  /** Tells how far the run is, on standard error. */
  log(text: string): void;
  close(): Promise<void>;
}

export async function createWorld(): Promise<World> {
  const cores = planCores();
  const folder = mkdtempSync(join(tmpdir(), "m2mgw-bench-"));
  const folders = [folder];
  process.once("exit", () => {
    for (const each of folders) rmSync(each, { recursive: true, force: true });
  });
  moveGroup(cores);
  // Redis inherits the core.
  moveProcess(cores.support);
  const redisPort = await freePort();
  const redis = new RedisProcess({
    binary: (await findBinary()) ?? (await unpackBinary()),
    client: { host: "127.0.0.1", port: redisPort },
    directives: { port: `${redisPort}`, bind: "127.0.0.1" },
  });
  folders.push(redis.directory);
  await redis.start();
  moveProcess(cores.load);
  const emulator = await BenchEmulator.start(folder, cores.support);
  let certificate: CertificateFiles | undefined;
  return {
    cores,
    folder,
    redis,
    redisPort,
    emulator,
    client: StockClient.load(),
    caller: makeCaller(folder),
    variables: await knownVariables(),
    program: compilePrograms(),
    tls: () => {
      if (certificate === undefined) {
        certificate = makeCertificateFiles();
        folders.push(certificate.directory);
      }
      return certificate;
    },
    log: (text) => process.stderr.write(`${text}\n`),
    close: async () => {
      await emulator.child.stop();
      await redis.stop();
    },
  };
}

/** Asked of the built gateway, which is what is measured. */
async function knownVariables(): Promise<ReadonlySet<string>> {
  const path = new URL("../../dist/config/settings.js", import.meta.url).href;
  const { listSettings } = (await import(path)) as typeof import("../../src/config/settings.ts");
  return new Set(listSettings().map(({ facts }) => facts.variable));
}
