import { fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type AcquireTokenRequestSchema,
  type CreateTokenRequestSchema,
  TokenFormat,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseDurationMs, parsePositiveDurationMs } from "./arguments.ts";
import type { Invocation } from "./invocation.ts";
import { readJsonInput } from "./json-input.ts";

/** What a token is to be like, as the options say. */
export interface TokenWish {
  readonly format?: "opaque" | "jwt";
  readonly ttl?: number;
  readonly claims?: string;
  readonly minRemainingTtl?: number;
}

/** The options of every command that obtains a token. */
export function addTokenWish(
  command: Command,
  help: { readonly ttl: string; readonly minRemainingTtl: string },
): Command {
  return command
    .addOption(new Option("--format <format>", "encoding of the token (default: opaque)").choices(["opaque", "jwt"]))
    .option("--ttl <duration>", help.ttl, parsePositiveDurationMs)
    .option("--claims <json>", "custom claims: JSON, @file, or - for standard input")
    .option("--min-remaining-ttl <duration>", help.minRemainingTtl, parseDurationMs);
}

/** The request, without the fields of options that were not given. @throws UsageError when the claims cannot be read */
export async function requestFromWish({ options, io }: Invocation<TokenWish>) {
  const { format, ttl, claims, minRemainingTtl } = options;
  return {
    ...(format !== undefined && { format: format === "jwt" ? TokenFormat.JWT : TokenFormat.OPAQUE }),
    ...(ttl !== undefined && { ttl: durationFromMs(ttl) }),
    ...(claims !== undefined && { claims: fromJson(ValueSchema, await readJsonInput(io, "--claims", claims)) }),
    ...(minRemainingTtl !== undefined && { minRemainingTtl: durationFromMs(minRemainingTtl) }),
  } satisfies MessageInitShape<typeof CreateTokenRequestSchema> & MessageInitShape<typeof AcquireTokenRequestSchema>;
}
