/**
 * One QuickJS interpreter in a WebAssembly module of its own. Its memory has a hard end, which also
 * typed arrays cannot pass; what is dropped is gone with all that it held.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { QuickJSFFI } from '@jitl/quickjs-wasmfile-release-sync/ffi';
import {
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core';
import { type LoadedModule, loadModule } from '../quickjs-loader.ts';
import { FUEL_EXPORT, meteredModule } from './meter.ts';

/** Memory that the interpreter is linked with: none runs with less. */
const INITIAL_BYTES: number = 16 * 1024 * 1024;
const PAGE_BYTES: number = 64 * 1024;
/** Stack of the interpreter: deeper calls end in its own error before the engine's stack does. */
const STACK_BYTES: number = 128 * 1024;
/** What applets get of the language; no `Date`, for the host has the clock. */
const INTRINSICS = {
  ...{ BaseObjects: true, Eval: true, StringNormalize: true, RegExp: true, JSON: true },
  ...{ Proxy: true, MapSet: true, TypedArrays: true, Promise: true, BigInt: true },
} as const;

/** Loop turns that one operation may take, the interpreter's own loops among them. */
export const FUEL_MAX = 100_000_000;

/** The interpreter's code: metered beside a built program, else as it was installed. */
function interpreterCode(): Uint8Array {
  const isBuilt = !import.meta.filename.endsWith('.ts');
  if (isBuilt) return readFileSync(`${import.meta.dirname}/quickjs.wasm`);
  const installed = import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm');
  return meteredModule(readFileSync(fileURLToPath(installed)));
}

let compiled: WebAssembly.Module | null = null;

/** Compiled once in a process; each interpreter is an instance with its own memory. */
function interpreterModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(interpreterCode());
  return compiled;
}

/**
 * Links a module in the same turn. The loader waits once, for what is there already, and would run
 * the constructors (`u` in this version) only then: they are run here, and not again.
 */
function linkedModule(memory: WebAssembly.Memory): {
  readonly module: LoadedModule;
  readonly fuel: { value: number };
} {
  let construct = (): void => {};
  let fuel = { value: 0 };
  const silent = (): void => {};
  const module: LoadedModule = {
    ...{ wasmMemory: memory, print: silent, printErr: silent },
    instantiateWasm(imports, done) {
      const { exports } = new WebAssembly.Instance(interpreterModule(), imports);
      const constructors = exports['u'] as () => void;
      fuel = exports[FUEL_EXPORT] as typeof fuel;
      fuel.value = FUEL_MAX;
      let isConstructed = false;
      construct = (): void => {
        if (!isConstructed) constructors();
        isConstructed = true;
      };
      const linked = { ...exports, u: construct };
      done({ exports: linked });
      return linked;
    },
  };
  loadModule(module).catch(silent);
  construct();
  return { module, fuel };
}

/** A running interpreter. */
export type Interpreter = {
  readonly runtime: QuickJSRuntime;
  readonly context: QuickJSContext;
  /** What is left; at zero the module traps. */
  readonly fuel: { value: number };
};
export type { QuickJSHandle };

/** Starts one. @param memoryBytes its memory, the interpreter's own with it. */
export function startInterpreter(limits: {
  readonly memoryBytes: number;
  readonly isToStop: () => boolean;
}): Interpreter {
  const mostBytes = Math.max(INITIAL_BYTES, limits.memoryBytes);
  const memory = new WebAssembly.Memory({
    initial: INITIAL_BYTES / PAGE_BYTES,
    maximum: Math.floor(mostBytes / PAGE_BYTES),
  });
  const { module, fuel } = linkedModule(memory);
  const made = new QuickJSWASMModule(module as never, new QuickJSFFI(module as never));
  const runtime = made.newRuntime();
  runtime.setMemoryLimit(limits.memoryBytes);
  runtime.setMaxStackSize(STACK_BYTES);
  runtime.setInterruptHandler(limits.isToStop);
  return { runtime, context: runtime.newContext({ intrinsics: INTRINSICS }), fuel };
}
