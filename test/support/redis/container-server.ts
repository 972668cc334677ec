import { RedisContainer } from "@testcontainers/redis";
import { getContainerRuntimeClient } from "testcontainers";
import type { RedisFixture } from "./redis-server-fixture.ts";
import { useSingle } from "./single-server.ts";

const IMAGE = "redis:7.4-alpine";

/** Whether a container engine answers. */
export async function hasContainers(): Promise<boolean> {
  try {
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false;
  }
}

/** One server in a container. It can be emptied; tests that break servers need a binary. */
export async function startContainer(): Promise<RedisFixture> {
  const container = await new RedisContainer(IMAGE).start();
  const fixture = await useSingle(container.getConnectionUrl());
  return {
    ...fixture,
    stop: async () => {
      await container.stop();
    },
  };
}
