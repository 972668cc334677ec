import { chmod, chown, lstat, unlink } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";

/** A TCP port, of which 0 is any that is free, or the path of a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | SocketAddress;

export interface SocketAddress {
  readonly path: string;
  /** Permissions of the file; 0600 when not given. */
  readonly mode?: number | undefined;
  /** Who is given the file; -1, or nothing, leaves it to the process. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const OWNER_ONLY = 0o600;

/**
 * The file of a Unix socket goes when the server closes. One that a process left behind when it died is replaced.
 *
 * @throws Error with a code and the address: of node:net when the address cannot be listened on, EADDRINUSE when another
 *   process listens there; ENOTSOCK when the path is that of a file which is no socket, and is not touched; EPERM and others
 *   of chmod and chown when the file cannot be given away
 */
export async function listen(server: net.Server, address: ListenAddress): Promise<void> {
  if (!("path" in address)) {
    await tryListen(server, address);
    return;
  }
  try {
    await listenPrivately(server, address.path);
  } catch (error) {
    if (!isCode(error, "EADDRINUSE")) throw error;
    await removeAbandoned(address.path, error);
    await listenPrivately(server, address.path);
  }
  await share(server, address);
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

/** The file is nobody else's from its first moment: `listen` makes it before it returns, but for a worker in the primary. */
async function listenPrivately(server: net.Server, path: string): Promise<void> {
  const before = process.umask(0o777 & ~OWNER_ONLY);
  const listening = tryListen(server, { path });
  process.umask(before);
  await listening;
}

async function share(server: net.Server, { path, mode = OWNER_ONLY, uid = -1, gid = -1 }: SocketAddress) {
  try {
    if (uid !== -1 || gid !== -1) await chown(path, uid, gid);
    await chmod(path, mode);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw Object.assign(error instanceof Error ? error : new Error("chmod failed"), { address: path });
  }
}

function tryListen(server: net.Server, address: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** @throws `inUse` when somebody listens there, an Error of its own when the file is no socket */
async function removeAbandoned(path: string, inUse: unknown): Promise<void> {
  const found = await lstat(path);
  if (!found.isSocket()) throw Object.assign(new Error("the file is no socket"), { code: "ENOTSOCK", address: path });
  if (!(await isAbandoned(path))) throw inUse;
  // Not the file that another process, as quick as this one, has put in its place meanwhile.
  const now = await lstat(path);
  if (now.ino !== found.ino || now.ctimeMs !== found.ctimeMs) throw inUse;
  await unlink(path);
}

/** A socket nobody listens on any more refuses connections. */
function isAbandoned(path: string): Promise<boolean> {
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
