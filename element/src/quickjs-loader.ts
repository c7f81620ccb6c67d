/**
 * QuickJS's loader in its form without Node: the other one waits for imports, and a card's command
 * does not wait. Its package offers it to browsers only, so that it is named by its file.
 */
export {
  default as loadModule,
  type LoadedModule,
} from '../../node_modules/@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.browser.mjs';
