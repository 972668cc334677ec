import type { Command } from "commander";
import { CreateTokenResponseSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { printSecret } from "./created-token.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { addTokenWish, requestFromWish, type TokenWish } from "./token-wish.ts";

export function addTokenCreate(parent: Command, runner: Runner): void {
  const command = parent
    .command("create")
    .description(
      "Mint a token for the machine whose key the gateway holds. The secret is printed once: alone on standard output, " +
        "the details on standard error. Every call can mint, and bill, another token.",
    );
  addTokenWish(command, {
    ttl: "lifetime, such as 1h or 3600s (default: the machine's)",
    minRemainingTtl: "accept a live token with the same claims and at least this long to live instead of a new one",
  })
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

async function createToken(run: Invocation<TokenWish>): Promise<number> {
  const request = await requestFromWish(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.createToken(request, call));
  if (run.json) {
    await run.printer.line(messageJson(CreateTokenResponseSchema, response));
  } else {
    await printSecret(run, "created", response.secret, response.token);
  }
  return EXIT.ok;
}
