import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Authority, Certificate } from "../support/certificates.ts";

/** Files as a mount of Kubernetes has them: each is a link into a folder, and another folder takes its place at once. */
export class MountedFiles implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "mount-"));
  #version = 0;

  constructor(texts: Readonly<Record<string, string>>) {
    this.replace(texts);
    for (const name of Object.keys(texts)) symlinkSync(join("..data", name), this.path(name));
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** All of them at one moment. */
  replace(texts: Readonly<Record<string, string>>): void {
    this.#version += 1;
    const version = `..${this.#version}`;
    mkdirSync(this.path(version));
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(this.path(version), name), text);
    symlinkSync(version, this.path("..tmp"));
    renameSync(this.path("..tmp"), this.path("..data"));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface TlsTexts extends Record<string, string> {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export function textsOf({ cert, key }: Certificate, clients: Authority | string = ""): TlsTexts {
  return { cert, key, ca: typeof clients === "string" ? clients : clients.cert };
}

/** The settings of a gateway that is served with these files. */
export function tlsEnv(files: MountedFiles, mtls = false): Record<string, string> {
  return {
    GATEWAY_LISTEN: "localhost:0",
    GATEWAY_RELOAD_INTERVAL_MS: "100",
    GATEWAY_TLS_CERT_FILE: files.path("cert"),
    GATEWAY_TLS_KEY_FILE: files.path("key"),
    ...(mtls ? { GATEWAY_TLS_CLIENT_CA_FILE: files.path("ca") } : {}),
  };
}
