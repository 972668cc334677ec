import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/summary-reporter.ts"],
    // Everything on the gateway's own HTTP/2 engine, and what callers see once more on Node's.
    projects: [
      { extends: true, test: { name: "engine", include: ["src/**/*.test.ts", "test/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/{e2e,hostile,interop,rpc,faults}/**/*.test.ts"],
          // What pools hold is the same under either.
          exclude: ["test/e2e/pool.test.ts"],
          env: { GATEWAY_TRANSPORT: "node" },
        },
      },
    ],
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
