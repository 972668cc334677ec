import type { KeyFiles } from "../config/key-files.ts";
import type { Config } from "../config/settings.ts";
import type { TlsFiles } from "../config/tls-files.ts";
import type { GivenLog } from "../domain.ts";
import type { Logger } from "../logger.ts";
import type { WorkerStatuses } from "../rpc/merge-status.ts";
import type { RpcDependencies } from "../rpc/rpc-dependencies.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly version: string;
  /** Serves RPCs over TLS. */
  readonly tls?: TlsFiles | undefined;
  /** The files that the keys of the upstream are taken from, now and whenever they change. */
  readonly keyFiles?: KeyFiles | undefined;
  /** Called for `POST /quit` of the admin port. */
  readonly onQuit?: (() => void) | undefined;
}

/** What a process of a host with workers has from the primary. */
export interface Host extends GivenLog {
  readonly spreadInvalidation: NonNullable<RpcDependencies["spreadInvalidation"]>;
  /** What those who serve the RPC port tell, for the process that does not. */
  readonly workers?: () => Promise<WorkerStatuses>;
}
