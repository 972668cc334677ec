import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { type Address, socketPath } from "../kit/address.ts";
import { CannotRun } from "../kit/cannot-run.ts";
import { pinned } from "../kit/cpu-pinning.ts";
import { findProgram } from "../kit/find-program.ts";

/** What is asked, and how long each answer must be. */
export interface Target {
  readonly address: Address;
  readonly path: string;
  /** Sent as the body of a POST; without it the path is fetched with GET. */
  readonly bodyFile: string | undefined;
  readonly contentType: string;
  /** Sent as a header of every request, where given. */
  readonly authorization?: string | undefined;
  /** Bytes in the DATA frames of one right answer; its length may vary by `slackBytes`. */
  readonly answerBytes: number;
  readonly slackBytes: number;
}

export interface Pressure {
  readonly connections: number;
  readonly inFlight: number;
  readonly seconds: number;
  /** Requests per second and connection; as fast as they are answered where not given. */
  readonly ratePerSecond?: number;
}

export interface LoadResult {
  /** Answers that came in time. */
  readonly done: number;
  /** Requests sent: `done` and those under way at the end. */
  readonly started: number;
  readonly failed: number;
  readonly dataBytes: number;
  readonly requestsPerSecond: number;
}

const HOW_TO_GET = "h2load is not installed: `apt-get install nghttp2-client`, `brew install nghttp2`";
const GRACE_MS = 20_000;

/**
 * Runs h2load.
 * @throws CannotRun when it is not installed
 * @throws Error when not every answer was a right one, as far as its length tells
 */
export async function runH2load(target: Target, pressure: Pressure, core: number | undefined): Promise<LoadResult> {
  const output = await h2load(argsFor(target, pressure), core, pressure.seconds);
  const result = parseH2load(output);
  assertAnswers(result, target);
  return result;
}

/** Runs h2load at a rate and gives what each request took, in microseconds. */
export async function latenciesOf(
  target: Target,
  pressure: Pressure,
  core: number | undefined,
  logFile: string,
): Promise<number[]> {
  const args = [`--log-file=${logFile}`, ...argsFor(target, pressure)];
  assertAnswers(parseH2load(await h2load(args, core, pressure.seconds)), target);
  const micros = parseRequestLog(readFileSync(logFile, "utf8"));
  rmSync(logFile);
  return micros;
}

/** What h2load prints at its end. @throws Error when that is not a result */
export function parseH2load(output: string): LoadResult {
  const requests = /requests: \d+ total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/;
  const [, started, done, , failed, errored] = requests.exec(output) ?? [];
  const perSecond = /finished in \S+, ([\d.]+) req\/s/.exec(output)?.[1];
  const data = /\((\d+)\) data/.exec(output)?.[1];
  if (done === undefined || perSecond === undefined || data === undefined) {
    throw new Error(`h2load gave no result: ${output.slice(-500)}`);
  }
  return {
    done: Number(done),
    started: Number(started),
    failed: Number(failed) + Number(errored),
    dataBytes: Number(data),
    requestsPerSecond: Number(perSecond),
  };
}

/** Lines of start time, status and duration in microseconds, separated by tabs. */
export function parseRequestLog(text: string): number[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Number(line.split("\t")[2]));
}

/**
 * h2load counts what has an HTTP status of 2xx, and gRPC has that for errors too. But those have no data: as many bytes of
 * data as full answers have are full answers. Some under way at the end may have come in part.
 * @throws Error
 */
export function assertAnswers(result: LoadResult, { answerBytes, slackBytes }: Target): void {
  const { done, started, failed, dataBytes } = result;
  if (done === 0) throw new Error("no request was answered");
  if (failed > 0) throw new Error(`${failed} of ${started} requests failed`);
  const fewest = done * (answerBytes - slackBytes);
  const most = started * (answerBytes + slackBytes);
  if (dataBytes < fewest || dataBytes > most) {
    throw new Error(
      `${dataBytes} bytes of data for ${done} answers of ${answerBytes} bytes: not all were full answers`,
    );
  }
}

function argsFor(target: Target, { connections, inFlight, seconds, ratePerSecond }: Pressure): string[] {
  const { address, path, bodyFile, contentType, authorization } = target;
  const socket = socketPath(address);
  const scheme = address.carrier === "tls" ? "https" : "http";
  return [
    `--clients=${connections}`,
    `--max-concurrent-streams=${inFlight}`,
    "--threads=1",
    `--duration=${Math.round(seconds * 1000)}ms`,
    ...(ratePerSecond === undefined ? [] : [`--rps=${ratePerSecond}`]),
    ...(bodyFile === undefined ? [] : [`--data=${bodyFile}`, `--header=content-type: ${contentType}`]),
    "--header=te: trailers",
    ...(authorization === undefined ? [] : [`--header=authorization: ${authorization}`]),
    ...(socket === undefined ? [] : [`--base-uri=unix:${socket}`]),
    `${scheme}://${socket === undefined ? address.text : "localhost"}${path}`,
  ];
}

async function h2load(args: readonly string[], core: number | undefined, seconds: number): Promise<string> {
  const program = findProgram("h2load");
  if (program === undefined) throw new CannotRun(HOW_TO_GET);
  const [file, fileArgs] = pinned(core, program, args);
  const child = spawn(file, fileArgs, { stdio: ["ignore", "pipe", "pipe"], timeout: seconds * 1000 + GRACE_MS });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  process.off("exit", end);
  if (code !== 0) throw new Error(`h2load ended with ${code}: ${output.slice(-500)}`);
  return output;
}
