import { create, fromJson } from "@bufbuild/protobuf";
import { durationFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type AcquireTokenRequest,
  AcquireTokenRequestSchema,
  AcquireTokenResponseSchema,
  TokenFormat,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseDurationMs, parsePositiveDurationMs } from "./arguments.ts";
import { printSecret } from "./created-token.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { readJsonInput } from "./json-input.ts";
import { messageJson } from "./message-json.ts";

interface Options {
  readonly format?: "opaque" | "jwt";
  readonly ttl?: number;
  readonly claims?: string;
  readonly minRemainingTtl?: number;
}

export function addTokenAcquire(parent: Command, runner: Runner): void {
  parent
    .command("acquire")
    .description(
      "Get a token to call others with, from the gateway's memory where it holds one. Others may be given the same token. " +
        "The secret is printed alone on standard output, the details on standard error.",
    )
    .addOption(new Option("--format <format>", "encoding of the token (default: opaque)").choices(["opaque", "jwt"]))
    .option(
      "--ttl <duration>",
      "lifetime of such tokens, such as 1h or 3600s (default: the machine's)",
      parsePositiveDurationMs,
    )
    .option("--claims <json>", "custom claims: JSON, @file, or - for standard input")
    .option(
      "--min-remaining-ttl <duration>",
      "how long the token must have to live (default: a tenth of its lifetime, a minute at most)",
      parseDurationMs,
    )
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        'curl -H "Authorization: Bearer $({cli} token acquire)" https://reports.example.com',
        `{cli} token acquire --claims '{"role":"reader"}' --min-remaining-ttl 5m --output json`,
      ),
    )
    .action(runner.action(acquireToken));
}

async function acquireToken(run: Invocation<Options>): Promise<number> {
  const request = await requestFrom(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.acquireToken(request, call));
  if (run.json) {
    await run.printer.line(messageJson(AcquireTokenResponseSchema, response));
  } else {
    await printSecret(run, "acquired", response.secret, response.token);
  }
  return EXIT.ok;
}

async function requestFrom(run: Invocation<Options>): Promise<AcquireTokenRequest> {
  const { format, ttl, claims, minRemainingTtl } = run.options;
  const request = create(AcquireTokenRequestSchema);
  if (format !== undefined) {
    request.format = format === "jwt" ? TokenFormat.JWT : TokenFormat.OPAQUE;
  }
  if (ttl !== undefined) {
    request.ttl = durationFromMs(ttl);
  }
  if (claims !== undefined) {
    request.claims = fromJson(ValueSchema, await readJsonInput(run.io, "--claims", claims));
  }
  if (minRemainingTtl !== undefined) {
    request.minRemainingTtl = durationFromMs(minRemainingTtl);
  }
  return request;
}
