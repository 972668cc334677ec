import { describe, expect, it } from "vitest";
import type { WorkerReport, WorkerState } from "./control-messages.ts";
import { hostReadiness } from "./host-pages.ts";

function worker(state: WorkerState, more: Partial<WorkerReport> = {}) {
  return { report: { state, cursor: "", stalenessMs: 5, rejectedKeys: [], ...more }, restarts: 1 };
}

describe("/readyz of a host with workers", () => {
  it("is ready while one worker can decide, and tells the worst state", () => {
    const workers = [worker("synced"), worker("not_serving", { stalenessMs: 9 }), { report: undefined, restarts: 2 }];
    expect(hostReadiness(workers, [], false)).toEqual({
      ready: true,
      detail: { state: "not_serving", workers: 3, workers_ready: 1, restarts: 4, staleness_ms: 9 },
    });
  });

  it("is not ready while none can, or while it drains", () => {
    expect(hostReadiness([{ report: undefined, restarts: 0 }], [], false)).toMatchObject({
      ready: false,
      detail: { state: "not_serving", workers_ready: 0 },
    });
    expect(hostReadiness([worker("synced")], [], true)).toMatchObject({
      ready: false,
      detail: { state: "not_serving" },
    });
  });

  it("names each key that a worker or the primary was told is rejected, once", () => {
    const workers = [worker("degraded", { rejectedKeys: ["machine"] }), worker("synced")];
    expect(hostReadiness(workers, [], false).detail.rejected_keys).toBe("machine");
    expect(hostReadiness(workers, ["machine", "instance"], false).detail.rejected_keys).toBe("instance machine");
    expect(hostReadiness([worker("synced")], [], false).detail).not.toHaveProperty("rejected_keys");
  });
});
