import { createSecureContext } from "node:tls";
import type { Problem } from "./problem.ts";
import type { Config } from "./settings.ts";
import { failureCode, type ReadFile } from "./source.ts";

/** What a TLS server shows and proves its name with, in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** The files that the configuration names; `undefined` when RPCs are served in cleartext, or when there are problems. */
export function readTlsFiles(
  { rpc }: Pick<Config, "rpc">,
  readFile: ReadFile,
  nameOf: (path: string) => string,
  problems: Problem[],
): TlsFiles | undefined {
  const { tlsCertFile, tlsKeyFile } = rpc;
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
  if (cert === undefined || key === undefined) return undefined;
  try {
    createSecureContext({ cert, key });
  } catch {
    // The library's own message can quote the file.
    const what = `(${tlsCertFile}) and the key (${tlsKeyFile}) are not a certificate in PEM and its key`;
    problems.push({
      where: nameOf("rpc.tlsCertFile"),
      what,
      fix: "give the certificate and the key that belong together",
    });
    return undefined;
  }
  return { cert, key };
}
