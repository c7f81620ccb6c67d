/**
 * Every relay between the payment application and the gateway, each with an ear and with a hand:
 * what passes there is kept, and one bit of one record can be flipped. Native port (the host's end),
 * the extension's worker (the browser's end of that port), its content script, the page, and the
 * page's WebSocket.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MANIFEST_FILE, profileFolder, wrapperPath } from '@tapnpay/agent';
import type { CDPSession, Page, WebSocketRoute } from 'playwright-core';
import {
  flipped,
  HAND_FILE,
  type Hand,
  TAPPED_FILE,
  type TappedFrame,
  type Towards,
} from './native-tap.test-kit.ts';
import type { PluginBrowser } from './plugin.test-kit.ts';
import { type PluginSystem, until } from './plugin-system.test-kit.ts';

const TAP = join(import.meta.dirname, 'native-tap.test-kit.ts');

/** What passed at one relay: whole texts, and the records by their direction. */
export type Heard = {
  readonly texts: readonly string[];
  readonly records: Readonly<Record<Towards, Buffer>>;
};
export type RelayName = 'native port' | 'worker' | 'content script' | 'page' | 'WebSocket';

/** One relay. */
export type Relay = {
  readonly name: RelayName;
  readonly heard: () => Promise<Heard>;
  /** Lays a hand on a record of the next payment. */
  readonly lay: (hand: Hand) => Promise<void>;
};

/** All relays of one page that has not been opened yet; `pages` are opened by `openAt`. */
export async function openAtRelays(
  facts: { readonly plugin: PluginSystem; readonly browser: PluginBrowser },
  payUrl: string,
): Promise<{ readonly page: Page; readonly relays: readonly Relay[] }> {
  const { plugin, browser } = facts;
  const page = await browser.context.newPage();
  const native = tapNativePort(plugin, browser.profile);
  const worker = await atWorker(browser);
  const socket = await atWebSocket(page);
  await hookPage(page);
  const content = await openAtContentScript(page, payUrl);
  const atPage = scriptRelay('page', (expression) => page.evaluate(expression));
  return { page, relays: [native, worker, content, atPage, socket] };
}

/** Starts a tap in the host's place. */
function tapNativePort(plugin: PluginSystem, profile: string): Relay {
  const path = join(profileFolder(profile), MANIFEST_FILE);
  const program = join(plugin.folder, 'tap.sh');
  const words = [process.execPath, '--no-warnings', TAP, plugin.folder];
  const command = [...words, wrapperPath(plugin.dataDir, process.platform)];
  const quoted = command.map((word) => `'${word}'`).join(' ');
  writeFileSync(program, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...manifest, path: program }));
  const tapped = join(plugin.folder, TAPPED_FILE);
  return {
    name: 'native port',
    heard: async () => {
      if (!existsSync(tapped)) return heardOf([]);
      const lines = readFileSync(tapped, 'utf8').split('\n').filter(Boolean);
      return heardOf(lines.map((line) => JSON.parse(line) as TappedFrame));
    },
    lay: async (hand) => writeFileSync(join(plugin.folder, HAND_FILE), JSON.stringify(hand)),
  };
}

/** The texts of frames, and the records in them. */
function heardOf(frames: readonly TappedFrame[]): Heard {
  const recordsTo = (towards: Towards): Buffer => {
    const own = frames.filter((frame) => frame.towards === towards);
    return Buffer.concat(own.flatMap(({ text }) => recordsIn(text)));
  };
  return {
    texts: frames.map(({ text }) => text),
    records: { gateway: recordsTo('gateway'), element: recordsTo('element') },
  };
}

function recordsIn(text: string): readonly Buffer[] {
  const { message } = JSON.parse(text) as { message?: { type?: string; base64?: string } };
  const base64 = message?.type === 'channelData' ? message.base64 : undefined;
  return base64 === undefined ? [] : [Buffer.from(base64, 'base64')];
}

type Scope = typeof globalThis & {
  relayed: TappedFrame[];
  relayHand: Hand | null;
  relaySeen: Record<Towards, number>;
};

/** A relay that is a script: its hooks are in its own world, under these names. */
function scriptRelay(name: RelayName, evaluate: (expression: string) => Promise<unknown>): Relay {
  return {
    name,
    heard: async () =>
      heardOf(JSON.parse(String(await evaluate('JSON.stringify(relayed)'))) as TappedFrame[]),
    lay: async (hand) => {
      await evaluate(`relayHand = ${JSON.stringify(hand)}; true`);
    },
  };
}

/**
 * Puts an ear and a hand on the ports that a script of the extension opens: `connect` is the name of
 * the call. Runs in that script's own world, where nothing of ours is known.
 */
