/** Payment after payment by the plug-in, each on a page of its own, and what is left of them. */
import { type PluginBrowser, payByPlugin } from './plugin.test-kit.ts';
import { type PluginSystem, PROCESS_END_MS } from './plugin-system.test-kit.ts';

const CARD = 'debit';
const LOOK_MS = 50;

/** What many payments came to. */
export type SoakCounts = {
  readonly approved: number;
  /** Most hosts that lived at one moment between two payments. */
  readonly hostsMax: number;
  /** Processes that are left when the last page has gone: hosts, and of the element. */
  readonly hosts: number;
  readonly elements: number;
  /** What the card's counter has risen by. */
  readonly counter: number;
};

/** Pays orders one after the other, by tap and by contact with PIN; the service must not run. */
export async function soak(facts: {
  readonly plugin: PluginSystem;
  readonly browser: PluginBrowser;
  readonly payments: number;
  readonly onPaid?: (done: number, state: string) => void;
}): Promise<SoakCounts> {
  const { plugin, browser, payments, onPaid } = facts;
  const before = plugin.counterOf(CARD);
  let approved = 0;
  let hostsMax = 0;
  for (let done = 1; done <= payments; done++) {
    const { payUrl } = await plugin.system.createOrder({ amount: '1.00' });
    const page = await browser.openPayPage(payUrl);
    const wire = done % 2 === 0 ? 'contact' : 'contactless';
    const { state } = await payByPlugin(page, { card: CARD, interface: wire });
    if (state === 'APPROVED') approved += 1;
    await browser.closePages();
    hostsMax = Math.max(hostsMax, plugin.hosts().length);
    onPaid?.(done, state);
  }
  const deadline = performance.now() + PROCESS_END_MS;
  while (plugin.leftovers().length > 0 && performance.now() < deadline) {
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  const counter = plugin.counterOf(CARD) - before;
  const [hosts, elements] = [plugin.hosts().length, plugin.elements().length];
  return { approved, hostsMax, hosts, elements, counter };
}
