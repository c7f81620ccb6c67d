/**
 * `npm run plugin-soak [-- PAYMENTS]`: 200 payments in a row by the plug-in in one real Chromium,
 * and how many processes they leave behind. Ends with 1 when one is left or a payment is missing.
 */
import { PluginBrowser } from './plugin.test-kit.ts';
import { soak } from './plugin-soak.test-kit.ts';
import { PluginSystem } from './plugin-system.test-kit.ts';

const PAYMENTS = 200;
const EVERY = 20;

const payments = Number(process.argv[2] ?? PAYMENTS);
if (!Number.isInteger(payments) || payments < 1) throw new Error('how many payments?');
const plugin = new PluginSystem();
const started = performance.now();
const since = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
try {
  await plugin.up();
  await plugin.withoutService();
  const browser = await PluginBrowser.open(plugin);
  console.log(`system and browser ready 系统与浏览器就绪   ${since()}`);
  try {
    const counts = await soak({
      plugin,
      browser,
      payments,
      onPaid: (done, state) => {
        if (state !== 'APPROVED') console.log(`payment 第 ${done} 笔: ${state}`);
        if (done % EVERY === 0) console.log(`${done} payments 笔支付   ${since()}`);
      },
    });
    console.log(JSON.stringify({ payments, ...counts }));
    const { approved, hosts, elements, counter } = counts;
    const isWhole = approved === payments && counter === payments;
    process.exitCode = isWhole && hosts + elements === 0 ? 0 : 1;
  } finally {
    await browser.close();
  }
} finally {
  await plugin.close();
}
