/** The switch: routes, translates, journals, and reverses what has no final answer. */
export type { SwitchConfig } from './config.ts';
export * from './core.ts';
export * from './errors.ts';
export * from './model.ts';
export * from './ports.ts';
export * from './routing.ts';
export { memberLines, type RunningSwitch, startSwitch } from './start.ts';
export * from './store.ts';
export { MemorySwitchStore } from './store-memory.ts';
export { openSwitchStore, PostgresSwitchStore } from './store-postgres.ts';
