import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Address } from "./address.ts";
import { BenchGateway } from "./bench-gateway.ts";
import { MACHINE_ID, secretAt } from "./tokens.ts";
import type { World } from "./world.ts";

/** What all peers are asked and what they answer, as files in the world's folder. */
export interface Material {
  readonly request: Buffer;
  /** The answer of our gateway from memory, which the peers repeat. */
  readonly answer: Buffer;
  /** The serialized answer. */
  readonly answerFile: string;
  /** The same as a gRPC message. */
  readonly framedAnswerFile: string;
  /** The request as a gRPC message. */
  readonly requestFile: string;
  /** The request with a policy that the token meets, as a gRPC message. */
  readonly policyRequestFile: string;
}

/** Bytes by which an answer's length may differ from the first one's: times and cursors take more or fewer. */
export const ANSWER_SLACK_BYTES = 24;

const FROM_MEMORY_WITHIN_MS = 5_000;

/** Asks a gateway once and keeps what it says. */
export async function makeMaterial(world: World): Promise<Material> {
  const request = world.client.requestBytes({ token: secretAt(0) });
  const gateway = await BenchGateway.start(world);
  const answer = await answerFromMemory(world, gateway.address, request);
  await gateway.stop();
  const policy = { allowedSubjects: [MACHINE_ID], requiredClaims: { fields: { role: { stringValue: "reader" } } } };
  const withPolicy = world.client.requestBytes({ token: secretAt(0), policy });
  const keep = (name: string, bytes: Buffer) => {
    const path = join(world.folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  return {
    request,
    answer,
    answerFile: keep("answer.bin", answer),
    framedAnswerFile: keep("answer.grpc", framed(answer)),
    requestFile: keep("request.grpc", framed(request)),
    policyRequestFile: keep("policy-request.grpc", framed(withPolicy)),
  };
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

async function answerFromMemory(world: World, address: Address, request: Buffer): Promise<Buffer> {
  const deadlineMs = performance.now() + FROM_MEMORY_WITHIN_MS;
  for (;;) {
    const answer = await checkAnswer(world, address, request);
    if (world.client.decode(answer).source === "SOURCE_MEMORY") return answer;
    if (performance.now() > deadlineMs) throw new Error("the gateway answers nothing from memory");
    await pause(10);
  }
}
