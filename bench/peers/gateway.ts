import { setTimeout as pause } from "node:timers/promises";
import { BenchGateway, type GatewayOptions } from "../kit/bench-gateway.ts";
import { CannotRun } from "../kit/cannot-run.ts";
import { ANSWER_SLACK_BYTES, checkAnswer, type Question } from "../kit/material.ts";
import type { World } from "../kit/world.ts";
import type { LoadResult } from "../load/h2load.ts";
import type { Peer, RunningPeer } from "./peer.ts";

const SETTLE_MS = 30;

/** The subject: the gateway on its default transport. */
export const gateway = gatewayPeer("gateway", "gateway", {});

/** The gateway on node:http2. */
export const gatewayOnNode = gatewayPeer("gateway_node", "gateway on node:http2", { transport: "node" });

/** The gateway, answering the same token from memory. */
function gatewayPeer(name: string, title: string, options: GatewayOptions): Peer {
  return {
    name,
    title,
    carriers: ["tcp", "unix", "tls"],
    prepare: async ({ variables }) => {
      if (options.transport === "node" && !variables.has("GATEWAY_TRANSPORT")) {
        throw new CannotRun("this build has one transport only, and that is measured as `gateway`");
      }
    },
    start: async (world, material, carrier) =>
      await runningGateway(world, await BenchGateway.start(world, { ...options, carrier }), material),
  };
}

/** A started gateway as a peer, once its answer has been checked. */
export async function runningGateway(world: World, gateway: BenchGateway, question: Question): Promise<RunningPeer> {
  try {
    await checkAnswer(world, gateway.address, question.request);
  } catch (error) {
    await gateway.stop();
    throw error;
  }
  let counted = await settled(gateway);
  return {
    target: {
      address: gateway.address,
      path: world.client.path,
      bodyFile: question.requestFile,
      contentType: "application/grpc",
      authorization: world.caller.authorization,
      answerBytes: 5 + question.answer.length,
      slackBytes: ANSWER_SLACK_BYTES,
    },
    usage: () => gateway.child.usage(),
    confirm: async (result) => {
      const before = counted;
      counted = await settled(gateway);
      assertCounted(counted - before, result);
    },
    stop: () => gateway.stop(),
  };
}

/** The count once nothing of an earlier load is being decided any more. */
async function settled(gateway: BenchGateway): Promise<number> {
  let last = Number.NaN;
  for (;;) {
    const counted = await gateway.validAnswers();
    if (counted === last) return counted;
    last = counted;
    await pause(SETTLE_MS);
  }
}

/** What was under way when the load stopped may have been decided, and not have been waited for. */
function assertCounted(valid: number, { done, started }: LoadResult): void {
  if (valid < done || valid > started) {
    throw new Error(`the gateway counted ${valid} VALID answers, the load ${done} answers to ${started} requests`);
  }
}
