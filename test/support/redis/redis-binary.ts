import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

export interface RedisBinary {
  readonly server: string;
  /** What the process needs in its environment beyond ours. */
  readonly environment: Readonly<Record<string, string>>;
}

const run = promisify(execFile);
const NAMES = ["redis-server", "valkey-server"];
const CACHE = resolve(import.meta.dirname, "../../../node_modules/.cache/redis");
const INSTALL_TIMEOUT_MS = 120_000;
/** What redis-server of Debian and Ubuntu is linked with and a small installation may lack. */
const PACKAGES = ["redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1"];

/** A Redis or Valkey server on the PATH. */
export async function findBinary(): Promise<RedisBinary | undefined> {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
      const server = join(directory, name);
      if (directory !== "" && (await isExecutable(server))) return { server, environment: {} };
    }
  }
  return undefined;
}

/**
 * Downloads Debian's or Ubuntu's Redis and unpacks it under node_modules, without installing it and without being root.
 * @throws Error where that cannot be done
 */
export async function unpackBinary(): Promise<RedisBinary> {
  const root = join(CACHE, process.arch);
  const server = join(root, "usr/bin/redis-check-rdb");
  if (!(await isExecutable(server))) await download(root);
  const libraries = await libraryFolders(join(root, "usr/lib"));
  // Debian's redis-server is a link to redis-check-rdb, which acts by the name it is called by.
  const named = join(root, "usr/bin/redis-server");
  return { server: named, environment: { LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

/** Into a folder of its own first: runs in parallel must not see half an unpacking. */
async function download(root: string): Promise<void> {
  await mkdir(dirname(root), { recursive: true });
  const work = await mkdtemp(`${root}-`);
  try {
    const options = { cwd: work, timeout: INSTALL_TIMEOUT_MS };
    for (const name of PACKAGES) {
      // Which libraries there are differs between releases; a server that lacks one says so when it is started.
      const wanted = run("apt-get", ["download", name], options);
      await (name === "redis-server" || name === "redis-tools" ? wanted : wanted.catch(() => undefined));
    }
    const unpacked = join(work, "root");
    for (const file of await readdir(work)) {
      if (file.endsWith(".deb")) await run("dpkg", ["-x", join(work, file), unpacked], options);
    }
    await rename(unpacked, root).catch(async (error: unknown) => {
      if (!(await isExecutable(join(root, "usr/bin/redis-server")))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function libraryFolders(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const folders = entries.filter((entry) => entry.name.includes(".so")).map((entry) => entry.parentPath);
  return [...new Set(folders)];
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
