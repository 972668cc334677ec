import type { KeyFiles } from "../config/key-files.ts";
import type { Config } from "../config/settings.ts";
import type { TlsFiles, UpstreamTls } from "../config/tls-files.ts";
import type { Domain } from "../domain.ts";
import type { Logger } from "../logger.ts";
import { createReloads, type Reloads } from "../reload/reloads.ts";

interface ReloadedParts {
  readonly config: Config;
  readonly log: Logger;
  readonly tls?: TlsFiles | undefined;
  readonly upstreamTls: UpstreamTls;
  readonly keyFiles?: KeyFiles | undefined;
}

/** Uses what the files say now, and gives what they say later to whom it concerns. */
export function openReloads(options: ReloadedParts, domain: Domain, useTls: (tls: TlsFiles) => void): Reloads {
  const { config, log, tls, upstreamTls, keyFiles = {} } = options;
  domain.useTls(upstreamTls);
  return createReloads({
    ...{ config, log, tls, keyFiles, upstreamTls, useTls },
    clock: domain.clock,
    useUpstreamTls: domain.useTls,
    useKeys: domain.useKeys,
  });
}
