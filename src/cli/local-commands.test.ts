import { describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import type { LocalCommands } from "./io.ts";

/** Remembers what it was asked to run, and answers with the exit code 7. */
function recorder() {
  const calls: { command: string; options: object }[] = [];
  const record = (command: string) => (options: object) => {
    calls.push({ command, options });
    return Promise.resolve(7);
  };
  const run: LocalCommands = {
    serve: record("serve"),
    dev: record("dev"),
    emulator: record("emulator"),
    configCheck: record("configCheck"),
    callerKey: record("callerKey"),
  };
  return { calls, run };
}

describe("local commands", () => {
  it("hand their options on and return the exit code they get", async () => {
    const { calls, run } = recorder();
    const listen = ["--listen", "127.0.0.1:1", "--admin-listen", "127.0.0.1:2"];
    const transport = ["--transport", "node"];
    const codes = [
      await cli(
        [
          "serve",
          "--config",
          "c.yaml",
          ...listen,
          ...transport,
          "--workers",
          "3",
          "--insecure",
          "--log-level",
          "debug",
        ],
        { run },
      ),
      await cli(["dev", "--config", "c.yaml", ...listen, ...transport, "--emulator-listen", ":3", "--seed", "s.json"], {
        run,
      }),
      await cli(["emulator", "--listen", ":3", "--seed", "s.json", "--output", "json"], { run }),
      await cli(["config", "check", "--config", "c.yaml"], { run }),
    ].map(({ code }) => code);
    expect(codes).toEqual([7, 7, 7, 7]);
    const where = { config: "c.yaml", listen: "127.0.0.1:1", adminListen: "127.0.0.1:2", transport: "node" };
    const plain = { output: "text", color: false };
    expect(calls).toEqual([
      { command: "serve", options: { ...where, workers: "3", insecure: true, logLevel: "debug" } },
      { command: "dev", options: { ...where, emulatorListen: ":3", seed: "s.json", ...plain } },
      { command: "emulator", options: { listen: ":3", seed: "s.json", output: "json", color: false } },
      { command: "configCheck", options: { config: "c.yaml", ...plain } },
    ]);
  });

  it("leave everything that was not given undefined, so that the environment decides", async () => {
    const { calls, run } = recorder();
    await cli(["serve"], { run });
    expect(calls[0]?.options).toEqual({
      config: undefined,
      listen: undefined,
      adminListen: undefined,
      transport: undefined,
      workers: undefined,
      insecure: false,
      logLevel: undefined,
    });
  });

  it("run although GATEWAY_URL, which they do not use, is wrong", async () => {
    const { calls, run } = recorder();
    await cli(["dev"], { run, env: { GATEWAY_URL: "::" }, tty: true });
    expect(calls[0]?.options).toMatchObject({ color: true });
  });

  it("turn an unforeseen failure into exit code 3 without repeating its text", async () => {
    const run = { serve: () => Promise.reject(new Error("sk_live_secret in a message")) };
    const { code, err } = await cli(["serve"], { run });
    expect(code).toBe(3);
    expect(err).not.toContain("sk_live");
  });
});
