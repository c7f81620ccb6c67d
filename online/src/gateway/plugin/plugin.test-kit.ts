/** For tests of the update channel: a temporary system with a small built extension in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { LogRecord } from '../../runtime/index.ts';
import { openPublisher, type PluginPublisher, type PublisherConfig } from './publisher.ts';

/** Origin of the test gateway. */
export const PUBLIC_URL = 'http://127.0.0.1:8420';

/** Files as the build leaves them: no manifest among them. */
export const SMALL_BUNDLE: Readonly<Record<string, string>> = {
  'worker.js': 'console.log("worker");',
  'content.js': 'console.log("content");',
  'window.html': '<!doctype html><title>window</title>',
  'options.html': '<!doctype html><title>options</title>',
  'assets/window-1a2B_-.js': 'export {};',
  '_locales/en/messages.json': '{"name":{"message":"Tap"},"description":{"message":"Test"}}',
};

/** A folder that goes when its test has ended. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-publisher-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files below `folder`, which it makes. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** A publisher, the folder of its system, and what it warned of. */
export type TestPublisher = {
  readonly publisher: PluginPublisher;
  readonly dataDir: string;
  readonly bundleDir: string;
  readonly warnings: LogRecord[];
  /** Writes the operator's file. */
  readonly override: (value: unknown) => void;
};

/** Opens a publisher over the small bundle. */
export async function testPublisher(
  t: TestContext,
  changes: Partial<PublisherConfig> = {},
): Promise<TestPublisher> {
  const dataDir = changes.dataDir ?? temporaryFolder(t);
  const bundleDir = join(dataDir, 'extension');
  writeFiles(bundleDir, SMALL_BUNDLE);
  const warnings: LogRecord[] = [];
  const publisher = await openPublisher({
    dataDir,
    publicUrl: PUBLIC_URL,
    bundleDir,
    built: { extension: '0.1.0', host: '0.1.0' },
    warn: (record) => warnings.push(record),
    ...changes,
  });
  const override = (value: unknown): void => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    writeFiles(join(dataDir, 'publisher'), { 'versions.json': text });
  };
  return { publisher, dataDir, bundleDir, warnings, override };
}
