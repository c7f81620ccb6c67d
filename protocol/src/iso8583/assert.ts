/** Assertions about tables that this project writes itself. */

/** @throws Error when a programmer's table contradicts itself; never because of foreign data. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`a dialect's table is wrong: ${what}`);
}
