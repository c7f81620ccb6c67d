/**
 * Builds load files: an applet's TypeScript as one JavaScript module behind its manifest. What is
 * written is what is hashed, signed, loaded and run, byte for byte.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ApplicationManifest,
  encodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';

const project = join(import.meta.dirname, '..');

/** Load files by the name of their file; in each folder a manifest and the source's entry. */
const LOAD_FILES: Readonly<Record<string, string>> = {
  payment: 'applet',
  loyalty: 'samples/loyalty',
};
/** Folders and files that end up in a load file. */
export const LOAD_FILE_INPUTS: readonly string[] = [
  'web/load-files.ts',
  ...Object.values(LOAD_FILES).flatMap((folder) => [`${folder}/src`, `${folder}/manifest.json`]),
];

/** Writes `<name>.tplf`, and beside it its hash as people and programs compare it. */
export async function buildLoadFiles(out: string): Promise<void> {
  for (const [name, folder] of Object.entries(LOAD_FILES)) {
    const manifest = JSON.parse(
      readFileSync(join(project, folder, 'manifest.json'), 'utf8'),
    ) as ApplicationManifest;
    const bundle = await bundleOf(join(project, folder, 'src/index.ts'));
    const bytes = encodeApplicationPackage({ manifest, bundle });
    writeFileSync(join(out, `${name}.tplf`), bytes);
    const hash = createHash('sha256').update(bytes).digest('hex').toUpperCase();
    writeFileSync(join(out, `${name}.tplf.sha256`), `${hash}\n`);
  }
}

/**
 * Curves are the host's: an applet asks it for the check of an SM2 signature, which would take an
 * interpreter a hundred times as long, and carries no library for it.
 */
const HOST_ARITHMETIC = '\0host-arithmetic';
const hostArithmetic = {
  name: 'host-arithmetic',
  enforce: 'pre',
  resolveId: (id: string): string | undefined =>
    id.startsWith('@noble/curves/') ? HOST_ARITHMETIC : undefined,
  load: (id: string): string | undefined =>
    id === HOST_ARITHMETIC
      ? "export const weierstrass = () => { throw new Error('curves are the host\\'s'); };"
      : undefined,
} as const;

/** One module without imports, left readable, so that what runs in an element can be reviewed. */
async function bundleOf(entry: string): Promise<string> {
  const { build } = await import('vite');
  const built = await build({
    root: project,
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    plugins: [hostArithmetic],
    ssr: { noExternal: true },
    build: {
      ssr: true,
      write: false,
      target: 'es2023',
      minify: false,
      reportCompressedSize: false,
      rollupOptions: {
        input: entry,
        output: { format: 'es', codeSplitting: false, minify: 'dce-only', comments: false },
      },
    },
  });
  const outputs = Array.isArray(built) ? built : [built];
  const chunks = outputs.flatMap((one) => ('output' in one ? one.output : []));
  const [chunk] = chunks;
  if (chunks.length === 1 && chunk?.type === 'chunk') return chunk.code;
  throw new Error(`${entry} does not make one module`);
}
