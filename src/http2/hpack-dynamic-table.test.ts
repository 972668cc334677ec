import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeaderField } from "./header-field.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";

const CAPACITY_BYTES = 4_096;

const operation = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ insert: fc.oneof(fc.integer({ min: 32, max: 60 }), fc.integer({ min: 32, max: 5_000 })) }),
  },
  { weight: 1, arbitrary: fc.record({ resize: fc.integer({ min: 0, max: CAPACITY_BYTES }) }) },
);

describe("HpackDynamicTable", () => {
  it("holds what a plain list of entries would", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400, size: "max" }), (operations) => {
        const table = new HpackDynamicTable(CAPACITY_BYTES);
        let newestFirst: HeaderField[] = [];
        let capacityBytes = CAPACITY_BYTES;
        for (const each of operations) {
          const { version } = table;
          const before = newestFirst;
          const isResized = "resize" in each && each.resize !== capacityBytes;
          if ("resize" in each) {
            capacityBytes = each.resize;
            table.resize(capacityBytes);
            newestFirst = within(newestFirst, capacityBytes);
          } else {
            const field = { name: "n", value: `${newestFirst.length}`, size: each.insert };
            const fits = table.makeRoom(field.size);
            expect(fits).toBe(field.size <= capacityBytes);
            if (fits) table.insert(field);
            newestFirst = fits ? within([field, ...newestFirst], capacityBytes) : [];
          }
          expect(entriesOf(table)).toEqual(newestFirst);
          const isChanged = isResized || before.length !== newestFirst.length || before[0] !== newestFirst[0];
          expect(table.version > version).toBe(isChanged);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("takes as many of the smallest entries as its size allows", () => {
    const table = new HpackDynamicTable(CAPACITY_BYTES);
    for (let count = 0; count < 1_000; count++) {
      table.makeRoom(32);
      table.insert({ name: "", value: "", size: 32 });
    }
    expect(entriesOf(table)).toHaveLength(CAPACITY_BYTES / 32);
  });
});

function within(newestFirst: readonly HeaderField[], capacityBytes: number): HeaderField[] {
  let bytes = 0;
  const firstOut = newestFirst.findIndex((field) => {
    bytes += field.size;
    return bytes > capacityBytes;
  });
  return firstOut < 0 ? [...newestFirst] : newestFirst.slice(0, firstOut);
}

function entriesOf(table: HpackDynamicTable): HeaderField[] {
  const entries: HeaderField[] = [];
  for (let field = table.at(0); field !== undefined; field = table.at(entries.length)) entries.push(field);
  return entries;
}
