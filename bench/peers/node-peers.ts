import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../test/support/process-fixture.ts";
import { MACHINE_KEY } from "../kit/tokens.ts";
import type { World } from "../kit/world.ts";
import { startGrpcServer } from "./grpc-server.ts";
import type { Peer } from "./peer.ts";

const GENERATED = new URL("../../dist/gen/m2mgateway/v1/token_service_pb.js", import.meta.url).href;

export const connectNode = nodePeer("connect_node", "connect-node", "connect-node", () => [GENERATED]);

export const grpcJs = nodePeer("grpc_js", "grpc-js", "grpc-js", (world) => [loadingFile(world)]);

export const nodeHttp2 = nodePeer("node_http2", "bare node:http2", "node-http2", () => []);

export const clerkBackend = nodePeer(
  "clerk_backend",
  "@clerk/backend per request",
  "clerk-backend",
  (world) => [loadingFile(world), world.emulator.url],
  { CLERK_MACHINE_SECRET_KEY: MACHINE_KEY },
);

function nodePeer(
  name: string,
  title: string,
  program: string,
  more: (world: World) => string[],
  env: Readonly<Record<string, string>> = {},
): Peer {
  return {
    name,
    title,
    carriers: ["tcp", "unix"],
    prepare: () => Promise.resolve(),
    start: (world, material, carrier) =>
      startGrpcServer(world, material, carrier, ({ text }) => ({
        command: process.execPath,
        args: [world.program(program), text, material.answerFile, ...more(world)],
        env: { NODE_ENV: "production", ...env },
      })),
  };
}

function loadingFile(world: World): string {
  const path = join(world.folder, "loading.json");
  const { file, includeDirs } = world.client.loading;
  writeFileSync(path, JSON.stringify({ file, includeDirs: includeDirs.map((folder) => join(ROOT, folder)) }));
  return path;
}
