import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { type FileTexts, FileWatch, type UnreadableFile } from "./file-watch.ts";

const INTERVAL_MS = 5_000;
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "watch-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Watched extends Disposable {
  readonly watch: FileWatch;
  readonly clock: FakeClock;
  readonly changes: FileTexts[];
  readonly unreadable: UnreadableFile[];
}

/** A watch that has looked once. */
async function watchFiles(texts: Readonly<Record<string, string>>): Promise<Watched> {
  const clock = new FakeClock();
  const changes: FileTexts[] = [];
  const unreadable: UnreadableFile[] = [];
  const watch = new FileWatch({
    paths: Object.keys(texts),
    intervalMs: INTERVAL_MS,
    clock,
    onChange: (now) => changes.push(now),
    onUnreadable: (file) => unreadable.push(file),
  });
  for (const [path, text] of Object.entries(texts)) if (!existsSync(path)) writeFileSync(path, text);
  await watch.look();
  expect(changes.splice(0)).toEqual([new Map(Object.entries(texts))]);
  watch.start();
  return { watch, clock, changes, unreadable, [Symbol.dispose]: () => watch.close() };
}

function at(name: string): string {
  return join(folder, name);
}

describe("FileWatch", () => {
  it("tells of a change once, whole, and of nothing while nothing changes", async () => {
    using watched = await watchFiles({ [at("a")]: "1", [at("b")]: "1" });
    await watched.watch.look();
    expect(watched.changes).toEqual([]);
    writeFileSync(at("b"), "2");
    await watched.watch.look();
    await watched.watch.look();
    expect(watched.changes).toEqual([
      new Map([
        [at("a"), "1"],
        [at("b"), "2"],
      ]),
    ]);
  });

  it("looks by itself, an interval after the look before", async () => {
    using watched = await watchFiles({ [at("a")]: "1" });
    for (const text of ["2", "3"]) {
      writeFileSync(at("a"), text);
      expect(watched.clock.pendingTasks).toBe(1);
      watched.clock.advance(INTERVAL_MS);
      // The next look is planned when this one has ended.
      while (watched.clock.pendingTasks === 0) await new Promise(setImmediate);
      expect(watched.changes.at(-1)?.get(at("a"))).toBe(text);
    }
  });

  it("sees a change of the same length made within the resolution of the file's times", async () => {
    using watched = await watchFiles({ [at("a")]: "1" });
    writeFileSync(at("a"), "2");
    await watched.watch.look();
    expect(watched.changes).toHaveLength(1);
  });

  it("follows the links that a mount of Kubernetes swaps", async () => {
    mkdirSync(at("..1"));
    mkdirSync(at("..2"));
    writeFileSync(join(at("..1"), "key"), "old");
    writeFileSync(join(at("..2"), "key"), "new");
    symlinkSync("..1", at("..data"));
    symlinkSync("..data/key", at("key"));
    using watched = await watchFiles({ [at("key")]: "old" });
    await watched.watch.look();
    expect(watched.changes).toEqual([]);
    symlinkSync("..2", at("..data_tmp"));
    renameSync(at("..data_tmp"), at("..data"));
    await watched.watch.look();
    expect(watched.changes.map((texts) => texts.get(at("key")))).toEqual(["new"]);
  });

  it.each([
    ["ENOENT", () => rmSync(at("a"))],
    [
      "NOT_A_FILE",
      () => {
        rmSync(at("a"));
        mkdirSync(at("a"));
      },
    ],
    [
      "NOT_A_FILE",
      () => {
        rmSync(at("a"));
        execFileSync("mkfifo", [at("a")]);
      },
    ],
    ["TOO_LARGE", () => truncateSync(at("a"), 1024 * 1024 + 1)],
  ])("tells once of a file that cannot be read (%s), and of its return", async (code, spoil) => {
    using watched = await watchFiles({ [at("a")]: "1" });
    spoil();
    await watched.watch.look();
    await watched.watch.look();
    expect(watched.unreadable).toEqual([{ path: at("a"), code }]);
    rmSync(at("a"), { recursive: true, force: true });
    writeFileSync(at("a"), "1");
    await watched.watch.look();
    expect(watched.changes.map((texts) => texts.get(at("a")))).toEqual(["1"]);
  });

  it("ends with close, also a look that is under way", async () => {
    using watched = await watchFiles({ [at("a")]: "1" });
    writeFileSync(at("a"), "2");
    const look = watched.watch.look();
    watched.watch.close();
    await look;
    expect(watched.changes).toEqual([]);
    expect(watched.clock.pendingTasks).toBe(0);
  });
});
