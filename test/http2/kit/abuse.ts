import { expect } from "vitest";
import { ErrorCode } from "../../../src/http2/protocol-error.ts";
import type { EngineFixture } from "./engine-fixture.ts";
import { request } from "./frames.ts";
import { connectRaw, type RawClient } from "./raw-client.ts";

/** Another client is served as ever. */
export async function expectToServe(engine: EngineFixture): Promise<void> {
  using client = await connectRaw(engine.port);
  client.send(request(1, "/size/1000"));
  expect((await client.answer(1)).body).toHaveLength(1000);
}

/** The client was told to calm down, its connection ended with all that was on it, and others are served. */
export async function expectToBeCutOff(engine: EngineFixture, client: RawClient, reason: string): Promise<void> {
  expect((await client.goAway(ErrorCode.ENHANCE_YOUR_CALM)).debug).toBe(reason);
  await client.closed;
  await engine.eventually(() => engine.engine.counts.connections === 0);
  expect(engine.engine.counts).toEqual({ connections: 0, streams: 0, unreadBytes: 0 });
  expect(engine.calls.every(({ overCount }) => overCount === 1)).toBe(true);
  await expectToServe(engine);
}

/** What the engine's sockets hold that the kernel has not taken. */
export function unsentBytes(engine: EngineFixture): number {
  return engine.sockets.reduce((sum, socket) => sum + socket.writableLength, 0);
}
