import { expect, it } from "vitest";
import { hasProgram, runMain, runShell } from "../support/process-fixture.ts";

/** The lines of the page that are meant to be pasted, in its order. */
function commandsOf(page: string): string[] {
  const commands = page.split("\n").map((line) => line.trim());
  return commands.filter((line) => /^(curl|npx|echo|node) /.test(line));
}

async function paste(command: string): Promise<{ code: number | null; stdout: string }> {
  await using shell = runShell(command);
  const { code, stdout } = await shell.exited;
  return { code, stdout };
}

it("every call on the page of `dev` works as printed, in the order of the page", async () => {
  const listen = ["--listen", "--admin-listen", "--emulator-listen"].flatMap((flag) => [flag, "127.0.0.1:0"]);
  await using dev = runMain(["dev", ...listen]);
  await dev.waitFor(/Stop with Ctrl-C/);
  const commands = commandsOf(dev.stdout());
  const [watch = "", curl = "", buf = "", verify = "", revoke = "", jwt = "", create = "", status = "", ...rest] =
    commands;
  expect(rest).toEqual([]);
  const id = /mt_[0-9A-Za-z]{32}(?=\))/.exec(dev.stdout())?.[0] ?? "";

  await using watcher = runShell(watch);
  await watcher.waitFor(/snapshot complete/, "stderr");

  // Without curl the same story is told by node:http in test/interop.
  const verifies = (await hasProgram("curl")) ? [curl, buf] : [buf];
  expect(curl).toMatch(/^curl /);
  expect(buf).toMatch(/^npx buf curl /);
  const sources = ["SOURCE_UPSTREAM", "SOURCE_MEMORY"];
  for (const [index, command] of verifies.entries()) {
    const { code, stdout } = await paste(command);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "VERDICT_VALID", source: sources[index], token: { id } });
  }
  const valid = await paste(verify);
  expect(valid.code).toBe(0);
  expect(valid.stdout).toMatch(/^VALID\b/);
  expect(valid.stdout).toContain(id);

  expect(await paste(revoke)).toMatchObject({ code: 0 });
  await watcher.waitFor(new RegExp(id));
  expect(JSON.parse((await paste(verifies[0] ?? "")).stdout)).toMatchObject({ verdict: "VERDICT_REVOKED" });
  const revoked = await paste(verify);
  expect(revoked.code).toBe(1);
  expect(revoked.stdout).toMatch(/^REVOKED\b/);

  const local = await paste(jwt);
  expect(local.code).toBe(0);
  expect(local.stdout).toMatch(/^VALID\b/);
  expect(local.stdout).toMatch(/\blocal\b/i);

  const created = await paste(create);
  expect(created.code).toBe(0);
  expect(created.stdout.trim()).toMatch(/^mt_\S+$/);
  const shown = await paste(status);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain("SYNCED");
});
