import type { Socket } from "node:net";
import { TLSSocket, type TlsOptions } from "node:tls";
import { TLS_OPTIONS } from "./transport-limits.ts";

/** What the server shows and proves its name with, and whose clients it takes. */
export interface TlsIdentity {
  /** PEM: the certificate, then those it was issued under but the root. */
  readonly cert: string | Buffer;
  /** PEM, not encrypted. */
  readonly key: string | Buffer;
  /** PEM: the authorities of clients' certificates. Without it clients are asked for none. */
  readonly clientCa?: string | Buffer | undefined;
  /** Whether a client must show one. `require` when not given. */
  readonly clientAuth?: "require" | "optional" | undefined;
}

/** @throws Error of node:tls when the identity cannot be used; first where the options are */
export function tlsOptionsOf({ cert, key, clientCa, clientAuth = "require" }: TlsIdentity): TlsOptions {
  if (clientCa === undefined) return { ...TLS_OPTIONS, cert, key };
  return {
    ...TLS_OPTIONS,
    cert,
    key,
    ca: clientCa,
    requestCert: true,
    // Ends the connection of a client without a certificate too. Where that one is welcome, `isTrusted` tells them apart.
    rejectUnauthorized: clientAuth === "require",
  };
}

/**
 * Whether whoever has connected may go on: false for a client that showed a certificate of none of the authorities, which is
 * a mistake that it should hear of, and never a client without an identity.
 */
export function isTrusted(socket: Socket): boolean {
  if (!(socket instanceof TLSSocket) || socket.authorized) return true;
  return socket.getPeerX509Certificate() === undefined;
}
