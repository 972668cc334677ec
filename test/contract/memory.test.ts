import { MemoryRevocationLog } from "../../src/memory/memory-revocation-log.ts";
import { MemoryVerdictStore, SharedVerdicts } from "../../src/memory/memory-verdict-store.ts";
import { systemClock } from "../../src/system-clock.ts";
import { describeRevocationLog } from "./revocation-log.contract.ts";
import { describeVerdictStore } from "./verdict-store.contract.ts";

describeRevocationLog(
  "memory",
  async () => {
    let log = new MemoryRevocationLog(Date.now);
    return {
      open: async () => log,
      reset: async () => {
        log = new MemoryRevocationLog(Date.now);
      },
      stop: async () => {},
    };
  },
  { shared: false },
);

describeVerdictStore("memory", async () => {
  let shared = new SharedVerdicts();
  return {
    open: async ({ scope = "credential", ttlMs = 30_000 } = {}) =>
      new MemoryVerdictStore({ clock: systemClock, scope, ttlMs, shared }),
    reset: async () => {
      shared = new SharedVerdicts();
    },
    stop: async () => {},
  };
});
