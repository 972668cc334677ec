import { lstat, unlink } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";

/** A TCP port, of which 0 is any that is free, or the path of a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * The file of a Unix socket goes when the server closes. One that a process left behind when it died is replaced.
 *
 * @throws Error of node:net when the address cannot be listened on; EADDRINUSE too when the path is that of a file which
 *   is no socket
 */
export async function listen(server: net.Server, address: ListenAddress): Promise<void> {
  try {
    await tryListen(server, address);
  } catch (error) {
    if (!("path" in address && isCode(error, "EADDRINUSE") && (await isAbandoned(address.path)))) throw error;
    await unlink(address.path);
    await tryListen(server, address);
  }
}

/** Where a server listens, as callers name it. */
export function urlOf(server: net.Server, address: ListenAddress, scheme: "http" | "https"): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host } = address;
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${portOf(server)}`;
}

/** 0 for a Unix socket. */
export function portOf(server: net.Server): number {
  const bound: AddressInfo | string | null = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

function tryListen(server: net.Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** A socket nobody listens on any more refuses connections. */
async function isAbandoned(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = net.connect(path);
    const settle = (abandoned: boolean) => {
      probe.destroy();
      resolve(abandoned);
    };
    probe.once("connect", () => settle(false));
    probe.once("error", (error) => settle(isCode(error, "ECONNREFUSED")));
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
