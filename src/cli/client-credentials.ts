import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { CliIo } from "./io.ts";
import { UsageError } from "./usage-error.ts";

/** Who the caller is, and whom it takes for the gateway. */
export interface ClientCredentials {
  /** Sent as a bearer; `undefined` to send none. */
  readonly callerKey: string | undefined;
  /** PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface CredentialOptions {
  readonly callerKeyFile: string | undefined;
  readonly tlsCa: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
}

/** A flag wins over the environment, and a key in the environment over the path of a file there. @throws UsageError */
export function readCredentials({ env }: CliIo, options: CredentialOptions): ClientCredentials {
  const { tlsCa, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("--tls-cert and --tls-key are given together or not at all");
  }
  const tls = {
    ...(tlsCa !== undefined && { ca: read("--tls-ca", tlsCa) }),
    ...(tlsCert !== undefined && { cert: read("--tls-cert", tlsCert) }),
    ...(tlsKey !== undefined && { key: read("--tls-key", tlsKey) }),
  };
  checkIdentity(tls);
  return { callerKey: readCallerKey(env, options.callerKeyFile), tls };
}

/** What TLS cannot use would fail as if there were no gateway. */
function checkIdentity({ cert, key }: ClientCredentials["tls"]): void {
  if (cert === undefined || key === undefined) return;
  try {
    createSecureContext({ cert, key });
  } catch {
    throw new UsageError("--tls-cert and --tls-key: do not hold a certificate in PEM and its key");
  }
}

function readCallerKey(env: CliIo["env"], file: string | undefined): string | undefined {
  if (file !== undefined) return checked("--caller-key-file", read("--caller-key-file", file));
  const { GATEWAY_CALLER_KEY: key = "", GATEWAY_CALLER_KEY_FILE: path = "" } = env;
  if (key !== "") return checked("GATEWAY_CALLER_KEY", key);
  return path === "" ? undefined : checked("GATEWAY_CALLER_KEY_FILE", read("GATEWAY_CALLER_KEY_FILE", path));
}

/** What a header cannot carry would fail with a message that quotes it. */
function checked(where: string, text: string): string {
  const key = text.trim();
  if (/^[\x21-\x7e]{1,512}$/.test(key)) return key;
  throw new UsageError(`${where}: does not hold a caller's key`, "make one with the command caller key");
}

function read(where: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new UsageError(`${where}: the file cannot be read (${code})`);
  }
}
