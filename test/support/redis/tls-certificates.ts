import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface TlsFiles {
  readonly directory: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
}

/** A certificate for 127.0.0.1 that is its own authority. @throws Error when there is no openssl */
export async function makeCertificate(): Promise<TlsFiles> {
  const directory = await mkdtemp(join(tmpdir(), "m2mgw-tls-"));
  const certFile = join(directory, "cert.pem");
  const keyFile = join(directory, "key.pem");
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=m2mgw-test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  try {
    await run("openssl", [...args, ...names, "-keyout", keyFile, "-out", certFile]);
  } catch (error) {
    throw new Error("tests of Redis over TLS make a certificate with openssl: install it", { cause: error });
  }
  return { directory, certFile, keyFile, caFile: certFile, ca: readFileSync(certFile, "utf8") };
}
