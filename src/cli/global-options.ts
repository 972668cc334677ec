import { type Command, InvalidArgumentError, Option } from "commander";
import { parseGatewayUrl, parsePositiveDurationMs } from "./arguments.ts";
import { type ClientCredentials, type CredentialOptions, readCredentials } from "./client-credentials.ts";
import type { CliIo, OutputFormat } from "./io.ts";
import { UsageError } from "./usage-error.ts";

const DEFAULT_GATEWAY_URL = "http://127.0.0.1:50051";
const DEFAULT_TIMEOUT_MS = 10_000;

export interface GlobalOptions extends CredentialOptions {
  readonly gateway: string | undefined;
  readonly timeout: number;
  readonly output: OutputFormat;
  readonly color: boolean;
}

/** The gateway to call and how long each call may take. */
export interface GatewayTarget {
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly credentials: ClientCredentials;
}

/** Options that every command takes, before or after its name. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(new Option("--gateway <url>", `the gateway to call (env: GATEWAY_URL, default: ${DEFAULT_GATEWAY_URL})`))
    .addOption(
      new Option("--timeout <duration>", "how long a call may take; watches have no limit")
        .argParser(parsePositiveDurationMs)
        .default(DEFAULT_TIMEOUT_MS, "10s"),
    )
    .addOption(new Option("--output <format>", "how to print results").choices(["text", "json"]).default("text"))
    .option(
      "--caller-key-file <file>",
      "file with the caller's key to call with (env: GATEWAY_CALLER_KEY_FILE, or GATEWAY_CALLER_KEY with the key itself)",
    )
    .option("--tls-ca <file>", "PEM file of the authorities to trust at the gateway, in place of the usual ones")
    .option("--tls-cert <file>", "PEM file of the certificate to call with (mTLS)")
    .option("--tls-key <file>", "PEM file of that certificate's key")
    .option("--no-color", "print without colours (env: NO_COLOR; FORCE_COLOR asks for them)");
}

/** @throws UsageError when what says which gateway to call is not a URL, or a credential cannot be read */
export function gatewayTarget(io: CliIo, options: GlobalOptions): GatewayTarget {
  const credentials = readCredentials(io, options);
  return { url: urlFrom(io, options), timeoutMs: options.timeout, signal: io.signal, credentials };
}

/** Parsed here and not by commander, whose message would repeat the URL with whatever password is in it. */
function urlFrom(io: CliIo, { gateway }: GlobalOptions): string {
  const given = gateway ?? io.env.GATEWAY_URL ?? "";
  if (given === "" && gateway === undefined) return DEFAULT_GATEWAY_URL;
  try {
    return parseGatewayUrl(given);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(`${gateway === undefined ? "GATEWAY_URL" : "--gateway"}: ${error.message}`);
  }
}
