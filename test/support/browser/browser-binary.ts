import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
  "msedge",
  "microsoft-edge",
];
/** Where installers put them that leave the PATH alone. */
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
  "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
];
const DEBIAN_BINARY = "/usr/bin/chromium";
const INSTALL_TIMEOUT_MS = 280_000;
/** Tests run in parallel, and only one of them gets the package manager's lock. */
const RETRY_MS = 2_000;

/**
 * A Chromium, Chrome or Edge to test with: CHROMIUM_PATH, one on the PATH, one where installers put it, or, as root on
 * Debian, the distribution's package, which is installed. Takes minutes where it is.
 *
 * @throws Error saying how to get one: a test that needs a browser fails without it and is never skipped
 */
export async function browserBinary(): Promise<string> {
  const given = process.env.CHROMIUM_PATH;
  if (given !== undefined && given !== "") return given;
  const found = await findBinary();
  if (found !== undefined) return found;
  try {
    return await installBinary();
  } catch (error) {
    throw new Error(
      "no browser to test with: put Chromium, Chrome or Edge on the PATH (as root on Debian: apt-get install chromium), " +
        "or set CHROMIUM_PATH to its executable",
      { cause: error },
    );
  }
}

async function findBinary(): Promise<string | undefined> {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...PLACES];
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  return undefined;
}

/** Chromium needs a hundred packages that a server lacks, so unpacking it alone, without being root, would not do. */
async function installBinary(): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error("only root can install one");
  const deadline = AbortSignal.timeout(INSTALL_TIMEOUT_MS);
  for (;;) {
    try {
      await aptGet(["install", "-y", "--no-install-recommends", "chromium"], deadline).catch(async () => {
        await aptGet(["update"], deadline);
        await aptGet(["install", "-y", "--no-install-recommends", "chromium"], deadline);
      });
    } catch (error) {
      if (deadline.aborted || !isLocked(error)) throw error;
      await sleep(RETRY_MS);
    }
    if (await isExecutable(DEBIAN_BINARY)) return DEBIAN_BINARY;
    if (deadline.aborted) throw new Error(`it was not installed within ${INSTALL_TIMEOUT_MS} ms`);
  }
}

async function aptGet(args: readonly string[], signal: AbortSignal): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  await run("apt-get", ["-o", "DPkg::Lock::Timeout=240", ...args], { env, signal, maxBuffer: 16 * 1024 * 1024 });
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && /could not get lock|is another process using it/i.test(error.message);
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
