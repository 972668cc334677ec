import { type Address, accepts, type Carrier, newAddress } from "../kit/address.ts";
import { Child } from "../kit/child.ts";
import { checkAnswer, type Material } from "../kit/material.ts";
import type { World } from "../kit/world.ts";
import type { RunningPeer } from "./peer.ts";

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a gRPC server on the server's core and checks its answer with a stock client. */
export async function startGrpcServer(
  world: World,
  material: Material,
  carrier: Carrier,
  commandFor: (address: Address) => ServerCommand | Promise<ServerCommand>,
): Promise<RunningPeer> {
  const address = await newAddress(carrier, world.folder);
  const command = await commandFor(address);
  const child = await Child.start({ ...command, core: world.cores.server, isUp: () => accepts(address) });
  try {
    await checkAnswer(world, address, material.request);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return {
    target: {
      address,
      path: world.client.path,
      bodyFile: material.requestFile,
      contentType: "application/grpc",
      authorization: world.caller.authorization,
      answerBytes: 5 + material.answer.length,
      slackBytes: 0,
    },
    usage: () => child.usage(),
    confirm: () => Promise.resolve(),
    stop: () => child.stop(),
  };
}
