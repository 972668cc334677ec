import { create, fromJson } from "@bufbuild/protobuf";
import { durationFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type CreateTokenRequest,
  CreateTokenRequestSchema,
  CreateTokenResponseSchema,
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

export function addTokenCreate(parent: Command, runner: Runner): void {
  parent
    .command("create")
    .description(
      "Mint a token for the machine whose key the gateway holds. The secret is printed once: alone on standard output, " +
        "the details on standard error. Every call can mint, and bill, another token.",
    )
    .addOption(new Option("--format <format>", "encoding of the token (default: opaque)").choices(["opaque", "jwt"]))
    .option("--ttl <duration>", "lifetime, such as 1h or 3600s (default: the machine's)", parsePositiveDurationMs)
    .option("--claims <json>", "custom claims: JSON, @file, or - for standard input")
    .option(
      "--min-remaining-ttl <duration>",
      "accept a live token with the same claims and at least this long to live instead of a new one",
      parseDurationMs,
    )
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "M2M_TOKEN=$({cli} token create --ttl 1h)",
        `{cli} token create --claims '{"role":"reader"}' --output json`,
        `echo '{"role":"reader"}' | {cli} token create --claims -`,
      ),
    )
    .action(runner.action(createToken));
}

async function createToken(run: Invocation<Options>): Promise<number> {
  const request = await requestFrom(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.createToken(request, call));
  if (run.json) {
    await run.printer.line(messageJson(CreateTokenResponseSchema, response));
  } else {
    await printSecret(run, "created", response.secret, response.token);
  }
  return EXIT.ok;
}

async function requestFrom(run: Invocation<Options>): Promise<CreateTokenRequest> {
  const { format, ttl, claims, minRemainingTtl } = run.options;
  const request = create(CreateTokenRequestSchema);
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
