import { Command } from "commander";
import { addCacheInvalidate } from "./cache-invalidate.ts";
import { examples } from "./examples.ts";
import { addGlobalOptions } from "./global-options.ts";
import { addHealth } from "./health.ts";
import { Runner } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { addKeyRevoke } from "./key-revoke.ts";
import { addLocalCommands } from "./local-commands.ts";
import { paintFor, wantsColor } from "./paint.ts";
import { plainLines } from "./plain-text.ts";
import { addRevocationsList } from "./revocations-list.ts";
import { addRevocationsWatch } from "./revocations-watch.ts";
import { addStatus } from "./status.ts";
import { addSubjectRevoke } from "./subject-revoke.ts";
import { addTokenAcquire } from "./token-acquire.ts";
import { addTokenCreate } from "./token-create.ts";
import { addTokenList } from "./token-list.ts";
import { addTokenRevoke } from "./token-revoke.ts";
import { addTokenVerify } from "./token-verify.ts";

/**
 * The whole command line. Parsing throws CommanderError where commander would end the process; the exit code of a
 * command that ran is left in `runner`. `runCli` is the front door.
 */
export function createProgram(io: CliIo, runner: Runner = new Runner(io)): Command {
  const program = new Command(io.invocation)
    .description(
      "A gateway for Clerk machine-to-machine tokens: cached verification, instant revocation, a stream of revocations.",
    )
    .exitOverride()
    .showHelpAfterError("hint: add --help to see the options and examples");
  configureOutput(program, io);
  addGlobalOptions(program);
  if (io.version !== undefined) {
    program.version(io.version);
  }
  addLocalCommands(program, runner);
  addClientCommands(program, runner);
  program.addHelpText(
    "after",
    examples(
      io.invocation,
      "{cli} dev",
      "{cli} token create --ttl 1h > token.txt",
      "{cli} token verify < token.txt",
      "{cli} revocations watch",
    ),
  );
  return program;
}

function addClientCommands(program: Command, runner: Runner): void {
  const token = program.command("token").description("Mint, list, verify and revoke tokens.");
  addTokenCreate(token, runner);
  addTokenAcquire(token, runner);
  addTokenList(token, runner);
  addTokenVerify(token, runner);
  addTokenRevoke(token, runner);
  const revocations = program.command("revocations").description("See who was revoked, now and as it happens.");
  addRevocationsWatch(revocations, runner);
  addRevocationsList(revocations, runner);
  addSubjectRevoke(program.command("subject").description("Revoke what a machine minted."), runner);
  addKeyRevoke(program.command("key").description("Revoke what a signing key signed."), runner);
  const cache = program.command("cache").description("Manage the cache of verdicts.");
  addCacheInvalidate(cache, runner);
  addStatus(program, runner);
  addHealth(program, runner);
}

/** Subcommands inherit these settings, so they come before any is added. */
function configureOutput(program: Command, io: CliIo): void {
  const colorOut = wantsColor(io.env, io.isTty);
  const colorErr = wantsColor(io.env, io.stderr.isTTY === true);
  const bold = paintFor(true);
  program
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (text) => bold("bold", text),
      styleCommandText: (text) => bold("cyan", text),
      styleSubcommandText: (text) => bold("cyan", text),
      styleOptionText: (text) => bold("green", text),
    })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) =>
        write(plainLines(text).replace(/^error:/, (label) => paintFor(colorErr)("red", label))),
      getOutHasColors: () => colorOut,
      getErrHasColors: () => colorErr,
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
    });
}
