import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { ListRevocationsResponseSchema } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { collectMachineId } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { allPages } from "./pages.ts";
import { REVOCATION_HEADER, revocationCells } from "./revocation-text.ts";
import { table } from "./text-layout.ts";

const PAGE_SIZE = 1000;

interface Options {
  readonly subject?: readonly string[];
}

export function addRevocationsList(parent: Command, runner: Runner): void {
  parent
    .command("list")
    .description("List every live revocation that the replica holds, oldest first.")
    .option(
      "--subject <machine>",
      "only of this machine's tokens, and of unknown machines' (repeatable)",
      collectMachineId,
    )
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} revocations list",
        "{cli} revocations list --subject mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk --output json",
      ),
    )
    .action(runner.action(listRevocations));
}

async function listRevocations(run: Invocation<Options>): Promise<number> {
  const { printer, options } = run;
  const subjects = [...(options.subject ?? [])];
  const pages = await withGateway(run.target, (connection, call) =>
    allPages("", (pageToken) =>
      connection.revocations.listRevocations({ subjects, pageToken, pageSize: PAGE_SIZE }, call),
    ),
  );
  const revocations = pages.flatMap((page) => page.revocations);
  if (run.json) {
    await printer.line(
      messageJson(ListRevocationsResponseSchema, create(ListRevocationsResponseSchema, { revocations })),
    );
    return EXIT.ok;
  }
  if (revocations.length > 0) {
    await printer.line(table(REVOCATION_HEADER, revocations.map(revocationCells), printer.paintOut));
  }
  printer.note(`live revocations: ${revocations.length}`);
  return EXIT.ok;
}
