/** x */
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';
import { openBrowser, Payer, stateOf, windowState } from './browser.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
console.log('up', await system.up());
const browser = await openBrowser();
try {
  for (const choices of [
    { card: 'debit', interface: 'contact' },
    { card: 'debit', interface: 'contactless' },
  ] as const) {
    const payer = await Payer.open(browser, system, { language: 'en' });
    const { payUrl } = await payer.order('12.34');
    const page = await payer.openPayPage(payUrl);
    page.on('console', (m) => console.log('page:', m.text()));
    console.log(await stateOf(page));
    const t = performance.now();
    try {
      console.log(await payer.pay(page, choices), performance.now() - t);
    } catch (e) {
      console.log(String(e));
      for (const p of payer.context.pages()) console.log(p.url(), await windowState(p));
    }
    let i = 0;
    for (const p of payer.context.pages())
      await p.screenshot({ path: `/tmp/shots/try-${choices.interface}-${i++}.png` });
    await payer.close();
  }
} finally {
  await browser.close();
  console.log(
    system
      .logs()
      .split('\n')
      .filter((l) => /rror|fault|ailed/.test(l))
      .slice(-10)
      .join('\n'),
  );
  await system.close();
}
