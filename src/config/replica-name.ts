import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

/** The host's name, as far as it can be part of a process name, and a random suffix. */
export function generateReplicaName(): string {
  const host = hostname()
    .replace(/[^\w.-]/g, "-")
    .slice(0, 56);
  return `${host === "" ? "gateway" : host}-${randomBytes(3).toString("hex")}`;
}
