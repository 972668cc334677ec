import type { ConnectError } from "@connectrpc/connect";
import { type Command, Option } from "commander";
import { FreshnessState } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import {
  ResetReason,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { collectMachineId } from "./arguments.ts";
import { reportCallError } from "./call-error.ts";
import { enumName } from "./enum-name.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { plainText } from "./plain-text.ts";
import { OutputClosed } from "./printer.ts";
import { RevocationFollower } from "./revocation-follower.ts";
import { revocationLine } from "./revocation-text.ts";
import { spanText } from "./text-layout.ts";

interface Options {
  readonly cursor?: string;
  readonly subject?: readonly string[];
  readonly once?: true;
  readonly reconnect: boolean;
}

export function addRevocationsWatch(parent: Command, runner: Runner): void {
  parent
    .command("watch")
    .description(
      "Print the live revocations, then each new one as it happens, one a line. Reconnects without missing any; when it " +
        "ends it says with which cursor to go on. With --output json each line is a WatchRevocationsResponse.",
    )
    .addOption(new Option("--cursor <cursor>", "go on after this place instead of beginning with all live revocations"))
    .option(
      "--subject <machine>",
      "only of this machine's tokens, and of unknown machines' (repeatable)",
      collectMachineId,
    )
    .addOption(new Option("--once", "stop after the live revocations").conflicts("cursor"))
    .option("--no-reconnect", "end with exit code 3 when the stream breaks")
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} revocations watch",
        "{cli} revocations watch --once --output json",
        "{cli} revocations watch --subject mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk",
      ),
    )
    .action(runner.action(watchRevocations));
}

async function watchRevocations(run: Invocation<Options>): Promise<number> {
  const { options, printer, io } = run;
  const { url, credentials } = run.target;
  const watcher = new Watcher(run);
  const follower = new RevocationFollower({
    url,
    credentials,
    cursor: options.cursor ?? "",
    subjects: options.subject ?? [],
    reconnect: options.reconnect,
    signal: io.signal,
    onMessage: (message) => watcher.print(message),
    onReconnect: (why, delayMs) => watcher.sayReconnecting(why, delayMs, url),
  });
  try {
    await follower.run();
    return EXIT.ok;
  } catch (error) {
    // Whoever read the lines has had enough of them, as `head` has.
    if (error instanceof OutputClosed) {
      return EXIT.ok;
    }
    throw error;
  } finally {
    if (follower.cursor !== "") {
      printer.note(`to resume: ${io.invocation} revocations watch --cursor ${plainText(follower.cursor)}`);
    }
  }
}

/** Prints what a watch brings: revocations on standard output, the rest as notes. */
class Watcher {
  readonly #run: Invocation<Options>;
  #freshness = FreshnessState.SYNCED;

  constructor(run: Invocation<Options>) {
    this.#run = run;
  }

  async print(message: WatchRevocationsResponse): Promise<"go on" | "stop"> {
    const { printer, json, options } = this.#run;
    const { event } = message;
    if (json && event.case !== "heartbeat") {
      await printer.line(messageJson(WatchRevocationsResponseSchema, message));
    }
    switch (event.case) {
      case "revocation":
        if (!json) {
          await printer.line(revocationLine(event.value, printer.paintOut));
        }
        return "go on";
      case "snapshotComplete":
        printer.note(printer.paintErr("dim", `snapshot complete, live revocations: ${event.value.size}`));
        return options.once === true ? "stop" : "go on";
      case "reset":
        printer.note(
          `${printer.paintErr("yellow", "reset:")} ${enumName(ResetReason, event.value.reason)}; ` +
            "forget the revocations above, all live ones follow",
        );
        return "go on";
      case "heartbeat":
        this.#sayFreshness(event.value.freshness);
        return "go on";
      default:
        return "go on";
    }
  }

  sayReconnecting(why: ConnectError, delayMs: number, url: string): void {
    const { printer, io } = this.#run;
    const { what, codes } = reportCallError(why, url, io.invocation);
    const label = printer.paintErr("yellow", "reconnecting");
    printer.note(`${label} in ${spanText(delayMs)}: ${what} (${codes})`);
  }

  #sayFreshness(freshness: FreshnessState): void {
    const { printer } = this.#run;
    if (freshness !== this.#freshness) {
      this.#freshness = freshness;
      printer.note(`the gateway is ${enumName(FreshnessState, freshness)}`);
    }
  }
}
