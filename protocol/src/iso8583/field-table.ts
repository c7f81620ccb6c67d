/** The fields of a message in two arrays: a message has few, and a hash table costs more. */
import type { FieldValue } from './message.ts';

/** A `ReadonlyMap` of fields in ascending order. */
export class FieldTable implements ReadonlyMap<number, FieldValue> {
  readonly numbers: readonly number[];
  readonly content: readonly FieldValue[];

  /** `numbers` ascend, and each has its value at the same place; both are kept, not copied. */
  constructor(numbers: readonly number[], content: readonly FieldValue[]) {
    this.numbers = numbers;
    this.content = content;
  }

  get size(): number {
    return this.numbers.length;
  }

  get(number: number): FieldValue | undefined {
    const index = this.numbers.indexOf(number);
    return index < 0 ? undefined : this.content[index];
  }

  has(number: number): boolean {
    return this.numbers.includes(number);
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

/** The fields of a map in order; most are in order already. */
export function tableOf(fields: ReadonlyMap<number, FieldValue>): FieldTable {
  if (fields instanceof FieldTable) return fields;
  return changedTable(null, fields);
}

/**
 * A table with changes: a later entry replaces an earlier one of the same number, and `undefined`
 * removes it.
 */
export function changedTable(
  table: FieldTable | null,
  changes: Iterable<readonly [number, FieldValue | undefined]>,
): FieldTable {
  const numbers = table === null ? [] : table.numbers.slice();
  const content = table === null ? [] : table.content.slice();
  for (const [number, value] of changes) {
    let index = numbers.length;
    while (index > 0 && (numbers[index - 1] ?? 0) > number) index--;
    const isPresent = index > 0 && numbers[index - 1] === number;
    if (value === undefined) {
      if (isPresent) numbers.splice(index - 1, 1);
      if (isPresent) content.splice(index - 1, 1);
    } else if (isPresent) content[index - 1] = value;
    else if (index === numbers.length) {
      numbers.push(number);
      content.push(value);
    } else {
      numbers.splice(index, 0, number);
      content.splice(index, 0, value);
    }
  }
  return new FieldTable(numbers, content);
}
