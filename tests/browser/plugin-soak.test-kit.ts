/** Payment after payment by the plug-in, each on a page of its own, and what is left of them. */
import type { PluginBrowser } from './plugin.test-kit.ts';
import { payByPlugin } from './plugin.test-kit.ts';
import type { PluginSystem } from './plugin-system.test-kit.ts';

/** Contactless below the limit in turn with contact and PIN. */
const CARD = 'debit';

/** What many payments came to. */
export type SoakCounts = {
  readonly approved: number;
  /** Processes that are left, of the browser's hosts and of the element. */
  readonly hosts: number;
  readonly elements: number;
  /** What the card's counter has risen by. */
  readonly counter: number;
};

/** Pays `payments` orders one after the other; the service must not run. */
export async function soak(facts: {
  readonly plugin: PluginSystem;
  readonly browser: PluginBrowser;
  readonly payments: number;
  readonly onPaid?: (done: number, state: string) => void;
}): Promise<SoakCounts> {
  const { plugin, browser, payments, onPaid } = facts;
  const before = plugin.counterOf(CARD);
  let approved = 0;
  for (let done = 1; done <= payments; done++) {
    const { payUrl } = await plugin.system.createOrder({ amount: '1.00' });
    const page = await browser.openPayPage(payUrl);
    const wire = done % 2 === 0 ? 'contact' : 'contactless';
    const { state } = await payByPlugin(page, { card: CARD, interface: wire });
    if (state === 'APPROVED') approved += 1;
    await browser.closePages();
    onPaid?.(done, state);
  }
  await plugin.untilNothingLeft();
  const counter = plugin.counterOf(CARD) - before;
  return {
    approved,
    hosts: plugin.hosts().length,
    elements: plugin.elements().length,
    counter,
  };
}
