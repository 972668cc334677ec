import { describe, expect, it } from "vitest";
import { type RunningProcess, runMain, runShell } from "../support/process-fixture.ts";

const DEV = ["dev", ...["--listen", "--admin-listen", "--emulator-listen"].flatMap((flag) => [flag, "127.0.0.1:0"])];
const MIB = 2 ** 20;

/** What V8 has made of the program, in the words of its own tests: written when the program ends. */
const LOOK = `
  import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
  process.on("exit", () => {
    setFlagsFromString("--allow-natives-syntax");
    const hasFastStrings = new Function("return %HasFastProperties(String.prototype)")();
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size;
    process.stderr.write("\\nlooked: " + JSON.stringify({ hasFastStrings, young }) + "\\n");
  });`;
const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(LOOK)}` };

/** Of a program that has loaded all that it is made of, and served. */
async function lookInto(program: RunningProcess): Promise<{ hasFastStrings: boolean; young: number }> {
  await program.waitFor(/127\.0\.0\.1:\d+/);
  program.signal("SIGTERM");
  const { code, stderr } = await program.exited;
  expect(code).toBe(0);
  return JSON.parse(/^looked: (.*)$/m.exec(stderr)?.[1] ?? "null");
}

describe("the program as it is started", () => {
  it("has methods of strings that V8 holds as fast, and a young generation as small as it begins", async () => {
    await using started = runMain(DEV, { env });
    const { hasFastStrings, young } = await lookInto(started);
    expect(hasFastStrings).toBe(true);
    expect(young).toBeLessThanOrEqual(2 * MIB);
  });

  it("would have neither without the care of main.ts", async () => {
    await using started = runShell(`exec '${process.execPath}' dist/program.js ${DEV.join(" ")}`, { env });
    const { hasFastStrings, young } = await lookInto(started);
    expect(hasFastStrings).toBe(false);
    expect(young).toBeGreaterThanOrEqual(8 * MIB);
  });
});
