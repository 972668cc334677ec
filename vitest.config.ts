import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const MIN_WORKERS = 2;

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/summary-reporter.ts"],
    projects: [
      // Files share what they import, which they load in a fraction of the time: modules have no state of their own.
      { extends: true, test: { name: "sources", include: ["src/**/*.test.ts"], isolate: false } },
      // On the gateway's own HTTP/2 engine.
      { extends: true, test: { name: "engine", include: ["test/**/*.test.ts"] } },
      // What callers see, once more on Node's HTTP/2.
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/{e2e,hostile,interop,rpc,tls}/**/*.test.ts"],
          // What pools hold is the same under either.
          exclude: ["test/e2e/pool.test.ts"],
          env: { GATEWAY_TRANSPORT: "node" },
        },
      },
    ],
    // Vitest leaves one processor to others. Most tests wait more than they compute.
    maxWorkers: Math.max(MIN_WORKERS, availableParallelism() - 1),
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      exclude: ["src/gen/**", "src/**/*.test.ts"],
      reporter: ["text-summary", "json-summary"],
      thresholds: { "src/token/**": { branches: 95, functions: 95, lines: 95, statements: 95 } },
    },
  },
});
