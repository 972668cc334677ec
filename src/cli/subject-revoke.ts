import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type RevokeSubjectRequest,
  RevokeSubjectRequestSchema,
  type RevokeSubjectResponse,
  RevokeSubjectResponseSchema,
  type SubjectWatermark,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { Propagation, Wait } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseInstant, parseMachineId } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { fields, timeText } from "./text-layout.ts";

interface Options {
  readonly issuedBefore?: Date;
  readonly reason?: string;
  readonly wait?: "replica" | "fleet";
}

export function addSubjectRevoke(parent: Command, runner: Runner): void {
  parent
    .command("revoke")
    .description(
      "Revoke all that a machine minted before an instant, JWTs included; its opaque tokens are revoked at Clerk one by one. " +
        "Repeating it is harmless. Exit code 0: all is done. 3: Clerk's part is not complete.",
    )
    .argument("<machine>", "the machine: mch_ and 27 word characters", parseMachineId)
    .option("--issued-before <time>", "RFC 3339; a few seconds from now when not given", parseInstant)
    .option("--reason <text>", "why, kept with opaque tokens and told to watchers")
    .addOption(
      new Option("--wait <extent>", "go on when this replica, or when every replica, refuses them").choices([
        "replica",
        "fleet",
      ]),
    )
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} subject revoke mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk --reason 'host compromised' --wait fleet",
        "{cli} subject revoke mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk --issued-before 2026-05-12T08:00:00Z",
      ),
    )
    .action(runner.action(revokeSubject));
}

async function revokeSubject(run: Invocation<Options>): Promise<number> {
  const request = requestFrom(run);
  let isComplete = false;
  await withGateway(run.target, async ({ revocations }, call) => {
    for await (const response of revocations.revokeSubject(request, call)) {
      if (response.event.case === "summary") isComplete = response.event.value.complete;
      await run.printer.line(run.json ? messageJson(RevokeSubjectResponseSchema, response) : textOf(run, response));
    }
  });
  return isComplete ? EXIT.ok : EXIT.undecided;
}

function requestFrom({ args, options }: Invocation<Options>): RevokeSubjectRequest {
  const { issuedBefore, reason, wait } = options;
  const request = create(RevokeSubjectRequestSchema, { subject: args[0] ?? "", reason: reason ?? "" });
  if (issuedBefore !== undefined) request.issuedBefore = timestampFromDate(issuedBefore);
  if (wait !== undefined) request.wait = wait === "fleet" ? Wait.FLEET : Wait.REPLICA;
  return request;
}

function textOf(run: Invocation<Options>, { event }: RevokeSubjectResponse): string {
  switch (event.case) {
    case "watermark":
      return watermarkText(run, event.value);
    case "progress":
      return `opaque tokens revoked at Clerk: ${event.value.revoked}, left in its list: ${event.value.remaining}`;
    case "summary": {
      const { revoked, complete, incompleteReason } = event.value;
      const outcome = complete ? "complete" : `not complete, because of ${incompleteReason}`;
      return `opaque tokens revoked at Clerk: ${revoked}, ${outcome}`;
    }
    default:
      return "";
  }
}

function watermarkText({ printer }: Invocation<Options>, watermark: SubjectWatermark): string {
  const { paintOut } = printer;
  const everywhere = watermark.propagation === Propagation.FLEET;
  const about = fields(
    [
      ["minted before", timeText(watermark.issuedBefore)],
      ["known to", everywhere ? "every replica" : "this replica, the others within the staleness bound"],
      ["cursor", watermark.cursor],
    ],
    paintOut,
  );
  return `${paintOut(["bold", "green"], "REVOKED")}\n${about}`;
}
