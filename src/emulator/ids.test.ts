import { expect, it } from "vitest";
import { newInstanceId, newInstanceKey, newMachineId, newMachineKey, newTokenId, newTokenSecret } from "./ids.ts";

it("ids and keys have the published forms", () => {
  expect(newInstanceId(Date.now())).toMatch(/^ins_\w{27}$/);
  expect(newMachineId(Date.now())).toMatch(/^mch_\w{27}$/);
  expect(newTokenId()).toMatch(/^mt_[0-9a-f]{32}$/);
  expect(newTokenSecret()).toMatch(/^mt_[0-9A-Za-z]{48}$/);
  expect(newMachineKey()).toMatch(/^ak_[0-9A-Za-z]{44}$/);
  expect(newInstanceKey()).toMatch(/^sk_test_[0-9A-Za-z]{42}$/);
});

it("machine ids sort by the second they were made in, and are of full length before the count began", () => {
  const times = [0, 1_400_000_001_000, 1_600_000_000_000, 1_760_000_000_000, 5_600_000_000_000];
  const ids = times.map(newMachineId);
  expect(ids.toSorted()).toEqual(ids);
  for (const id of ids) expect(id).toMatch(/^mch_\w{27}$/);
});

it("no two are alike", () => {
  const secrets = Array.from({ length: 1000 }, newTokenSecret);
  expect(new Set(secrets).size).toBe(1000);
});
