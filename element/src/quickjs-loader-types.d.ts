/**
 * The part of QuickJS's loader that the sandbox uses, for its package has no types for this form;
 * and of WebAssembly, which neither Node's types nor the language's have.
 */
declare module '*/emscripten-module.browser.mjs' {
  /** Options before linking; the interpreter's functions after it. */
  export type LoadedModule = {
    readonly wasmMemory: WebAssembly.Memory;
    readonly print: (text: string) => void;
    readonly printErr: (text: string) => void;
    readonly instantiateWasm: (
      imports: WebAssembly.Imports,
      done: (instance: { readonly exports: WebAssembly.Exports }) => void,
    ) => WebAssembly.Exports;
  };
  function loadModule(module: LoadedModule): Promise<LoadedModule>;

  // biome-ignore lint/style/noDefaultExport: it is the package's, not ours
  export { loadModule as default };
}

declare namespace WebAssembly {
  type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  type Exports = Readonly<Record<string, unknown>>;
  class Module {
    constructor(bytes: Uint8Array);
    private readonly brand: undefined;
  }
  class Instance {
    constructor(module: Module, imports: Imports);
    readonly exports: Exports;
  }
  class Memory {
    constructor(limits: { readonly initial: number; readonly maximum: number });
    readonly buffer: ArrayBuffer;
  }
}
