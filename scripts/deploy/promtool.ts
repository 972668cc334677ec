import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../bench/kit/find-program.ts";
import { CACHE, goTool } from "./go-tools.ts";

const PINNED = {
  name: "promtool",
  package: "github.com/prometheus/prometheus/cmd/promtool",
  version: "v0.316.0",
  // Most of Prometheus is clients of cloud providers, which rules do not need.
  tags: "remove_all_sd",
};

/**
 * Prometheus's judge of rules. Debian's and Ubuntu's is unpacked in seconds, without being installed; it is older than most
 * Prometheus servers, and what an old one takes new ones take. Elsewhere, or when `pinned`, one version is built from
 * its sources, which takes many minutes once.
 *
 * @throws Error when it can be had in neither way
 */
export function findPromtool(pinned: boolean): string {
  return pinned || findProgram("apt-get") === undefined ? goTool(PINNED) : (unpackDebian() ?? goTool(PINNED));
}

function unpackDebian(): string | undefined {
  const folder = join(CACHE, "prometheus-debian");
  const promtool = join(folder, "usr/bin/promtool");
  if (existsSync(promtool)) return promtool;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(`${folder}-`);
  try {
    execFileSync("apt-get", ["download", "prometheus"], { cwd: work, stdio: ["ignore", "ignore", "pipe"] });
    const [file = ""] = readdirSync(work);
    execFileSync("dpkg", ["-x", file, "root"], { cwd: work, stdio: ["ignore", "ignore", "pipe"] });
    // In one step, so that a run that is cut short leaves no half of it.
    if (!existsSync(promtool)) renameSync(join(work, "root"), folder);
    return promtool;
  } catch (error) {
    process.stdout.write(`apt-get gives no prometheus (${error instanceof Error ? error.message : error})\n`);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
