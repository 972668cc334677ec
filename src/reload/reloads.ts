import { type ClerkKeys, type KeyFiles, readKeys } from "../config/key-files.ts";
import type { Config } from "../config/settings.ts";
import type { TlsFiles, UpstreamTls } from "../config/tls-files.ts";
import { readTls, readUpstreamTls } from "../config.ts";
import type { Logger } from "../logger.ts";
import type { CertificateSnapshot, FilesSnapshot } from "../status/snapshots.ts";
import type { Clock } from "../token/ports.ts";
import { notAfterMsOf } from "./certificates.ts";
import { Reloader } from "./reloader.ts";

interface Context {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ReloadsOptions extends Context {
  readonly keyFiles: KeyFiles;
  /** What is in use when the watching begins. */
  readonly tls: TlsFiles | undefined;
  readonly upstreamTls: UpstreamTls;
  readonly useTls: (tls: TlsFiles) => void;
  readonly useUpstreamTls: (tls: UpstreamTls) => void;
  readonly useKeys: (keys: ClerkKeys) => void;
}

/** All that is taken over from files while the gateway runs. */
export interface Reloads {
  /** Looks at the files now, before what has been read from them is first used. */
  look(): Promise<void>;
  /** Looks again and again from now on. */
  start(): void;
  snapshot(): FilesSnapshot;
  /** What is in use. */
  readonly tls: TlsFiles | undefined;
  close(): void;
}

export function createReloads(options: ReloadsOptions): Reloads {
  const { config, keyFiles, clock, log } = options;
  const common = { clock, log, intervalMs: config.gateway.reloadIntervalMs };
  const tls = options.tls && createTlsReloader(options, options.tls, options.useTls);
  const upstreamTls = new Reloader<UpstreamTls>({
    ...common,
    files: "upstream_tls",
    paths: pathsOf(config.clerk.caFile, config.clerk.clientCertFile, config.clerk.clientKeyFile),
    current: options.upstreamTls,
    parse: (readFile) => readUpstreamTls(config, readFile),
    apply: options.useUpstreamTls,
  });
  const keys = new Reloader<ClerkKeys>({
    ...common,
    files: "upstream_key",
    paths: pathsOf(keyFiles.machineSecretKey, keyFiles.secretKey),
    current: {
      machineSecretKey: config.clerk.machineSecretKey?.reveal(),
      secretKey: config.clerk.secretKey?.reveal(),
    },
    parse: (readFile) => readKeys(config, keyFiles, readFile),
    apply: options.useKeys,
  });
  const all = [tls, upstreamTls, keys].flatMap((reloader) => reloader ?? []).filter(({ isIdle }) => !isIdle);
  return {
    look: async () => void (await Promise.all(all.map((reloader) => reloader.look()))),
    start() {
      for (const reloader of all) reloader.start();
    },
    snapshot: () => ({
      reloads: all.map((reloader) => reloader.snapshot),
      certificates: [
        ...certificate("server", tls?.current.cert),
        ...certificate("client_ca", tls?.current.clientCa),
        ...certificate("upstream_client", upstreamTls.current.cert),
        ...certificate("upstream_ca", upstreamTls.current.ca),
      ],
    }),
    get tls() {
      return tls?.current;
    },
    close() {
      for (const reloader of all) reloader.close();
    },
  };
}

/** Of the certificate, key and client authorities that the gateway's own ports are served with. */
export function createTlsReloader(
  { config, clock, log }: Context,
  current: TlsFiles,
  apply: (tls: TlsFiles) => void,
): Reloader<TlsFiles> {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = config.rpc;
  return new Reloader<TlsFiles>({
    ...{ files: "tls", clock, log, current, apply, intervalMs: config.gateway.reloadIntervalMs },
    paths: pathsOf(tlsCertFile, tlsKeyFile, tlsClientCaFile),
    parse: (readFile) => readTls(config, readFile) ?? current,
  });
}

function pathsOf(...paths: readonly (string | undefined)[]): string[] {
  return paths.filter((path) => path !== undefined);
}

function certificate(name: CertificateSnapshot["certificate"], pem: string | undefined): CertificateSnapshot[] {
  const notAfterMs = pem === undefined ? undefined : notAfterMsOf(pem);
  return notAfterMs === undefined ? [] : [{ certificate: name, notAfterMs }];
}
