import { X509Certificate } from "node:crypto";

/** When the first of the certificates in a PEM text expires, in milliseconds since the epoch; `undefined` without one. @throws Error when one cannot be read */
export function notAfterMsOf(pem: string): number | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const ends = blocks.map((block) => Date.parse(new X509Certificate(block).validTo));
  return ends.length === 0 ? undefined : Math.min(...ends);
}
