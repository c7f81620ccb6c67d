/** Messages of our own wires and the `Hop` table. */
export * from './channel.ts';
export * from './element.ts';
export * from './hop.ts';
export * from './hsm.ts';
