/** Where the programs lie that this one starts. */
import { join } from 'node:path';

/** This program is a built file, and what it starts was built with it and lies beside it. */
const isBuilt = !import.meta.filename.endsWith('.ts');

/** Path of a program: `<name>.mjs` of the same build, or its source under the project's folder. */
export function ownProgram(name: string, source: string): string {
  if (isBuilt) return join(import.meta.dirname, `${name}.mjs`);
  return join(import.meta.dirname, '../..', source);
}

/** What an element's process reads beside its store: its own code. */
export function elementCode(): readonly string[] {
  if (isBuilt) return [import.meta.dirname];
  const rooms = ['element', 'applet', 'protocol', 'node_modules'];
  return rooms.map((room) => join(import.meta.dirname, '../..', room));
}