const portHooks = (connect: 'connect' | 'connectNative'): string => `(() => {
  globalThis.relayed = [];
  globalThis.relayHand = null;
  const seen = { gateway: 0, element: 0 };
  const pass = (towards, frame) => {
    relayed.push({ towards, text: JSON.stringify(frame) });
    const { message } = frame;
    if (message?.type === 'pay') seen.gateway = seen.element = 0;
    if (message?.type !== 'channelData') return frame;
    const index = seen[towards]++;
    if (relayHand?.towards !== towards || (relayHand.skip ?? index) !== index) return frame;
    relayHand = null;
    const bytes = Uint8Array.from(atob(message.base64), (letter) => letter.charCodeAt(0));
    bytes[bytes.length - 1] ^= 1;
    const base64 = btoa(String.fromCharCode(...bytes));
    return { ...frame, message: { ...message, base64 } };
  };
  const own = chrome.runtime.${connect}.bind(chrome.runtime);
  chrome.runtime.${connect} = (...words) => {
    const port = own(...words);
    return {
      name: port.name,
      postMessage: (frame) => port.postMessage(pass('element', frame)),
      disconnect: () => port.disconnect(),
      onDisconnect: port.onDisconnect,
      onMessage: {
        addListener: (listener) =>
          port.onMessage.addListener((frame) => listener(pass('gateway', frame))),
      },
    };
  };
  return true;
})()`;

async function atWorker({ context }: PluginBrowser): Promise<Relay> {
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  await worker.evaluate(portHooks('connectNative'));
  return scriptRelay('worker', (expression) => worker.evaluate(expression));
}

/** Opens the page, but lets it know its order only when its content script has been hooked. */
async function openAtContentScript(page: Page, payUrl: string): Promise<Relay> {
  let release: () => void = () => {};
  const hooked = new Promise<void>((done) => {
    release = done;
  });
  await page.route('**/v1/pay/**', async (route) => {
    await hooked;
    await route.continue();
  });
  const session = await page.context().newCDPSession(page);
  const contexts: number[] = [];
  session.on('Runtime.executionContextCreated', ({ context }) => {
    if (context.origin.startsWith('chrome-extension://')) contexts.push(context.id);
  });
  await session.send('Runtime.enable');
  await page.goto(payUrl);
  const contextId = await until(() => contexts.at(-1), 'the content script');
  const evaluate = evaluatorIn(session, contextId);
  await evaluate(portHooks('connect'));
  release();
  return scriptRelay('content script', evaluate);
}

function evaluatorIn(session: CDPSession, contextId: number) {
  return async (expression: string): Promise<unknown> => {
    const answer = await session.send('Runtime.evaluate', {
      expression,
      contextId,
      returnByValue: true,
    });
    const { exceptionDetails, result } = answer;
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description);
    return result.value;
  };
}

/** Ear and hand of a page that is not loaded yet; it flips what `relayHand` says. */
export function hookPage(page: Page): Promise<unknown> {
  return page.addInitScript(pageHooks);
}

/**
 * The page itself: every message on its window, and its own decoding and encoding of records, where
 * a page that cheats would lay its hand.
 */
function pageHooks(): void {
  const scope = globalThis as Scope;
  scope.relayed = [];
  scope.relayHand = null;
  const seen = { gateway: 0, element: 0 };
  addEventListener('message', ({ data, source }) => {
    if (source !== window || typeof data?.tapnpay !== 'string') return;
    const towards = data.tapnpay === 'toPage' ? 'gateway' : 'element';
    scope.relayed.push({ towards, text: JSON.stringify(data) });
    if (data.message?.type === 'pay') seen.gateway = seen.element = 0;
  });
  const isDue = (towards: Towards): boolean => {
    const index = seen[towards]++;
    const wanted = scope.relayHand;
    if (wanted?.towards !== towards || (wanted.skip ?? index) !== index) return false;
    scope.relayHand = null;
    return true;
  };
  const flipLast = (text: string): string =>
    text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) ^ 1);
  const [decode, encode] = [scope.atob, scope.btoa];
  scope.atob = (base64) => {
    const text = decode(base64);
    return isDue('gateway') ? flipLast(text) : text;
  };
  scope.btoa = (text) => encode(isDue('element') ? flipLast(text) : text);
}

/** The page's WebSocket, as the network between page and gateway. */
async function atWebSocket(page: Page): Promise<Relay> {
  const frames: TappedFrame[] = [];
  let wanted: Hand | null = null;
  const pass = (message: string | Buffer, towards: Towards, index: number): readonly Buffer[] => {
    const base64 = Buffer.from(message).toString('base64');
    frames.push({ towards, text: JSON.stringify({ message: { type: 'channelData', base64 } }) });
    const due = wanted?.towards === towards && (wanted.skip ?? index) === index ? wanted : null;
    if (due !== null) wanted = null;
    const record = Buffer.from(due === null || due.isRepeat ? base64 : flipped(base64), 'base64');
    return due?.isRepeat ? [record, record] : [record];
  };
  await page.routeWebSocket(/\/v1\/channel/, (socket: WebSocketRoute) => {
    const server = socket.connectToServer();
    const seen = { gateway: 0, element: 0 };
    socket.onMessage((message) => {
      for (const record of pass(message, 'gateway', seen.gateway++)) server.send(record);
    });
    server.onMessage((message) => {
      for (const record of pass(message, 'element', seen.element++)) socket.send(record);
    });
  });
  return {
    name: 'WebSocket',
    heard: async () => heardOf(frames),
    lay: async (hand) => {
      wanted = hand;
    },
  };
}
