import { createAuditLog } from "./audit-log.ts";
import { CallersFileError } from "./callers/callers-file.ts";
import { type OpenCallers, openCallers } from "./callers/open-callers.ts";
import { createPeers } from "./callers/peer.ts";
import { isLocal } from "./config/endpoint.ts";
import { ConfigError } from "./config/problem.ts";
import type { Config } from "./config/settings.ts";
import type { Logger } from "./logger.ts";
import type { AccessControl } from "./rpc/access-control.ts";
import { Guard } from "./rpc/admission.ts";
import type { OnAudit } from "./rpc/audit.ts";
import type { Clock } from "./token/ports.ts";

/** Who may call a gateway, and what is written down of it. */
export interface Access extends OpenCallers {
  /** Of the RPC port. Another port has peers of its own and the same guard. */
  readonly control: AccessControl;
  readonly onAudit: OnAudit | undefined;
}

/** Reads the callers' file, if the configuration names one, and follows it. @throws ConfigError when it cannot be used */
export function openAccess({ rpc, callers: settings }: Config, log: Logger, clock: Clock): Access {
  const { file, demandLocal: demandsLocal, auditLog } = settings;
  const opened = withConfigErrors(file, () =>
    openCallers({
      file,
      demandsLocal,
      clock,
      onReload: (count) => log.info({ callers: count }, "the callers' file has changed and is in force"),
      onRefused: (err) =>
        log.error({ err, file }, "the callers' file cannot be used; what it said before stays in force"),
    }),
  );
  const isOpenToAll = file === undefined && !isLocal(rpc.listen);
  if (isOpenToAll) log.warn("whoever reaches the RPC port may do everything: GATEWAY_CALLERS_FILE is not given");
  return {
    ...opened,
    control: { guard: new Guard(opened.callers), peerOf: createPeers(isLocal(rpc.listen)) },
    onAudit: auditLog ? createAuditLog(log, clock) : undefined,
  };
}

function withConfigErrors<T>(file: string | undefined, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof CallersFileError)) throw error;
    const fix = "correct it; docs/security.md shows the form";
    throw new ConfigError([{ where: "GATEWAY_CALLERS_FILE", what: `(${file}) ${error.message}`, fix }]);
  }
}
