/** The fields of a received message: values in an array, found by the bitmap's own order. */
import type { FieldPlan } from './dialect.ts';
import type { FieldValue } from './message.ts';

/** A `ReadonlyMap` of fields in ascending order that costs one array a message. */
export class FieldTable implements ReadonlyMap<number, FieldValue> {
  readonly numbers: readonly number[];
  readonly content: readonly FieldValue[];
  readonly slots: Uint8Array;

  constructor(plan: FieldPlan, values: readonly FieldValue[]) {
    this.numbers = plan.numbers;
    this.slots = plan.slots;
    this.content = values;
  }

  get size(): number {
    return this.numbers.length;
  }

  get(number: number): FieldValue | undefined {
    const slot = this.slots[number];
    return slot ? this.content[slot - 1] : undefined;
  }

  has(number: number): boolean {
    return (this.slots[number] ?? 0) > 0;
  }

  forEach(
    visit: (value: FieldValue, number: number, map: ReadonlyMap<number, FieldValue>) => void,
  ): void {
    for (const [number, value] of this) visit(value, number, this);
  }

  keys(): MapIterator<number> {
    return this.numbers.values();
  }

  values(): MapIterator<FieldValue> {
    return this.content.values();
  }

  *entries(): MapIterator<[number, FieldValue]> {
    for (let index = 0; index < this.numbers.length; index++) {
      const [number, value] = [this.numbers[index], this.content[index]];
      if (number !== undefined && value !== undefined) yield [number, value];
    }
  }

  [Symbol.iterator](): MapIterator<[number, FieldValue]> {
    return this.entries();
  }
}
