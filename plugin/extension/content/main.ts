/** Starts the content script in a frame of a gateway's page, once for each extension. */
import { gatewayOriginsOf } from '@tapnpay/protocol/wire';
import { after, type ContentBrowser } from '../api.ts';
import { ContentScript } from './content.ts';

declare const chrome: ContentBrowser;

/** Where scripts of this extension in this frame find each other; the page cannot see it. */
const PLACE: unique symbol = Symbol.for('tapnpay.content');
const scope = globalThis as { [PLACE]?: ContentScript };

function isGateway(): boolean {
  // A sandboxed frame has a gateway's address, but no origin.
  if (self.origin !== location.origin) return false;
  return gatewayOriginsOf(chrome.runtime.getManifest()).includes(location.origin);
}

const before = scope[PLACE];
if (before?.isAlive) before.announce();
else if (isGateway()) {
  before?.retire();
  // In Firefox the window that a message comes from is not `globalThis`.
  scope[PLACE] = new ContentScript({
    ...{ window, runtime: chrome.runtime, after },
    documentLanguage: () => document.documentElement.lang,
  });
  scope[PLACE].start();
}
