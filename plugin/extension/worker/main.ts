/** Starts the extension's worker: a service worker in Chromium, an event page in Firefox. */
import { after, type Browser } from '../api.ts';
import { startWorker } from './worker.ts';

declare const chrome: Browser;

startWorker({ browser: chrome, after, newId: () => crypto.randomUUID() });
