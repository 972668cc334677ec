import type { Command } from "commander";
import { HealthCheckResponse_ServingStatus, HealthCheckResponseSchema } from "../gen/health/v1/health_pb.ts";
import { enumName } from "./enum-name.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";

interface Options {
  readonly service?: string;
}

export function addHealth(parent: Command, runner: Runner): void {
  parent
    .command("health")
    .description(
      "Ask whether the gateway is serving (grpc.health.v1). Exit code 0: serving. 1: not serving. 3: no answer.",
    )
    .option("--service <name>", "one service, such as m2mgateway.v1.TokenService (default: the gateway as a whole)")
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} health",
        "{cli} health --service m2mgateway.v1.TokenService --timeout 1s --output json",
      ),
    )
    .action(runner.action(checkHealth));
}

async function checkHealth(run: Invocation<Options>): Promise<number> {
  const service = run.options.service ?? "";
  const response = await withGateway(run.target, ({ health }, call) => health.check({ service }, call));
  const serving = response.status === HealthCheckResponse_ServingStatus.SERVING;
  const name = enumName(HealthCheckResponse_ServingStatus, response.status);
  await run.printer.line(
    run.json ? messageJson(HealthCheckResponseSchema, response) : run.printer.paintOut(serving ? "green" : "red", name),
  );
  return serving ? EXIT.ok : EXIT.notValid;
}
