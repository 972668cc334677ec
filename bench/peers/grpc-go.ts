import { execFile } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../test/support/process-fixture.ts";
import { CannotRun, reasonOf } from "../kit/cannot-run.ts";
import { findProgram } from "../kit/find-program.ts";
import { CACHE } from "../kit/programs.ts";
import { exportValidate } from "../kit/stock-client.ts";
import { startGrpcServer } from "./grpc-server.ts";
import type { Peer } from "./peer.ts";

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, "grpc-go");
const FOLDER = join(CACHE, "grpc-go");
const BINARY = join(FOLDER, "bin/grpc-go");
const BUILD_TIMEOUT_MS = 300_000;

/** grpc-go the stock way, with generated code. */
export const grpcGo: Peer = {
  name: "grpc_go",
  title: "grpc-go",
  carriers: ["tcp", "unix", "tls"],
  async prepare(world) {
    const go = findProgram("go");
    if (go === undefined) throw new CannotRun("Go is not installed: https://go.dev/dl");
    world.log("building grpc-go");
    try {
      await build(go);
    } catch (error) {
      throw new CannotRun(`it does not build: ${reasonOf(error)}`, { cause: error });
    }
  },
  start: (world, material, carrier) =>
    startGrpcServer(world, material, carrier, async ({ text }) => {
      const tls = carrier === "tls" ? world.tls() : undefined;
      const files = tls === undefined ? [] : [tls.certFile, tls.keyFile];
      return { command: BINARY, args: [text, material.answerFile, ...files] };
    }),
};

/** What has not changed since the last time is found in Go's caches. */
async function build(go: string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  cpSync(SOURCE, FOLDER, { recursive: true });
  const env = { ...process.env, PATH: [join(FOLDER, "bin"), dirname(go), process.env.PATH ?? ""].join(delimiter) };
  const options = { cwd: FOLDER, env, timeout: BUILD_TIMEOUT_MS };
  await run(go, ["build", "-o", "bin/", "tool"], options);
  exportValidate();
  const template = join(FOLDER, "buf.gen.yaml");
  await run(join(ROOT, "node_modules/.bin/buf"), ["generate", "--template", template, "-o", FOLDER], {
    ...options,
    cwd: ROOT,
  });
  await run(go, ["build", "-o", BINARY, "."], options);
}
