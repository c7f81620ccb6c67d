/** Card readers: one interface over scripts, virtual cards and PC/SC. */
export * from './atr.ts';
export type * from './card-reader.ts';
export * from './decorators.ts';
export * from './errors.ts';
export * from './memory-reader.ts';
export * from './purse-and-log.ts';
export * from './read-card.ts';
export * from './scripted-card.ts';
export * from './virtual-card.ts';
