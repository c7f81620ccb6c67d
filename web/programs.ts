/**
 * Builds the programs that a payment waits for, the native messaging host and the secure element,
 * its interpreter, and the load files of its applications: a start from the sources reads some 250
 * files, of which Node strips the types each time. Left readable, so that what runs on a payer's
 * laptop can be reviewed.
 *
 * The folder is no part of `dist`, which is replaced as a whole: a browser may start a host at any
 * moment, so that each file is replaced by a rename, and the entries after what they import.
 */
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inputDigest } from './inputs.ts';
import { buildLoadFiles, LOAD_FILE_INPUTS } from './load-files.ts';

const here = import.meta.dirname;
const project = join(here, '..');
const FOLDER = join(here, 'dist-programs');
const STAMP = 'inputs.sha256';
/** What ends up in a bundle. */
const INPUTS = [
  ...['web/programs.ts', 'agent/src', 'element/src', 'protocol/src'],
  ...['protocol/node', 'package-lock.json'],
  ...LOAD_FILE_INPUTS,
];
/** Programs by the name of their file; those of one build share classes in a file of their own. */
const BUILDS: readonly Readonly<Record<string, string>>[] = [
  { element: 'element/src/main.ts' },
  { host: 'agent/src/native/main.ts' },
  { reader: 'agent/src/pcsc/native.ts' },
];

/** Builds if an input changed since the last build. */
export async function buildPrograms(): Promise<'built' | 'unchanged'> {
  const digest = inputDigest(INPUTS);
  const stamp = join(FOLDER, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return 'unchanged';
  const out = `${FOLDER}.${randomUUID()}`;
  try {
    for (const programs of BUILDS) await buildTogether(programs, out);
    await buildInterpreter(join(out, 'quickjs.wasm'));
    await buildLoadFiles(out);
    writeFileSync(join(out, STAMP), digest);
    replaceFiles(out);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
  return 'built';
}

/** The interpreter with its counter, so that no start of an element waits for that. */
async function buildInterpreter(path: string): Promise<void> {
  const meter = join(project, 'element/src/sandbox/meter.ts');
  const { meteredModule } = await import(pathToFileURL(meter).href);
  const installed = import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm');
  writeFileSync(path, meteredModule(readFileSync(fileURLToPath(installed))));
}

async function buildTogether(
  programs: Readonly<Record<string, string>>,
  folder: string,
): Promise<void> {
  const { build } = await import('vite');
  const input = Object.entries(programs).map(([name, path]) => [name, join(project, path)]);
  await build({
    root: project,
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    ssr: { noExternal: true },
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: false,
      target: 'node26',
      minify: false,
      reportCompressedSize: false,
      rollupOptions: {
        input: Object.fromEntries(input),
        output: {
          format: 'es',
          entryFileNames: '[name].mjs',
          chunkFileNames: 'shared-[hash].mjs',
          // One file where one program is built; a part that is imported late runs late.
          ...(input.length === 1 ? { codeSplitting: false } : {}),
        },
      },
    },
  });
}

/** Shared parts first, the stamp last; what no entry imports any more goes at the end. */
function replaceFiles(out: string): void {
  mkdirSync(FOLDER, { recursive: true });
  const rank = (name: string): number => (name.startsWith('shared-') ? 0 : name === STAMP ? 2 : 1);
  const names = readdirSync(out).toSorted((left, right) => rank(left) - rank(right));
  rmSync(join(FOLDER, STAMP), { force: true });
  for (const name of names) renameSync(join(out, name), join(FOLDER, name));
  for (const name of readdirSync(FOLDER)) {
    if (!names.includes(name)) rmSync(join(FOLDER, name), { recursive: true, force: true });
  }
}

if (import.meta.main) await buildPrograms();
