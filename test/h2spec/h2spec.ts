import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../bench/kit/find-program.ts";
import { buildGo } from "../support/go-tool.ts";

/** Each of the cases has two seconds. */
const TIMEOUT_MS = 600_000;

/** One case of the suite and how it went. */
export interface CaseResult {
  /** Section of the suite and what the case does: `http2/6.5.2: Sends ...`. */
  readonly title: string;
  readonly outcome: "passed" | "skipped" | "failed";
  /** What was expected and what came; empty unless it failed. */
  readonly detail: string;
}

export interface H2specTarget {
  readonly port: number;
  readonly isTls: boolean;
  /** Of something that answers GET with a body of some bytes: cases of flow control need one. */
  readonly path: string;
}

/** The path of the program: the one on PATH, else one built. @throws Error that says what to install */
export async function findH2spec(): Promise<string> {
  const installed = findProgram("h2spec");
  if (installed !== undefined) return installed;
  try {
    const source = { package: "github.com/summerwind/h2spec/cmd/h2spec", moduleFolder: import.meta.dirname };
    return await buildGo({ name: "h2spec", ...source });
  } catch (error) {
    throw new Error(`h2spec is not on PATH, and cannot be built: ${error instanceof Error ? error.message : error}`);
  }
}

/** Runs every case, the strict ones too. @throws Error when it gave no report */
export async function runH2spec(program: string, { port, isTls, path }: H2specTarget): Promise<CaseResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "h2spec-"));
  const report = join(folder, "report.xml");
  const tlsArgs = isTls ? ["--tls", "--insecure"] : [];
  const args = [
    ...tlsArgs,
    "--strict",
    "--host=127.0.0.1",
    `--port=${port}`,
    `--path=${path}`,
    `--junit-report=${report}`,
  ];
  try {
    const output = await outputOf(program, args);
    const xml = await readFile(report, "utf8").catch(() => "");
    const results = parseReport(xml);
    if (results.length === 0) throw new Error(`h2spec gave no report: ${output.slice(-1000)}`);
    return results;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Failing cases give an exit code too: what counts is the report. */
function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, [...args], { timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve(error === null ? stdout : `${stdout}${stderr}${error.message}`);
    });
  });
}

/** The report is XML whose texts are not escaped inside of elements: read by its tags. */
function parseReport(xml: string): CaseResult[] {
  const cases = xml.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g);
  return [...cases].map(([, section = "", description = "", inside = ""]) => {
    const problem = /<(?:failure|error)>([\s\S]*)<\/(?:failure|error)>/.exec(inside);
    const outcome = problem !== null ? "failed" : inside.includes("<skipped>") ? "skipped" : "passed";
    return { title: `${section}: ${unescaped(description)}`, outcome, detail: problem?.[1]?.trim() ?? "" };
  });
}

function unescaped(text: string): string {
  const names: Record<string, string> = { quot: '"', "#34": '"', "#39": "'", lt: "<", gt: ">", amp: "&" };
  return text.replaceAll(/&(#?\w+);/g, (whole, name: string) => names[name] ?? whole);
}
