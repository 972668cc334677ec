import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import {
  GetStatusRequestSchema,
  type GetStatusResponse,
  GetStatusResponseSchema,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { pause } from "./pause.ts";
import { OutputClosed } from "./printer.ts";
import { statusPage } from "./status-page.ts";

const REFRESH_MS = 2000;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface Options {
  readonly watch?: true;
}

export function addStatus(parent: Command, runner: Runner): void {
  parent
    .command("status")
    .description(
      "Show how a replica is and what it has done: freshness, cache, upstream, revocations, money spent and saved.",
    )
    .option("--watch", "show it again every 2 seconds until interrupted")
    .addHelpText(
      "after",
      examples(runner.io.invocation, "{cli} status", "{cli} status --watch", "{cli} status --output json"),
    )
    .action(runner.action(showStatus));
}

async function showStatus(run: Invocation<Options>): Promise<number> {
  if (run.options.watch !== true) {
    await print(run, await getStatus(run));
    return EXIT.ok;
  }
  return watchStatus(run);
}

/** Fails only if the first look does; after that a gateway that is away is waited for. */
async function watchStatus(run: Invocation<Options>): Promise<number> {
  const { io } = run;
  const clear = io.isTty && !run.json ? CLEAR_SCREEN : "";
  for (let first = true; ; first = false) {
    try {
      // Every look has a connection of its own: one kept between looks could have died unnoticed.
      await print(run, await getStatus(run), clear);
    } catch (error) {
      if (io.signal.aborted || error instanceof OutputClosed) {
        return EXIT.ok;
      }
      if (first || !(error instanceof ConnectError)) {
        throw error;
      }
      run.printError(error);
    }
    await pause(REFRESH_MS, io.signal);
    if (io.signal.aborted) {
      return EXIT.ok;
    }
  }
}

function getStatus(run: Invocation<Options>): Promise<GetStatusResponse> {
  const request = create(GetStatusRequestSchema);
  return withGateway(run.target, ({ gateway }, call) => gateway.getStatus(request, call));
}

async function print(run: Invocation<Options>, status: GetStatusResponse, before = ""): Promise<void> {
  const text = run.json
    ? messageJson(GetStatusResponseSchema, status)
    : statusPage(status, Date.now(), run.printer.paintOut);
  await run.printer.line(before + text);
}
