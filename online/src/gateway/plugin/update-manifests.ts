/** What browsers read to find a newer version of the extension. */
import { createHash } from 'node:crypto';

/** One offered package. */
export type Offer = {
  readonly version: string;
  /** Absolute URL of the package. */
  readonly url: string;
  readonly bytes: Uint8Array;
};

/**
 * Chromium's update manifest. Its form is told at developer.chrome.com, "Host on Linux".
 * QUIRK: Chromium 156 takes a package whose digest and size are others than this file says, so it
 * says neither: what guards the package is its signature, and its version, which is compared.
 */
export function updateXmlOf(extensionId: string, { version, url }: Omit<Offer, 'bytes'>): string {
  return [
    `<?xml version='1.0' encoding='UTF-8'?>`,
    `<gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'>`,
    `  <app appid='${escaped(extensionId)}' status='ok'>`,
    `    <updatecheck status='ok' codebase='${escaped(url)}' version='${escaped(version)}'/>`,
    '  </app>',
    '</gupdate>',
    '',
  ].join('\n');
}

/**
 * Firefox's update manifest; over plain HTTP it takes an update by its digest only. Its form is
 * told at extensionworkshop.com, "Updating your extension".
 */
export function updatesJsonOf(geckoId: string, { version, url, bytes }: Offer): string {
  const digest = createHash('sha256').update(bytes).digest('hex');
  const update = { version, update_link: url, update_hash: `sha256:${digest}` };
  return `${JSON.stringify({ addons: { [geckoId]: { updates: [update] } } }, null, 2)}\n`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};

function escaped(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? '');
}
