/** An extension that says what it is told, inside the page, as far as a page can see one. */
import type {
  AgentMessage,
  AgentState,
  DoctorReport,
  NativeFaultCode,
} from '@tapnpay/protocol/wire';
import type { Page } from 'playwright-core';

/** A browser that installs an extension from a link. */
export const FIREFOX: string =
  'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';

/** The extension of this page, as far as a page can see it. */
export type Plugin = {
  /** Null: not installed. */
  version: string | null;
  /** Version of the host, or why there is none. */
  host: string | { readonly code: NativeFaultCode; readonly detail: string };
  element: 'operable' | 'locked' | 'notEnrolled';
  readers: number;
  report: DoctorReport;
  readonly heard: string[];
};
type WithoutSession<Message> = Message extends unknown ? Omit<Message, 'session'> : never;
/** What an agent says of a payment. */
export type AgentWord = WithoutSession<Extract<AgentMessage, { session: string }>>;
/** Everything is there. */
export const PLUGIN: Plugin = {
  version: '0.1.0',
  host: '0.1.0',
  element: 'operable',
  readers: 1,
  report: { checks: [] },
  heard: [],
};

/** Runs in the page before its own script, as a content script does. */
export function contentScript(start: Plugin): void {
  const plugin = { ...start, channel: '', session: '' };
  Object.assign(globalThis, { plugin });
  const tell = (body: object, channel = plugin.channel): void =>
    window.postMessage({ tapnpay: 'toPage', channel, ...body }, location.origin);
  const health = (): object => ({
    element: { id: 'SE-0001', state: plugin.element },
    readers: Array.from({ length: plugin.readers }, () => ({ name: 'Card reader', kind: 'pcsc' })),
  });
  Object.assign(globalThis, {
    arrive: (version: string) => {
      plugin.version = version;
      tell({ kind: 'here', version }, '*');
    },
    agentSays: (message: object) =>
      tell({ kind: 'message', message: { session: plugin.session, ...message } }),
  });
  addEventListener('message', ({ data, source }: MessageEvent) => {
    if (source !== window || data?.tapnpay !== 'toPlugin' || plugin.version === null) return;
    plugin.channel = data.channel;
    plugin.heard.push(data.kind === 'message' ? data.message.type : data.kind);
    const { version, host } = plugin;
    if (data.kind === 'ping') tell({ kind: 'here', version });
    if (data.kind === 'doctor') tell({ kind: 'report', report: plugin.report });
    if (data.kind === 'open' && typeof host !== 'string') tell({ kind: 'lost', ...host });
    if (data.kind === 'open' && typeof host === 'string') {
      tell({ kind: 'hello', version: host, protocol: { min: 1, max: 1 }, ...health() });
    }
    if (data.kind !== 'message') return;
    if (data.message.type === 'pay') plugin.session = data.message.session;
    if (data.message.type === 'hello') {
      tell({ kind: 'message', message: { type: 'welcome', version: 1, ...health() } });
    }
  });
}

/** What the extension says from now on, when it is asked. */
export async function become(page: Page, change: Partial<Plugin>): Promise<void> {
  await page.evaluate(
    (next) => void Object.assign((globalThis as unknown as { plugin: object }).plugin, next),
    change,
  );
}
/** The extension is installed, or updated, under the page. */
export async function arrive(page: Page, version: string): Promise<void> {
  await page.evaluate(
    (next) => (globalThis as unknown as { arrive(version: string): void }).arrive(next),
    version,
  );
}
/** The agent tells where the payment stands. */
export async function say(page: Page, state: AgentState): Promise<void> {
  await tell(page, { type: 'state', state });
}
/** The agent's word on the payment of this page. */
export async function tell(page: Page, message: AgentWord): Promise<void> {
  await page.evaluate(
    (next) => (globalThis as unknown as { agentSays(word: object): void }).agentSays(next),
    message,
  );
}
/** Waits until the extension was told a message, that many times. */
export async function untilHeard(page: Page, kind: string, times = 1): Promise<void> {
  await page.waitForFunction(
    ([wanted, count]) => {
      const { heard } = (globalThis as unknown as { plugin: { heard: string[] } }).plugin;
      return heard.filter((each) => each === wanted).length === count;
    },
    [kind, times] as const,
  );
}
