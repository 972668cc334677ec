import { execFileSync } from "node:child_process";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * A certificate for `localhost` and 127.0.0.1 that is its own authority, valid for a day.
 *
 * @throws Error when the openssl program is not installed
 */
export function makeCertificate(): Certificate {
  const options = [
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
    ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ["-keyout", "-", "-out", "-"],
  ];
  const pem = openssl(["req", "-x509", ...options.flat()]);
  const start = pem.indexOf("-----BEGIN CERTIFICATE-----");
  return { key: pem.slice(0, start), cert: pem.slice(start) };
}

function openssl(args: readonly string[]): string {
  try {
    return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      throw new Error("tests of TLS make their certificates with the openssl program: install it", { cause: error });
    }
    throw error;
  }
}
