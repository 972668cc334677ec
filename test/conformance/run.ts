/**
 * Runs the Connect conformance suite against the gateway's RPC server: gRPC, gRPC-Web and Connect over HTTP/1.1 and
 * HTTP/2, with and without TLS. No case is known to fail: every failure is one.
 *
 *     npm run conformance -- [--transport NAME]... [--run PATTERN]... [--trace]
 *
 * Needs Go where the suite has not been built before. Exit code 0: all cases passed. 1: some failed. 2: usage.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TransportName } from "../../src/rpc/rpc-server.ts";
import { prepareSuite, type Suite } from "./suite.ts";

/** A run takes one or two minutes; the runner itself would wait for ever for a server that hangs. */
const RUN_TIMEOUT_MS = 15 * 60_000;

const TRANSPORTS: readonly TransportName[] = ["engine", "node"];

function main(): number {
  const { values } = parseArgs({
    options: {
      transport: { type: "string", multiple: true, default: [...TRANSPORTS] },
      run: { type: "string", multiple: true, default: [] },
      trace: { type: "boolean", default: false },
    },
  });
  const transports = TRANSPORTS.filter((name) => values.transport.includes(name));
  if (transports.length < values.transport.length) {
    process.stderr.write(`--transport is one of ${TRANSPORTS.join(", ")}\n`);
    return 2;
  }
  const suite = prepareSuite();
  const options = [...values.run.flatMap((pattern) => ["--run", pattern]), ...(values.trace ? ["--trace"] : [])];
  const failed = transports.filter((transport) => !passes(suite, transport, options));
  for (const transport of failed) process.stderr.write(`not conforming: transport ${transport}\n`);
  return failed.length === 0 ? 0 : 1;
}

function passes(suite: Suite, transport: TransportName, options: readonly string[]): boolean {
  process.stdout.write(`transport ${transport}\n`);
  const here = import.meta.dirname;
  const server = ["--import", "tsx", join(here, "server.ts"), "--descriptors", suite.descriptors];
  const runner = ["--mode", "server", "--conf", join(here, "config.yaml"), ...options];
  const { error, status } = spawnSync(
    suite.command,
    [...runner, "--", process.execPath, ...server, "--transport", transport],
    { stdio: "inherit", timeout: RUN_TIMEOUT_MS },
  );
  if (error !== undefined) throw error;
  return status === 0;
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
