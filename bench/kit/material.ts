import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import type { Address } from "./address.ts";
import { BenchGateway } from "./bench-gateway.ts";
import { CannotRun } from "./cannot-run.ts";
import { MACHINE_ID, secretAt } from "./tokens.ts";
import type { World } from "./world.ts";

/** What a server is asked again and again, and what our gateway answers from memory. */
export interface Question {
  readonly request: Buffer;
  /** The request as a gRPC message. */
  readonly requestFile: string;
  readonly answer: Buffer;
}

/** What all peers are asked and what they repeat, as files in the world's folder. */
export interface Material extends Question {
  /** The serialized answer. */
  readonly answerFile: string;
  /** The same as a gRPC message. */
  readonly framedAnswerFile: string;
  /** The request with a policy that the token meets. */
  readonly policy: Question;
}

/** Bytes by which an answer's length may differ from the first one's: times and cursors take more or fewer. */
export const ANSWER_SLACK_BYTES = 24;

const ANSWERS_WITHIN_MS = 20_000;

/** Asks a gateway once and keeps what it says. */
export async function makeMaterial(world: World): Promise<Material> {
  const request = world.client.requestBytes({ token: secretAt(0) });
  const gateway = await BenchGateway.start(world);
  const answer = await answerFrom(world, gateway.address, request, "SOURCE_MEMORY");
  await gateway.stop();
  const policy = { allowedSubjects: [MACHINE_ID], requiredClaims: { fields: { role: { stringValue: "reader" } } } };
  const withPolicy = world.client.requestBytes({ token: secretAt(0), policy });
  return {
    request,
    answer,
    answerFile: keep(world, "answer.bin", answer),
    framedAnswerFile: keep(world, "answer.grpc", framed(answer)),
    requestFile: keep(world, "request.grpc", framed(request)),
    policy: { request: withPolicy, answer, requestFile: keep(world, "policy-request.grpc", framed(withPolicy)) },
  };
}

/** About a JWT, minted for it, that the gateway checks itself. @throws CannotRun when this build cannot */
export async function makeJwtQuestion(world: World, gateway: BenchGateway): Promise<Question> {
  if (!world.variables.has("CLERK_MACHINE_ID")) throw new CannotRun("this build checks no JWTs");
  const request = world.client.requestBytes({ token: await world.emulator.mintJwt() });
  const answer = await answerFrom(world, gateway.address, request, "SOURCE_LOCAL");
  return { request, answer, requestFile: keep(world, "jwt-request.grpc", framed(request)) };
}

function keep({ folder }: World, name: string, bytes: Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** A message with gRPC's prefix: not compressed, its length. */
export function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/**
 * Asks with a stock client.
 * @throws Error when the answer is not VALID for the token that was asked about
 */
export async function checkAnswer(world: World, address: Address, request: Buffer): Promise<Buffer> {
  const caFile = address.carrier === "tls" ? world.tls().caFile : undefined;
  const answer = await world.client.call(address, request, caFile);
  const { verdict, token } = world.client.decode(answer);
  const subject = (token as { readonly subject?: string } | null)?.subject;
  if (verdict !== "VERDICT_VALID" || subject !== MACHINE_ID) {
    throw new Error(`answers ${String(verdict)} for ${subject ?? "no machine"}, which is wrong`);
  }
  return answer;
}

async function answerFrom(world: World, address: Address, request: Buffer, source: string): Promise<Buffer> {
  const deadlineMs = performance.now() + ANSWERS_WITHIN_MS;
  for (;;) {
    try {
      const answer = await checkAnswer(world, address, request);
      if (world.client.decode(answer).source === source) return answer;
      if (performance.now() > deadlineMs) throw new Error(`the gateway answers nothing with ${source}`);
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > deadlineMs) throw error;
    }
    await pause(10);
  }
}

/** As for JWTs while the log is so new that facts may be missing from it. */
function isUnavailable(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === status.UNAVAILABLE;
}
