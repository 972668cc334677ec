/**
 * Attacks the built gateway as hostile clients do, on both transports, in clear text and over TLS, and prints what
 * became of its memory and of an innocent client meanwhile.
 *
 *     npm run abuse -- --help
 *
 * Exit code 0: the gateway outlived all of it and the innocent was always answered from memory. 1: not.
 */
import { parseArgs } from "node:util";
import { moveGroup, moveHelpers, moveProcess, planCores } from "../../bench/kit/cpu-pinning.ts";
import type { Attack } from "./attack.ts";
import { AttackerProcess } from "./attacker-process.ts";
import { ATTACKS } from "./attacks/all.ts";
import { Innocent } from "./innocent.ts";
import { takePrecedence } from "./precedence.ts";
import { after, type Outcome, runAttack } from "./run-attack.ts";
import { Victim, type VictimOptions } from "./victim.ts";

const USAGE = `usage: npm run abuse -- [options]

  --quick           fewer connections for each attack
  --seconds n       how long each attack goes on once its connections are open (5), and the idle time before it
  --only text       the attacks whose names hold the text, alone
  --transport name  engine or node alone
  --carrier name    tcp or tls alone
  --one-core        the gateway's helper thread has the core of its event loop, and takes it 4 ms at a time
  --help            this

Without --quick it needs "ulimit -n 20000".
`;

const { values: options } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    seconds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    transport: { type: "string" },
    carrier: { type: "string" },
    "one-core": { type: "boolean", default: false },
  },
});

const VICTIMS: readonly VictimOptions[] = [
  { transport: "engine", carrier: "tcp" },
  { transport: "engine", carrier: "tls" },
  { transport: "node", carrier: "tcp" },
  { transport: "node", carrier: "tls" },
];

/** So that ten thousand connections are open at once, and not most of them refused. */
const ENVIRONMENT = { GATEWAY_MAX_CONNECTIONS: "12000" };

if (options.help) {
  process.stdout.write(USAGE);
  process.exit();
}

// The handlers of `exit` put back what was moved.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** The gateway's event loop has a core of its own where there are two: what the attackers' costs is not its doing. */
const CORES = planCores();
const HELPERS = options["one-core"] ? CORES.server : CORES.support;
moveGroup(CORES);
// On the gateway's own core it would keep the gateway waiting.
print(CORES.server === CORES.load ? CORES.remark : `${CORES.remark}; ${takePrecedence()}`);
if (HELPERS !== CORES.server) print(`the server's event loop alone is meant; its helper thread is on core ${HELPERS}`);

let failures = 0;
for (const victim of VICTIMS) {
  if (options.transport !== undefined && options.transport !== victim.transport) continue;
  if (options.carrier !== undefined && options.carrier !== victim.carrier) continue;
  await attackAll({ ...victim, env: ENVIRONMENT });
}
process.exitCode = failures === 0 ? 0 : 1;

async function attackAll(victimOptions: VictimOptions): Promise<void> {
  const { transport, carrier } = victimOptions;
  print(`\n### ${transport} over ${carrier}\n`);
  print(
    "| attack | connections | closed or refused | peak RSS, MiB | idle p50 / p99, ms | during p50 / p99, ms | p99 | innocent calls refused |",
  );
  print("|---|---|---|---|---|---|---|---|");
  let attacks = ATTACKS.filter(({ over, name }) => over.includes(carrier) && name.includes(options.only));
  // One gateway for all of them, unless one of them is the end of it.
  while (attacks.length > 0) attacks = attacks.slice(await attackInTurn(attacks, victimOptions));
}

/** Returns how many attacks were made. */
async function attackInTurn(attacks: readonly Attack[], victimOptions: VictimOptions): Promise<number> {
  await using victim = await Victim.start(victimOptions);
  moveProcess(CORES.server, victim.pid);
  moveHelpers(HELPERS, victim.pid);
  const attacker = new AttackerProcess();
  const innocent = new Innocent(victim.target, victim.token);
  let made = 0;
  try {
    for (const attack of attacks) {
      made += 1;
      const connections = attack.connections[options.quick ? 0 : 1];
      const settings = { connections, durationMs: Number(options.seconds) * 1000, atLeastCalls: 100 };
      const idleMs = await innocent.ask(after(settings.durationMs), settings.atLeastCalls);
      print(row(idleMs, await runAttack(attack, { victim, attacker, innocent }, settings)));
      await victim.decides();
    }
  } catch (error) {
    failures += 1;
    print(
      `| ${attacks[made - 1]?.name} | FAILED: ${error instanceof Error ? error.message : error} ${victim.errors} |`,
    );
  } finally {
    innocent.close();
    attacker.close();
  }
  return made;
}

function row(idleMs: readonly number[], { attack, opened, closed, peakMiB, latenciesMs, refused }: Outcome): string {
  const [idle, during] = [percentilesOf(idleMs), percentilesOf(latenciesMs)];
  const times = (during.p99 / idle.p99).toFixed(1);
  const cells = [attack, opened, closed, Math.round(peakMiB), textOf(idle), textOf(during), `${times} times`, refused];
  return `| ${cells.join(" | ")} |`;
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

function percentilesOf(latenciesMs: readonly number[]): Percentiles {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function textOf({ p50, p99 }: Percentiles): string {
  return `${p50.toFixed(2)} / ${p99.toFixed(2)}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
