import { X509Certificate } from "node:crypto";
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

/** The files that the configuration names; `undefined` when RPCs are served in cleartext, or when there are problems. */
export function readTlsFiles(
  { rpc }: Pick<Config, "rpc">,
  readFile: ReadFile,
  nameOf: (path: string) => string,
  problems: Problem[],
): TlsFiles | undefined {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = rpc;
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  const read = (path: string, setting: string): string | undefined => {
    try {
      return readFile(path);
    } catch (error) {
      const what = `names ${path}, which cannot be read (${failureCode(error)})`;
      problems.push({ where: nameOf(setting), what, fix: "give the path of a PEM file that this process may read" });
      return undefined;
    }
  };
  const cert = read(tlsCertFile, "rpc.tlsCertFile");
  const key = read(tlsKeyFile, "rpc.tlsKeyFile");
  const clientCa = tlsClientCaFile === undefined ? undefined : read(tlsClientCaFile, "rpc.tlsClientCaFile");
  if (cert === undefined || key === undefined) return undefined;
  if (tlsClientCaFile !== undefined && clientCa === undefined) return undefined;
  try {
    createSecureContext({ cert, key });
  } catch {
    // The library's own message can quote the file.
    const what = `(${tlsCertFile}) and the key (${tlsKeyFile}) are not a certificate in PEM and its key`;
    const fix = "give the certificate and the key that belong together";
    problems.push({ where: nameOf("rpc.tlsCertFile"), what, fix });
    return undefined;
  }
  if (clientCa === undefined) return { cert, key };
  if (!areCertificates(clientCa)) {
    const what = `names ${tlsClientCaFile}, which does not hold certificates in PEM`;
    const fix = "give the certificates of the authorities that issue the callers' certificates";
    problems.push({ where: nameOf("rpc.tlsClientCaFile"), what, fix });
    return undefined;
  }
  return { cert, key, clientCa, clientAuth: rpc.tlsClientAuth ?? "require" };
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
