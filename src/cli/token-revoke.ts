import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import {
  Enforcement,
  Propagation,
  type RevokeTokenRequest,
  RevokeTokenRequestSchema,
  type RevokeTokenResponse,
  RevokeTokenResponseSchema,
  TokenFormat,
  Wait,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseTokenId } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { fields } from "./text-layout.ts";
import { readTokenSecret, SECRET_ARGUMENT } from "./token-secret.ts";
import { UsageError } from "./usage-error.ts";

interface Options {
  readonly id?: string;
  readonly jwt?: true;
  readonly reason?: string;
  readonly wait?: "replica" | "fleet";
}

export function addTokenRevoke(parent: Command, runner: Runner): void {
  parent
    .command("revoke")
    .description(
      "Revoke a token, named by --id or by its secret from standard input or M2M_TOKEN. Repeating it is harmless.",
    )
    .argument(...SECRET_ARGUMENT)
    .option("--id <token id>", "the token's id: mt_ and 32 letters or digits", parseTokenId)
    .option("--jwt", "the id is that of a JWT (its jti), of which Clerk knows nothing")
    .option("--reason <text>", "why, kept with the token and told to watchers")
    .addOption(
      new Option("--wait <extent>", "answer when this replica, or when every replica, refuses the token").choices([
        "replica",
        "fleet",
      ]),
    )
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} token revoke --id mt_f7f0ba8c3b4843ce7d85fcdd5e71853e --reason 'key leaked'",
        "{cli} token create > token.txt && {cli} token revoke --wait fleet < token.txt",
      ),
    )
    .action(runner.action(revokeToken));
}

async function revokeToken(run: Invocation<Options>): Promise<number> {
  const request = await requestFrom(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.revokeToken(request, call));
  await run.printer.line(run.json ? messageJson(RevokeTokenResponseSchema, response) : revokedText(run, response));
  return EXIT.ok;
}

async function requestFrom(run: Invocation<Options>): Promise<RevokeTokenRequest> {
  const { id, jwt, reason, wait } = run.options;
  if (jwt === true && id === undefined) {
    throw new UsageError("--jwt says what --id names: give both");
  }
  if (id !== undefined && run.args.length > 0) {
    throw new UsageError("give either --id or the token itself, not both");
  }
  const request = create(RevokeTokenRequestSchema, { reason: reason ?? "" });
  if (jwt === true) {
    request.format = TokenFormat.JWT;
  }
  if (wait !== undefined) {
    request.wait = wait === "fleet" ? Wait.FLEET : Wait.REPLICA;
  }
  request.target =
    id === undefined
      ? { case: "token", value: await readTokenSecret(run.io, run.args[0], (text) => run.printer.note(text)) }
      : { case: "tokenId", value: id };
  return request;
}

function revokedText(run: Invocation<Options>, response: RevokeTokenResponse): string {
  const { token, cursor, propagation, enforcement } = response;
  const { paintOut } = run.printer;
  const about = fields(
    [
      ["id", token?.id],
      ["subject", token?.subject],
      ["reason", token?.revocationReason],
      [
        "known to",
        propagation === Propagation.FLEET ? "every replica" : "this replica, the others within the staleness bound",
      ],
      [
        "refused by",
        enforcement === Enforcement.GATEWAYS
          ? { text: "gateways alone: others accept a JWT until it expires", format: "yellow" }
          : undefined,
      ],
      ["cursor", cursor],
    ],
    paintOut,
  );
  return `${paintOut(["bold", "green"], "REVOKED")}\n${about}`;
}
