import type { Command } from "commander";
import { AcquireTokenResponseSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { printSecret } from "./created-token.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { addTokenWish, requestFromWish, type TokenWish } from "./token-wish.ts";

export function addTokenAcquire(parent: Command, runner: Runner): void {
  const command = parent
    .command("acquire")
    .description(
      "Get a token to call others with, from the gateway's memory where it holds one. Others may be given the same token. " +
        "The secret is printed alone on standard output, the details on standard error.",
    );
  addTokenWish(command, {
    ttl: "lifetime of such tokens, such as 1h or 3600s (default: the machine's)",
    minRemainingTtl: "how long the token must have to live (default: a tenth of its lifetime, a minute at most)",
  })
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        'curl -H "Authorization: Bearer $({cli} token acquire)" https://reports.example.com',
        `{cli} token acquire --claims '{"role":"reader"}' --min-remaining-ttl 5m --output json`,
      ),
    )
    .action(runner.action(acquireToken));
}

async function acquireToken(run: Invocation<TokenWish>): Promise<number> {
  const request = await requestFromWish(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.acquireToken(request, call));
  if (run.json) {
    await run.printer.line(messageJson(AcquireTokenResponseSchema, response));
  } else {
    await printSecret(run, "acquired", response.secret, response.token);
  }
  return EXIT.ok;
}
