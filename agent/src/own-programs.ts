/** Where the programs lie that this one starts. */
import { join } from 'node:path';

/** This program is a built file, and what it starts was built with it and lies beside it. */
const isBuilt = !import.meta.filename.endsWith('.ts');
const PROJECT = join(import.meta.dirname, '../..');
const BUILT = isBuilt ? import.meta.dirname : join(PROJECT, 'web/dist-programs');

/** Path of a program: `<name>.mjs` of the same build, or its source under the project's folder. */
export function ownProgram(name: string, source: string): string {
  if (isBuilt) return join(import.meta.dirname, `${name}.mjs`);
  return join(PROJECT, source);
}

/** The load file of the payment application, which is built in any case. */
export function paymentLoadFile(): string {
  return join(BUILT, 'payment.tplf');
}

/** What an element's process reads beside its store: its own code and its load file. */
export function elementCode(): readonly string[] {
  if (isBuilt) return [import.meta.dirname];
  const rooms = ['element', 'protocol', 'node_modules'].map((room) => join(PROJECT, room));
  return [...rooms, paymentLoadFile()];
}
