import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  type InvalidateCacheRequest,
  InvalidateCacheRequestSchema,
  InvalidateCacheResponseSchema,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { parseMachineId, parseTokenId } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { UsageError } from "./usage-error.ts";

interface Options {
  readonly id?: string;
  readonly subject?: string;
  readonly all?: true;
}

export function addCacheInvalidate(parent: Command, runner: Runner): void {
  parent
    .command("invalidate")
    .description(
      "Make the replica forget cached verdicts, so that Clerk is asked again. Revocations are never forgotten.",
    )
    .option("--id <token id>", "the verdict about one token", parseTokenId)
    .option("--subject <machine>", "the verdicts about one machine's tokens, mch_…", parseMachineId)
    .option("--all", "every verdict")
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} cache invalidate --id mt_f7f0ba8c3b4843ce7d85fcdd5e71853e",
        "{cli} cache invalidate --all",
      ),
    )
    .action(runner.action(invalidateCache));
}

async function invalidateCache(run: Invocation<Options>): Promise<number> {
  const target = targetFrom(run.options);
  const request = create(InvalidateCacheRequestSchema, { target });
  const response = await withGateway(run.target, ({ gateway }, call) => gateway.invalidateCache(request, call));
  if (run.json) {
    await run.printer.line(messageJson(InvalidateCacheResponseSchema, response));
  } else {
    await run.printer.line(
      `forgot ${target.case === "all" ? "every cached verdict" : `what was cached about ${target.value}`}`,
    );
  }
  return EXIT.ok;
}

function targetFrom({ id, subject, all }: Options): Exclude<InvalidateCacheRequest["target"], { case: undefined }> {
  if ([id, subject, all].filter((given) => given !== undefined).length !== 1) {
    throw new UsageError("say what to forget: exactly one of --id, --subject and --all");
  }
  if (id !== undefined) {
    return { case: "tokenId", value: id };
  }
  return subject === undefined ? { case: "all", value: true } : { case: "subject", value: subject };
}
