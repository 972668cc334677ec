import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** In PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** The common name. */
  readonly name?: string;
  /** As openssl writes them, for example `DNS:localhost` or `URI:spiffe://example.test/billing`. */
  readonly altNames?: readonly string[];
  readonly days?: number;
}

/** Who signs certificates. Each is known by its own certificate alone. */
export interface Authority extends Certificate {
  issue(options?: CertificateOptions): Certificate;
}

export interface CertificateFiles {
  /** Whose it is to remove. */
  readonly directory: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
}

const LOCAL_NAMES = ["DNS:localhost", "IP:127.0.0.1"];
const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/**
 * A certificate for `localhost` and 127.0.0.1 that is its own authority, valid for a day.
 *
 * @throws Error when the openssl program is not installed
 */
export function makeCertificate({ name = "localhost", altNames = LOCAL_NAMES, days = 1 }: CertificateOptions = {}) {
  const names = ["-subj", `/CN=${name}`, ...(altNames.length > 0 ? ["-addext", altNameOf(altNames)] : [])];
  return splitPem(openssl(["req", "-x509", ...EC_KEY, "-days", String(days), ...names, "-keyout", "-", "-out", "-"]));
}

/** @throws Error when the openssl program is not installed */
export function makeAuthority(name = "authority"): Authority {
  const own = makeCertificate({ name, altNames: [] });
  return { ...own, issue: (options = {}) => issue(own, options) };
}

/** The same certificate as `makeCertificate`, in files. */
export function makeCertificateFiles(): CertificateFiles {
  const directory = mkdtempSync(join(tmpdir(), "m2mgw-tls-"));
  const { cert, key } = makeCertificate();
  const certFile = join(directory, "cert.pem");
  const keyFile = join(directory, "key.pem");
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { directory, certFile, keyFile, caFile: certFile, ca: cert };
}

function issue(authority: Certificate, { name = "localhost", altNames = LOCAL_NAMES, days = 1 }: CertificateOptions) {
  const folder = mkdtempSync(join(tmpdir(), "m2mgw-ca-"));
  try {
    const at = (file: string) => join(folder, file);
    writeFileSync(at("ca.pem"), authority.cert);
    writeFileSync(at("ca.key"), authority.key, { mode: 0o600 });
    writeFileSync(at("names"), altNames.length > 0 ? altNameOf(altNames) : "basicConstraints=CA:FALSE");
    openssl(["req", "-new", ...EC_KEY, "-subj", `/CN=${name}`, "-keyout", at("key.pem"), "-out", at("request.pem")]);
    const cert = openssl([
      ...["x509", "-req", "-in", at("request.pem"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial"],
      ...["-days", String(days), "-extfile", at("names")],
    ]);
    return { cert, key: readFileSync(at("key.pem"), "utf8") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function altNameOf(altNames: readonly string[]): string {
  return `subjectAltName=${altNames.join(",")}`;
}

function splitPem(pem: string): Certificate {
  const start = pem.indexOf("-----BEGIN CERTIFICATE-----");
  return { key: pem.slice(0, start), cert: pem.slice(start) };
}

function openssl(args: readonly string[]): string {
  try {
    return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      const how = "install it, for example with apt-get install openssl";
      throw new Error(`tests of TLS make their certificates with the openssl program: ${how}`, { cause: error });
    }
    throw error;
  }
}
