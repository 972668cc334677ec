import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { cli, testIo } from "../../test/support/cli/cli-call.ts";
import { JWT, SECRET, SUBJECT, TOKEN_ID } from "../../test/support/cli/samples.ts";
import { createProgram } from "./program.ts";

const LEAVES = [
  ["serve"],
  ["dev"],
  ["emulator"],
  ["config", "check"],
  ["token", "create"],
  ["token", "list"],
  ["token", "verify"],
  ["token", "revoke"],
  ["revocations", "watch"],
  ["revocations", "list"],
  ["cache", "invalidate"],
  ["status"],
  ["health"],
];

describe("help", () => {
  it.each(LEAVES)("of %s %s describes the command and shows examples in the caller's own words", async (...path) => {
    const command = path.filter((word): word is string => word !== undefined);
    const { code, out, err } = await cli([...command, "--help"], { invocation: "node dist/main.js" });
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toMatch(new RegExp(`^Usage: node dist/main.js ${command.join(" ")} \\[options\\]`));
    expect(out).toMatch(/\nExamples:\n(.*\n)* {2}.*node dist\/main\.js /);
    expect(out).toContain("--output <format>");
  });

  it("lists the commands, the global options and examples", async () => {
    const { code, out } = await cli(["--help"]);
    expect(code).toBe(0);
    for (const part of ["token", "revocations", "cache", "GATEWAY_URL", "http://127.0.0.1:50051", "Examples:"]) {
      expect(out).toContain(part);
    }
  });

  it("is plain where it is not read on a terminal", async () => {
    expect((await cli(["--help"])).out).not.toContain("\u001b");
    expect((await cli(["--help"], { tty: true })).out).toContain("\u001b[1mUsage:");
  });

  it.each(LEAVES)("of %s %s gives examples with commands and options that exist", async (...path) => {
    const words = path.filter((word): word is string => word !== undefined);
    const { out } = await cli([...words, "--help"]);
    const program = createProgram(testIo());
    const examples = out.slice(out.indexOf("Examples:")).matchAll(/m2m-gateway ([a-z ]+)([^)|&\n]*)/g);
    for (const [, names = "", rest = ""] of examples) {
      const command = names.trim().split(" ").reduce(subcommand, program);
      expect(command.commands).toEqual([]);
      const known = [...program.options, ...command.options].map(({ long }) => long);
      expect(known).toEqual(expect.arrayContaining(rest.match(/--[a-z-]+/g) ?? []));
    }
  });

  function subcommand(parent: Command, name: string): Command {
    const found = parent.commands.find((command) => command.name() === name);
    if (found === undefined) {
      throw new Error(`there is no command ${name}`);
    }
    return found;
  }

  it("prints the version it was given", async () => {
    expect(await cli(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "" });
  });
});

describe("a wrong command line", () => {
  it.each([
    ["an unknown command", ["tokn"], "Did you mean token?"],
    ["an unknown subcommand", ["token", "verfy"], "Did you mean verify?"],
    ["an unknown option", ["token", "verify", "--max-agee", "1s"], "Did you mean --max-age?"],
    ["a command that lacks its subcommand", ["token"], "Usage:"],
    ["no command", [], "Usage:"],
    ["an output format that does not exist", ["status", "--output", "yaml"], "Allowed choices are text, json"],
    ["a timeout without a unit", ["status", "--timeout", "10"], "for example 90s"],
    ["a timeout of nothing", ["status", "--timeout", "0"], "at least 1ms"],
    ["a gateway that is no URL", ["status", "--gateway", "ftp://x"], "http://127.0.0.1:50051"],
    ["a gateway URL with a password", ["status", "--gateway", "http://a:b@127.0.0.1:1"], "user name or password"],
  ])("with %s exits with 2 and says what is wrong on standard error", async (_, args, hint) => {
    const { code, out, err } = await cli(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(hint);
  });

  it("with a GATEWAY_URL that is no URL exits with 2 and names the variable", async () => {
    expect(await cli(["status"], { env: { GATEWAY_URL: "ftp://x" } })).toMatchObject({
      code: 2,
      err: expect.stringContaining("error: GATEWAY_URL: Give a URL"),
    });
  });

  it("is repeated without its control characters", async () => {
    const { err } = await cli(["\u001b[2Jtokn"]);
    expect(err).toContain("[2Jtokn");
    expect(err).not.toContain("\u001b");
  });
});

describe("a secret on the command line", () => {
  it.each([
    ["an opaque token", ["token", "verify", SECRET]],
    ["a short opaque token", ["token", "verify", "mt_x"]],
    ["a JWT", ["token", "verify", JWT]],
    ["a token with its scheme", ["token", "verify", `Bearer ${SECRET}`]],
    ["a token as an option that does not exist", ["token", "verify", "--token", SECRET]],
    ["a token in an option that does not exist", ["token", "revoke", `--token=${SECRET}`]],
    ["a token as an id", ["token", "revoke", "--id", SECRET]],
    ["an assignment that came too late", ["token", "verify", `M2M_TOKEN=${SECRET}`]],
    ["a token where a command is expected", [SECRET]],
    ["a machine's key", ["serve", "ak_0123456789abcdef"]],
    ["an instance key", ["serve", "--key=sk_test_0123456789abcdef"]],
  ])("is refused with exit code 2, with how to pass it and without repeating it: %s", async (_, args) => {
    const { code, out, err } = await cli(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/must not be on the command line/);
    expect(err).toMatch(/M2M_TOKEN|CLERK_MACHINE_SECRET_KEY/);
    for (const argument of args.filter((word) => /mt_|eyJ|_0123/.test(word))) {
      expect(err).not.toContain(argument);
    }
  });

  it("is not seen in ids, machines, cursors and names of services", async () => {
    const run = { serve: () => Promise.resolve(0) };
    for (const word of [TOKEN_ID, SUBJECT, "e.12-0", "envoy.service.auth", "mt-seed.json", `${TOKEN_ID} leaked`]) {
      expect(await cli(["serve", "--config", word], { run })).toMatchObject({ code: 0, err: "" });
    }
  });
});
