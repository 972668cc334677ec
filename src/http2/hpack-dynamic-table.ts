import type { HeaderField } from "./header-field.ts";

const FIRST_SLOTS = 16;
const VACANT: HeaderField = { name: "", value: "", size: 0 };

/** The dynamic table (RFC 7541, 2.3.2 and 4), a ring that grows with what it holds. Sizes are those of `HeaderField`. */
export class HpackDynamicTable {
  #version = 0;
  #capacityBytes: number;
  #bytes = 0;
  #count = 0;
  /** As many as a power of two. */
  #slots: HeaderField[] = new Array<HeaderField>(FIRST_SLOTS).fill(VACANT);
  /** The slot of the next entry; the newest is in the one before. */
  #next = 0;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  /** Increases with every insertion, eviction and change of capacity. */
  get version(): number {
    return this.#version;
  }

  get count(): number {
    return this.#count;
  }

  /** The entry that so many others are newer than. */
  at(age: number): HeaderField | undefined {
    return age < this.#count ? this.#slots[(this.#next - 1 - age) & (this.#slots.length - 1)] : undefined;
  }

  resize(capacityBytes: number): void {
    if (capacityBytes === this.#capacityBytes) return;
    this.#version++;
    this.#capacityBytes = capacityBytes;
    this.#evictTo(capacityBytes);
  }

  /** Evicts what an entry of that size pushes out: everything, if it is larger than the table. @returns whether it fits. */
  makeRoom(bytes: number): boolean {
    this.#evictTo(this.#capacityBytes - bytes);
    return bytes <= this.#capacityBytes;
  }

  /** Inserts what `makeRoom` made room for. */
  insert(field: HeaderField): void {
    this.#version++;
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[this.#next] = field;
    this.#next = (this.#next + 1) & (this.#slots.length - 1);
    this.#count++;
    this.#bytes += field.size;
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#next - this.#count) & (this.#slots.length - 1);
      this.#bytes -= this.#slots[oldest]?.size ?? 0;
      this.#slots[oldest] = VACANT;
      this.#count--;
      this.#version++;
    }
  }

  #grow(): void {
    const oldestFirst = Array.from({ length: this.#count }, (_, index) => this.at(this.#count - 1 - index) ?? VACANT);
    this.#slots = oldestFirst.concat(new Array<HeaderField>(this.#count).fill(VACANT));
    this.#next = this.#count;
  }
}
