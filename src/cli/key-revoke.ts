import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { RevokeKeyRequestSchema, RevokeKeyResponseSchema } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { Propagation, Wait } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseKeyId } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { fields } from "./text-layout.ts";

interface Options {
  readonly reason?: string;
  readonly wait?: "replica" | "fleet";
}

export function addKeyRevoke(parent: Command, runner: Runner): void {
  parent
    .command("revoke")
    .description("Revoke all JWTs that name one signing key, when it has leaked. Withdraw the key at Clerk as well.")
    .argument("<key id>", "the kid in the header of JWTs", parseKeyId)
    .option("--reason <text>", "why, told to watchers")
    .addOption(
      new Option("--wait <extent>", "answer when this replica, or when every replica, refuses them").choices([
        "replica",
        "fleet",
      ]),
    )
    .addHelpText(
      "after",
      examples(runner.io.invocation, "{cli} key revoke ins_2GIoQhbUpy0hX7B2cVkuTMinXoD --wait fleet"),
    )
    .action(runner.action(revokeKey));
}

async function revokeKey(run: Invocation<Options>): Promise<number> {
  const { reason = "", wait } = run.options;
  const request = create(RevokeKeyRequestSchema, {
    keyId: run.args[0] ?? "",
    reason,
    wait: wait === "fleet" ? Wait.FLEET : Wait.UNSPECIFIED,
  });
  const response = await withGateway(run.target, ({ revocations }, call) => revocations.revokeKey(request, call));
  const everywhere = response.propagation === Propagation.FLEET;
  const { paintOut } = run.printer;
  const about = fields(
    [
      ["key", request.keyId],
      ["known to", everywhere ? "every replica" : "this replica, the others within the staleness bound"],
      ["cursor", response.cursor],
    ],
    paintOut,
  );
  const text = `${paintOut(["bold", "green"], "REVOKED")}\n${about}`;
  await run.printer.line(run.json ? messageJson(RevokeKeyResponseSchema, response) : text);
  return EXIT.ok;
}
