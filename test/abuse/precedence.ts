import { spawnSync } from "node:child_process";

/**
 * Lets this process run as soon as it has something to do, before all others on its core, and not those that it starts. In life
 * an innocent client has a machine of its own; here it shares a core with the attackers, and whatever keeps it waiting would be
 * laid to the gateway's charge.
 *
 * @returns what a reader of the figures must know
 */
export function takePrecedence(): string {
  const { status, error } = spawnSync("chrt", ["--reset-on-fork", "--fifo", "--pid", "10", `${process.pid}`]);
  if (status === 0) return "the innocent runs before all others on its core";
  const why = error === undefined ? "not permitted" : "chrt (package util-linux) is missing";
  return `the innocent has to wait for others on its core: ${why}`;
}
