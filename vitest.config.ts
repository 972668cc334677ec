import { defineConfig } from "vitest/config";

/** What takes long and does not depend on the release of Node: fleets under fault, many histories, real browsers. */
const ELABORATE = ["test/{abuse,console,contract,deploy,faults,fuzz,integration,lifecycle,simulation}/**/*.test.ts"];

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/summary-reporter.ts"],
    projects: [
      // On the gateway's own HTTP/2 engine.
      {
        extends: true,
        test: { name: "engine", include: ["src/**/*.test.ts", "test/**/*.test.ts"], exclude: ELABORATE },
      },
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
      { extends: true, test: { name: "elaborate", include: ELABORATE } },
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
