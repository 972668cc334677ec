/**
 * Lets clients of others play the story of a token against the gateway, in clear text and over TLS. Those that need
 * nothing but npm are part of `npm test`; these need a program each, or a toolchain that builds one.
 *
 *     npm run clients -- [NAME]...
 *
 * Exit code 0: all played. 1: one failed, or could not run for want of what the report says.
 */
import type { MatrixClient } from "./client.ts";
import { curl, nghttp } from "./command-line.ts";
import { grpcGo } from "./grpc-go.ts";
import { pythonGrpc } from "./python-grpc.ts";
import { type Carrier, serve } from "./served.ts";

const CLIENTS: readonly MatrixClient[] = [curl, nghttp, grpcGo, pythonGrpc];
const CARRIERS: readonly Carrier[] = ["TCP", "TLS"];

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  const clients = CLIENTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  if (clients.length === 0) throw new Error(`there are ${CLIENTS.map(({ name }) => name).join(", ")}`);
  let failures = 0;
  for (const client of clients) {
    const problem = await problemOf(() => client.prepare());
    for (const carrier of CARRIERS) {
      const result = problem === undefined ? await problemOf(() => playOn(carrier, client)) : `cannot run: ${problem}`;
      if (result !== undefined) failures += 1;
      process.stdout.write(`${client.name.padEnd(16)}${carrier}  ${result ?? "played"}\n`);
    }
  }
  return failures === 0 ? 0 : 1;
}

async function playOn(carrier: Carrier, client: MatrixClient): Promise<void> {
  await using served = await serve(carrier);
  await client.play(served);
}

async function problemOf(step: () => Promise<void>): Promise<string | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
