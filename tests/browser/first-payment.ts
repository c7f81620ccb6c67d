/**
 * `npm run first-payment`: how long a newcomer waits, from `npm start` in an empty data folder to
 * the word "approved" in a browser: goods, cart, pay page, pairing, consent, card and PIN.
 */
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';
import { openBrowser, Payer } from './browser.test-kit.ts';

const started = performance.now();
const since = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
const system = new TestSystem(temporaryDataDir());
await system.up();
console.log(`system ready 系统就绪           ${since()}`);
const browser = await openBrowser();
try {
  const payer = await Payer.open(browser, system);
  const page = await payer.context.newPage();
  await page.goto(system.ready.shop);
  await page.locator('[data-test^=add-]').first().click();
  await page.locator('[data-test=cart]').click();
  await page.locator('[data-test=checkout]').click();
  await page.waitForURL(/\/pay\//);
  console.log(`pay page 支付页                ${since()}`);
  const end = await payer.pay(page, { card: 'debit', interface: 'contact' });
  console.log(`${end.state} 首笔支付                ${since()}`);
  process.exitCode = end.state === 'APPROVED' ? 0 : 1;
} finally {
  await browser.close();
  await system.close();
}
