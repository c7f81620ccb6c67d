/** The switch: routes, translates, journals, reverses what has no end, and settles days. */
export type { SwitchConfig, SwitchMember } from './config.ts';
export * from './core.ts';
export * from './day-file.ts';
export * from './day-folder.ts';
export { closeDay, openDays } from './days.ts';
export * from './errors.ts';
export * from './kinds.ts';
export * from './model.ts';
export * from './ports.ts';
export * from './route-file.ts';
export * from './routing.ts';
export * from './settlement.ts';
export { memberLines, type RunningSwitch, startSwitch } from './start.ts';
export * from './store.ts';
export { MemorySwitchStore } from './store-memory.ts';
export { openSwitchStore, PostgresSwitchStore } from './store-postgres.ts';
