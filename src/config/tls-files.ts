import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Problem } from "./problem.ts";
import type { Config } from "./settings.ts";
import { failureCode, type ReadFile } from "./source.ts";

/** What a TLS server shows and proves its name with, and whose clients it takes. */
export interface TlsFiles {
  /** PEM: the certificate and its chain. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** PEM: the authorities of clients' certificates. `undefined` when clients are not asked for one. */
  readonly clientCa?: string | undefined;
  /** Whether a client must show a certificate. One that is shown must always come from an authority. */
  readonly clientAuth?: "require" | "optional" | undefined;
}

/** How the gateway connects to the upstream over TLS. */
export interface UpstreamTls {
  /** PEM: the authorities to trust in place of the usual ones. */
  readonly ca: string | undefined;
  /** PEM: the gateway's own certificate. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly servername: string | undefined;
}

export interface TlsReading {
  readonly readFile: ReadFile;
  /** Where a setting was given, by its path. */
  readonly nameOf: (path: string) => string;
  readonly problems: Problem[];
}

/** The files that the configuration names; `undefined` when RPCs are served in cleartext, or when there are problems. */
export function readTlsFiles({ rpc }: Pick<Config, "rpc">, reading: TlsReading): TlsFiles | undefined {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = rpc;
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  const identity = readIdentity(["rpc.tlsCertFile", tlsCertFile], ["rpc.tlsKeyFile", tlsKeyFile], reading);
  const clientCa = readAuthorities(["rpc.tlsClientCaFile", tlsClientCaFile], reading);
  if (identity === undefined || tlsClientCaFile === undefined) return identity;
  return clientCa === undefined ? undefined : { ...identity, clientCa, clientAuth: rpc.tlsClientAuth ?? "require" };
}

/** The files that the configuration names for the upstream; those with problems are absent. */
export function readUpstreamTlsFiles({ clerk }: Pick<Config, "clerk">, reading: TlsReading): UpstreamTls {
  const { caFile, clientCertFile, clientKeyFile, servername } = clerk;
  const ca = readAuthorities(["clerk.caFile", caFile], reading);
  const identity =
    clientCertFile === undefined || clientKeyFile === undefined
      ? undefined
      : readIdentity(["clerk.clientCertFile", clientCertFile], ["clerk.clientKeyFile", clientKeyFile], reading);
  return { ca, cert: identity?.cert, key: identity?.key, servername };
}

type NamedFile = readonly [setting: string, path: string];

function readIdentity(certFile: NamedFile, keyFile: NamedFile, reading: TlsReading) {
  const cert = readPem(certFile, reading);
  const key = readPem(keyFile, reading);
  if (cert === undefined || key === undefined) return undefined;
  try {
    createSecureContext({ cert, key });
    // An empty text is no mistake to Node, but a server without a certificate.
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
  } catch {
    // The library's own message can quote the file.
  }
  const what = `(${certFile[1]}) and the key (${keyFile[1]}) are not a certificate in PEM and its key`;
  const fix = "give the certificate and the key that belong together";
  reading.problems.push({ where: reading.nameOf(certFile[0]), what, fix });
  return undefined;
}

function readAuthorities([setting, path]: readonly [string, string | undefined], reading: TlsReading) {
  if (path === undefined) return undefined;
  const pem = readPem([setting, path], reading);
  if (pem === undefined || areCertificates(pem)) return pem;
  const what = `names ${path}, which does not hold certificates in PEM`;
  const fix = "give the certificates of the authorities";
  reading.problems.push({ where: reading.nameOf(setting), what, fix });
  return undefined;
}

function readPem([setting, path]: NamedFile, { readFile, nameOf, problems }: TlsReading): string | undefined {
  try {
    return readFile(path);
  } catch (error) {
    const what = `names ${path}, which cannot be read (${failureCode(error)})`;
    problems.push({ where: nameOf(setting), what, fix: "give the path of a PEM file that this process may read" });
    return undefined;
  }
}

/** Node takes a text without any certificate for an empty list of authorities, and passes over what it cannot read. */
function areCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length !== pem.split("-----BEGIN ").length - 1) return false;
  try {
    return blocks.every((block) => new X509Certificate(block).raw.length > 0);
  } catch {
    return false;
  }
}
