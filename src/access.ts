import { readFileSync } from "node:fs";
import { createAuditLog } from "./audit-log.ts";
import { Callers } from "./callers/callers.ts";
import { type CallerEntry, CallersFileError, parseCallersFile } from "./callers/callers-file.ts";
import { createPeers } from "./callers/peer.ts";
import { isLocal } from "./config/endpoint.ts";
import { ConfigError } from "./config/problem.ts";
import type { Config } from "./config/settings.ts";
import type { Logger } from "./logger.ts";
import { Reloader } from "./reload/reloader.ts";
import type { AccessControl } from "./rpc/access-control.ts";
import type { OnAudit } from "./rpc/audit.ts";
import { Guard } from "./rpc/guard.ts";
import type { CallerSnapshot, ReloadSnapshot } from "./status/snapshots.ts";
import type { Clock } from "./token/ports.ts";

/** Who may call a gateway, and what is written down of it. */
export interface Access {
  /** Of the RPC port. Another port has peers of its own and the same guard. */
  readonly control: AccessControl;
  readonly onAudit: OnAudit | undefined;
  /** How much each caller has asked for. */
  callers(): readonly CallerSnapshot[];
  /** Of the callers' file, where there is one. */
  reloads(): readonly ReloadSnapshot[];
  close(): void;
}

/** Reads the callers' file, if the configuration names one, and follows it. @throws ConfigError when it cannot be used */
export function openAccess(config: Config, log: Logger, clock: Clock): Access {
  const { rpc, callers: settings } = config;
  const entries = readCallers(config);
  const callers = new Callers({ clock, entries, demandsLocal: settings.demandLocal });
  const reloader = entries && createReloader(config, log, clock, entries, (now) => callers.replace(now));
  reloader?.start();
  if (entries === undefined && !isLocal(rpc.listen)) {
    log.warn("whoever reaches the RPC port may do everything: GATEWAY_CALLERS_FILE is not given");
  }
  return {
    control: { guard: new Guard(callers), peerOf: createPeers(isLocal(rpc.listen)) },
    onAudit: settings.auditLog ? createAuditLog(log, clock) : undefined,
    callers: () => callers.uses(),
    reloads: () => (reloader === undefined ? [] : [reloader.snapshot]),
    close: () => reloader?.close(),
  };
}

/** Who the callers' file says there is; `undefined` without one. @throws ConfigError */
export function readCallers({ callers: { file } }: Config): readonly CallerEntry[] | undefined {
  return file === undefined ? undefined : parse(file, readText);
}

function createReloader(
  { callers: { file = "" }, gateway }: Config,
  log: Logger,
  clock: Clock,
  current: readonly CallerEntry[],
  apply: (entries: readonly CallerEntry[]) => void,
): Reloader<readonly CallerEntry[]> {
  return new Reloader<readonly CallerEntry[]>({
    ...{ files: "callers", paths: [file], intervalMs: gateway.reloadIntervalMs, clock, log, current, apply },
    parse: (readFile) => parse(file, readFile),
  });
}

function parse(file: string, readFile: (path: string) => string): readonly CallerEntry[] {
  try {
    return parseCallersFile(readFile(file));
  } catch (error) {
    if (!(error instanceof CallersFileError)) throw error;
    const fix = "correct it; docs/security.md shows the form";
    throw new ConfigError([{ where: "GATEWAY_CALLERS_FILE", what: `(${file}) ${error.message}`, fix }]);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new CallersFileError(`cannot be read (${code})`);
  }
}
