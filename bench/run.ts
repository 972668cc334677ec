/**
 * The benchmark: the gateway and its peers, on pinned cores, in interleaved rounds.
 *
 *     npm run bench -- --help
 *
 * docs/performance.md tells what is measured and what came of it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { CannotRun, reasonOf } from "./kit/cannot-run.ts";
import { findProgram } from "./kit/find-program.ts";
import { makeMaterial } from "./kit/material.ts";
import { RunRecord } from "./kit/record.ts";
import { createWorld } from "./kit/world.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { jsonReport, machineLine, textReport } from "./report.ts";
import { SECTIONS } from "./sections/all.ts";
import type { Section, SectionContext } from "./sections/section.ts";
import { measureShapes, PEERS, SHAPES } from "./sections/shapes.ts";

const ABOUTS = new Map([...SHAPES, ...SECTIONS].map(({ name, about }) => [name, about]));

async function main(options: BenchOptions): Promise<number> {
  assertNames("--only", options.only, [...ABOUTS.keys()]);
  assertNames(
    "--peers",
    options.peers,
    PEERS.map(({ name }) => name),
  );
  const world = await createWorld();
  try {
    const startedAt = new Date().toISOString();
    const machine = machineLine(world.cores);
    world.log(machine);
    const record = new RunRecord();
    const context = { world, options, record, material: await makeMaterial(world) };
    await measureShapes(context);
    for (const section of SECTIONS) await runSection(section, context);
    const about = { machine, startedAt, versions: versions(), options };
    publish(options, textReport(record, ABOUTS, machine), jsonReport(record, about));
    return record.failures.length > 0 ? 1 : 0;
  } finally {
    await world.close();
  }
}

async function runSection(section: Section, context: SectionContext): Promise<void> {
  const { options, record, world } = context;
  if (options.only.length > 0 ? !options.only.includes(section.name) : section.name === "idle" && !options.idle) return;
  if (options.quick && options.only.length === 0) {
    record.addGap(section.name, "left out by --quick");
    return;
  }
  world.log(`${section.name}: ${section.about}`);
  try {
    await section.run(context);
  } catch (error) {
    if (error instanceof CannotRun) record.addGap(section.name, reasonOf(error));
    else record.addFailure(section.name, reasonOf(error));
  }
}

function publish({ json }: BenchOptions, text: string, result: object): void {
  const serialized = `${JSON.stringify(result, null, 2)}\n`;
  if (json === "-") {
    process.stderr.write(`${text}\n`);
    process.stdout.write(serialized);
    return;
  }
  process.stdout.write(`${text}\n`);
  if (json !== undefined) writeFileSync(json, serialized);
}

function assertNames(option: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`${option}: no ${unknown.join(", ")}; there are ${known.join(", ")}`);
}

function versions(): Record<string, string> {
  const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  const packages = ["@connectrpc/connect-node", "@grpc/grpc-js", "@clerk/backend", "ioredis"];
  return {
    node: process.version,
    ...Object.fromEntries(packages.map((name) => [name, lock.packages[`node_modules/${name}`]?.version ?? "unknown"])),
    ...Object.fromEntries(
      [
        ["go", "version"],
        ["h2load", "--version"],
        ["nginx", "-v"],
        ["redis-server", "--version"],
      ].map(([name = "", flag = ""]) => [name, versionOf(name, flag)]),
    ),
    commit: versionOf("git", "rev-parse", "--short", "HEAD"),
  };
}

function versionOf(name: string, ...args: readonly string[]): string {
  const program = findProgram(name);
  if (program === undefined) return "not installed";
  try {
    // nginx tells on standard error.
    const output = execFileSync("sh", ["-c", '"$0" "$@" 2>&1', program, ...args], { encoding: "utf8" });
    return output.trim().split("\n")[0] ?? "";
  } catch (error) {
    return reasonOf(error);
  }
}

/** The handlers of `exit` end every process that was started and remove what was written. */
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => process.exit(code));
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    const names = [...ABOUTS].map(([name, about]) => `  ${name.padEnd(16)}  ${about}`).join("\n");
    process.stdout.write(`${USAGE}\n\nshapes and sections:\n${names}\n\npeers:\n`);
    process.stdout.write(PEERS.map(({ name, title }) => `  ${name.padEnd(16)}  ${title}\n`).join(""));
  } else process.exitCode = await main(options);
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`);
  process.exitCode = 2;
}
