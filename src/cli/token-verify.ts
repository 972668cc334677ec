import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  JwtCheck,
  Source,
  Verdict,
  VerifyPolicySchema,
  type VerifyTokenRequest,
  VerifyTokenRequestSchema,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { collectMachineId, collectText, parseDurationMs } from "./arguments.ts";
import { enumName } from "./enum-name.ts";
import { examples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import { withGateway } from "./gateway-connection.ts";
import type { Invocation, Runner } from "./invocation.ts";
import { parseJsonPairs } from "./json-input.ts";
import { explainCheck } from "./jwt-check-text.ts";
import { messageJson } from "./message-json.ts";
import { fields, timeText } from "./text-layout.ts";
import { readTokenSecret, SECRET_ARGUMENT } from "./token-secret.ts";
import { tokenFields, verdictCell } from "./token-text.ts";

interface Options {
  readonly maxAge?: number;
  readonly minCursor?: string;
  readonly allowSubject?: readonly string[];
  readonly requireClaim?: readonly string[];
  readonly quiet?: true;
}

export function addTokenVerify(parent: Command, runner: Runner): void {
  parent
    .command("verify")
    .description(
      "Decide whether a token is good now. The token comes from standard input or M2M_TOKEN. " +
        "Exit code 0: valid. 1: not valid. 3: could not decide.",
    )
    .argument(...SECRET_ARGUMENT)
    .option("--max-age <duration>", "oldest observation of Clerk that may decide; 0 asks Clerk now", parseDurationMs)
    .option("--min-cursor <cursor>", "answer only after this revocation is known, as printed by token revoke")
    .option("--allow-subject <machine>", "accept only this machine's tokens (repeatable)", collectMachineId)
    .option("--require-claim <key=json>", "demand this claim with this value (repeatable)", collectText)
    .option("--quiet", "print nothing; the exit code is the answer")
    .addHelpText(
      "after",
      examples(
        runner.io.invocation,
        "{cli} token create > token.txt && {cli} token verify < token.txt",
        "M2M_TOKEN=$({cli} token create) {cli} token verify --max-age 0",
        `{cli} token verify --require-claim role='"reader"' --output json < token.txt`,
      ),
    )
    .action(runner.action(verifyToken));
}

async function verifyToken(run: Invocation<Options>): Promise<number> {
  const request = await requestFrom(run);
  const response = await withGateway(run.target, ({ tokens }, call) => tokens.verifyToken(request, call));
  if (run.options.quiet !== true) {
    await run.printer.line(run.json ? messageJson(VerifyTokenResponseSchema, response) : verdictText(run, response));
  }
  return response.verdict === Verdict.VALID ? EXIT.ok : EXIT.notValid;
}

async function requestFrom(run: Invocation<Options>): Promise<VerifyTokenRequest> {
  const { maxAge, minCursor, allowSubject, requireClaim, quiet } = run.options;
  const request = create(VerifyTokenRequestSchema, { minCursor: minCursor ?? "" });
  if (maxAge !== undefined) {
    request.maxAge = durationFromMs(maxAge);
  }
  const requiredClaims = parseJsonPairs("--require-claim", requireClaim ?? []);
  if (allowSubject !== undefined || requireClaim !== undefined) {
    const policy = { allowedSubjects: [...(allowSubject ?? [])], requiredClaims };
    request.policy = create(VerifyPolicySchema, policy);
  }
  const note = (text: string) => (quiet === true ? undefined : run.printer.note(text));
  request.token = await readTokenSecret(run.io, run.args[0], note);
  return request;
}

function verdictText(run: Invocation<Options>, response: VerifyTokenResponse): string {
  const { paintOut } = run.printer;
  const { text, format } = verdictCell(response.verdict);
  const about = fields(
    [
      ...(response.token === undefined ? [] : tokenFields(response.token, Date.now())),
      ["failed check", checkText(response)],
      ["source", enumName(Source, response.source)],
      ["observed", timeText(response.observedTime)],
      ["cursor", response.cursor],
      [
        "degraded",
        response.degraded ? { text: "yes: the gateway is not in its normal state", format: "yellow" } : undefined,
      ],
    ],
    paintOut,
  );
  return `${format === undefined ? text : paintOut(format, text)}\n${about}`;
}

function checkText({ failedCheck }: VerifyTokenResponse): string | undefined {
  if (failedCheck === JwtCheck.UNSPECIFIED) return undefined;
  return `${enumName(JwtCheck, failedCheck)}: ${explainCheck(failedCheck)}`;
}
