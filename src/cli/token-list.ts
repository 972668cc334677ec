import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  type ListTokensResponse,
  ListTokensResponseSchema,
  type M2MToken,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { parseMachineId, parsePageSize } from "./arguments.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { messageJson } from "./message-json.ts";
import { allPages } from "./pages.ts";
import { plainText } from "./plain-text.ts";
import { type Cell, table, timeText } from "./text-layout.ts";
import { formatName, tokenState } from "./token-text.ts";

const MAX_PAGE_SIZE = 100;

interface Options {
  readonly subject: string;
  readonly revoked?: true;
  readonly expired?: true;
  readonly pageSize?: number;
  readonly pageToken?: string;
  readonly all?: true;
}

export function addTokenList(parent: Command, runner: Runner): void {
  parent
    .command("list")
    .description("List the opaque tokens of one machine, newest first, without their secrets.")
    .requiredOption("--subject <machine>", "the machine that minted them, mch_…", parseMachineId)
    .option("--revoked", "list revoked tokens too")
    .option("--expired", "list expired tokens too")
    .option("--page-size <n>", "how many to list, 1 to 100 (default: 10)", parsePageSize)
    .option("--page-token <token>", "go on where an earlier page ended")
    .option("--all", "list every page")
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} token list --subject mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk",
        "{cli} token list --subject mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk --revoked --expired --all --output json",
      ),
    )
    .action(runner.action(listTokens));
}

async function listTokens(run: Invocation<Options>): Promise<number> {
  const response = await withGateway(run.target, ({ tokens }, call) => {
    const { subject, revoked, expired, pageSize, pageToken, all } = run.options;
    const page = (token: string) =>
      tokens.listTokens(
        {
          subject,
          includeRevoked: revoked === true,
          includeExpired: expired === true,
          pageSize: pageSize ?? (all === true ? MAX_PAGE_SIZE : 0),
          pageToken: token,
        },
        call,
      );
    return all === true ? everyPage(pageToken, page) : page(pageToken ?? "");
  });
  await print(run, response);
  return EXIT.ok;
}

async function everyPage(
  first: string | undefined,
  page: (token: string) => Promise<ListTokensResponse>,
): Promise<ListTokensResponse> {
  const pages = await allPages(first ?? "", page);
  return create(ListTokensResponseSchema, {
    tokens: pages.flatMap(({ tokens }) => tokens),
    totalSize: pages.at(-1)?.totalSize ?? 0n,
  });
}

async function print(run: Invocation<Options>, response: ListTokensResponse): Promise<void> {
  const { printer } = run;
  if (run.json) {
    await printer.line(messageJson(ListTokensResponseSchema, response));
    return;
  }
  if (response.tokens.length > 0) {
    const header = ["ID", "FORMAT", "STATE", "CREATED", "EXPIRES", "REASON"];
    await printer.line(table(header, response.tokens.map(row), printer.paintOut));
  }
  printer.note(`${response.tokens.length} of ${response.totalSize} tokens`);
  if (response.nextPageToken !== "") {
    printer.note(`more: add --page-token ${plainText(response.nextPageToken)}, or use --all`);
  }
}

function row(token: M2MToken): Cell[] {
  return [
    { text: token.id },
    { text: formatName(token.format) },
    tokenState(token),
    { text: timeText(token.createTime) ?? "unknown" },
    { text: timeText(token.expireTime) ?? "never" },
    { text: token.revocationReason },
  ];
}
