import type { FaultReport } from "./fault-run.ts";
import type { Violation } from "./ledger.ts";

const MAX_SHOWN = 5;

/** The report as a table for people, with the whole history of tokens that a promise was broken for. */
export function printReport(report: FaultReport): string {
  const { rows, faults } = report;
  const struck = Object.values(faults).reduce((total, count) => total + count, 0);
  return [
    table(rows.map((row) => ({ ...row, synced_after_ms: row.synced_after_ms ?? "" }))),
    "",
    `faults                          ${struck}`,
    `verifies                        ${report.verifies}`,
    `revocations acknowledged        ${report.revocations}`,
    `upstream cap, all gateways      ${report.upstream_cap_per_s}/s`,
    `worst staleness                 ${report.worst_staleness_ms} ms (bound ${report.bound_ms} ms)`,
    `VALID after the bound           ${report.valid_after_bound}`,
    `VALID after WAIT_FLEET          ${report.valid_after_fleet}`,
    `VALID after own acknowledgement ${report.valid_after_own_acknowledgement}`,
    `watcher mismatches              ${report.watcher_mismatches}`,
    `undecided verifications         ${report.undecided} ${codes(report.undecided_by_code)}`,
    ...report.mismatches.slice(0, MAX_SHOWN).map((mismatch) => `! ${mismatch}`),
    ...firstByToken(report.violations).map(timeline),
    "",
  ].join("\n");
}

/** The same without histories and secrets, for machines. */
export function jsonReport({ violations: _, mismatches: __, ...figures }: FaultReport): string {
  return `${JSON.stringify(figures)}\n`;
}

function table(rows: readonly object[]): string {
  const headings = Object.keys(rows[0] ?? {});
  const cells = [headings, ...rows.map((row) => Object.values(row).map(String))];
  const widths = headings.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? "").length)));
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return cells.map((line) => line.map(pad).join("  ")).join("\n");
}

function codes(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([code, count]) => `${code} ${count}`)
    .join(", ");
}

function firstByToken(violations: readonly Violation[]): Violation[] {
  const ids = [...new Set(violations.map(({ token }) => token.id))].slice(0, MAX_SHOWN);
  return ids.flatMap((id) => violations.find(({ token }) => token.id === id) ?? []);
}

/** Times count from the acknowledgement. */
function timeline({ rule, token, answer }: Violation): string {
  const zeroMs = token.acknowledged?.atMs ?? 0;
  const at = (ms: number) => `${(ms - zeroMs).toFixed(1).padStart(10)} ms`;
  const events = [
    { atMs: token.mintedAtMs, text: "minted" },
    ...token.failedRevocations.map(({ atMs, replica, code }) => ({
      atMs,
      text: `${replica} failed to revoke: ${code}`,
    })),
    {
      atMs: zeroMs,
      text: `${token.acknowledged?.replica} acknowledged${token.acknowledged?.fleet === true ? ", PROPAGATION_FLEET" : ""}`,
    },
    ...token.answers.map((each) => ({
      atMs: each.beganAtMs,
      text: `${each.replica}#${each.incarnation} ${each.verdict} ${each.source}, ended ${at(each.endedAtMs).trim()}${each === answer ? `  <- ${rule}` : ""}`,
    })),
  ].sort((a, b) => a.atMs - b.atMs);
  return [`! ${token.id}: VALID ${rule}`, ...events.map(({ atMs, text }) => `  ${at(atMs)}  ${text}`)].join("\n");
}
