/**
 * Shows what the built pay page asks for when a part is missing, in a real Chromium: each told
 * apart, one next step, by itself onwards when the part comes; and the doctor's report.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DoctorReport, NativeFaultCode } from '@tapnpay/protocol/wire';
import type { Page } from 'playwright-core';
import { VERSIONS } from './pay.test-kit.ts';
import {
  arrive,
  become,
  contentScript,
  FIREFOX,
  PLUGIN,
  type Plugin,
  say,
  untilHeard,
} from './plugin.test-kit.ts';
import {
  accessibilityFaults,
  newPerson,
  skip,
  text,
  theSystem,
  troubles,
  until,
} from './suite.test-kit.ts';

/** The pay page in a browser with this extension; no loopback service answers. */
async function openWith(
  change: Partial<Plugin>,
  person: Parameters<typeof newPerson>[0] = {},
): Promise<Page> {
  theSystem().isAgentAway = true;
  const context = await newPerson(person);
  await context.addInitScript(contentScript, { ...PLUGIN, ...change });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  page.on('pageerror', (fault) => troubles.push(String(fault)));
  await page.goto(theSystem().payUrl);
  return page;
}

function heardBy(page: Page): Promise<readonly string[]> {
  return page.evaluate(
    () => (globalThis as unknown as { plugin: { heard: string[] } }).plugin.heard,
  );
}
const title = (page: Page): Promise<string> => text(page, 'h1');
const buttons = (page: Page): Promise<readonly (string | null)[]> =>
  page
    .locator('#actions > *')
    .evaluateAll((all) => all.map((each) => each.getAttribute('data-test')));
/** Whether the page is still the one that was opened. */
async function mark(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }));
  return async () => assert.equal(await page.evaluate('isSamePage'), true, 'without a reload');
}

describe('prompts of the pay page', { skip }, () => {
  test('with the extension there is no window: one click, and the agent’s states', async () => {
    const page = await openWith({});
    await until(page, 'READY');
    let popups = 0;
    page.on('popup', () => {
      popups += 1;
    });
    await page.click('[data-test=pay]');
    await until(page, 'CONNECTING');
    await untilHeard(page, 'pay');
    await say(page, { name: 'consent' });
    await until(page, 'CONSENT');
    assert.equal(popups, 0);
    assert.deepEqual((await heardBy(page)).slice(-2), ['hello', 'pay']);
    await page.click('[data-test=window]');
    await untilHeard(page, 'show');
    assert.deepEqual(troubles, []);
  });

  test('no extension: the command, copied; it arrives and the page goes on', async () => {
    const page = await openWith({ version: null });
    await until(page, 'NEED_EXTENSION');
    const isSame = await mark(page);
    assert.equal(await title(page), 'Install the payment plug-in');
    assert.deepEqual(await buttons(page), ['copy-command', 'doctor', 'back', 'cancel']);
    const command = 'sudo npx tapnpay agent install --system --extension';
    assert.equal(await text(page, '.command'), command);
    await page.click('[data-test=copy-command]');
    await page.getByText('Copied').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
    assert.equal(await text(page, '[data-field=amount]'), '¥128.50', 'the order is kept');
    await arrive(page, '0.1.0');
    await until(page, 'READY');
    await isSame();
  });

  test('pressed before the extension is there: no second press', async () => {
    const page = await openWith({ version: null });
    await page.click('[data-test=pay]');
    await until(page, 'NEED_EXTENSION');
    await arrive(page, '0.1.0');
    await until(page, 'CONNECTING');
    await untilHeard(page, 'pay');
  });

  test('Firefox installs from a link', async () => {
    const page = await openWith({ version: null }, { userAgent: FIREFOX });
    await until(page, 'NEED_EXTENSION');
    const link = page.locator('[data-test=install]');
    assert.equal(await link.getAttribute('href'), VERSIONS.install.xpi);
  });

  const missing = (code: NativeFaultCode): Plugin['host'] => ({ code, detail: 'browser’s text' });
  for (const [name, change, state, said, first, person] of [
    [
      'no host',
      { host: missing('ERR_HOST_MISSING') },
      'NEED_HOST',
      'Install the payment helper',
      'copy-command',
      {},
    ],
    [
      'a host that ends',
      { host: missing('ERR_HOST_EXITED') },
      'NEED_HOST',
      'The payment helper has stopped',
      'copy-command',
      {},
    ],
    [
      'a host that does not know the extension',
      { host: missing('ERR_HOST_FORBIDDEN') },
      'NEED_HOST',
      'The payment helper does not know this plug-in',
      'copy-command',
      {},
    ],
    [
      'a browser that is shut off',
      { host: missing('ERR_HOST_MISSING') },
      'BROWSER_UNSUPPORTED',
      'This browser may be shut off from the payment helper',
      'copy-command',
      { userAgent: FIREFOX.replace('X11;', 'X11; Ubuntu;') },
    ],
    [
      'a locked application',
      { element: 'locked' },
      'APP_NOT_READY',
      'This payment application is locked',
      'doctor',
      {},
    ],
    ['no reader', { readers: 0 }, 'NO_READER', 'No card reader found', 'doctor', {}],
  ] as const) {
    test(`${name}: told apart, then on by itself`, async () => {
      const page = await openWith(change, person);
      await until(page, state);
      const isSame = await mark(page);
      assert.equal(await title(page), said);
      assert.equal((await buttons(page))[0], first);
      assert.ok((await text(page, '.explanation')).length > 0);
      assert.match(await text(page, '[role=alert]'), new RegExp(said));
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1');
      assert.equal(await page.locator('#actions .primary').count(), 1);
      await become(page, PLUGIN);
      await until(page, 'READY');
      await isSame();
      assert.deepEqual(troubles, []);
    });
  }

  test('a browser that cannot have it says what works instead', async () => {
    const old = FIREFOX.replaceAll('153.0', '115.0');
    const page = await openWith({ version: null }, { userAgent: old });
    await until(page, 'BROWSER_UNSUPPORTED');
    assert.match(await text(page, '.explanation'), /Chrome, Edge, Chromium or Firefox/);
    assert.deepEqual(await buttons(page), ['back', 'cancel']);
  });

  test('forced update: nothing starts, asked of the browser, then on by itself', async () => {
    const { extension } = VERSIONS;
    theSystem().versions = { ...VERSIONS, extension: { ...extension, required: '0.2.0' } };
    const page = await openWith({});
    await until(page, 'NEED_UPDATE');
    const isSame = await mark(page);
    assert.equal(await title(page), 'The payment plug-in needs an update');
    assert.equal(await page.locator('[data-test=pay]').count(), 0);
    await untilHeard(page, 'update', 1);
    await page.click('[data-test=update]');
    await untilHeard(page, 'update', 2);
    await arrive(page, '0.2.0');
    await until(page, 'READY');
    await isSame();
  });

  test('optional update: told, and the payment goes on', async () => {
    theSystem().versions = { ...VERSIONS, host: { latest: '0.9.0', required: '0.1.0' } };
    const page = await openWith({});
    await page.getByText('A newer version of the payment plug-in').waitFor();
    await page.click('[data-test=pay]');
    await until(page, 'CONNECTING');
  });

  test('the extension was updated under the page: one button, the order kept', async () => {
    const page = await openWith({ host: missing('ERR_EXTENSION_RELOADED') });
    await until(page, 'NEED_EXTENSION');
    assert.equal(await title(page), 'The payment plug-in was updated');
    await page.click('[data-test=reload]');
    await until(page, 'NEED_EXTENSION');
    assert.equal(await text(page, '[data-field=amount]'), '¥128.50');
  });

  test('the doctor’s report: each link, the fix, in both languages, copied', async () => {
    const report: DoctorReport = {
      checks: [{ id: 'element', state: 'broken', code: 'ERR_ELEMENT_LOCKED', facts: {} }],
    };
    const page = await openWith({ element: 'locked', report });
    await until(page, 'APP_NOT_READY');
    // The host was let go to be asked anew; the doctor is asked of one that is there.
    await page.click('[data-test=doctor]');
    const panel = page.locator('[data-test=doctor-report]');
    await panel.locator('[data-check=extension][data-check-state=ok]').waitFor();
    const host = await panel.locator('[data-check=host][data-check-state=ok]').textContent();
    assert.match(host ?? '', /payment helper.*version 0\.1\.0 answers in \d+ ms/);
    await panel.getByText('No payment can be made').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H2');
    await page.click('[data-test=copy-report]');
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^Check of this computer\n/);
    assert.deepEqual(await accessibilityFaults(page), []);
    await page.click('[data-test=language]');
    await panel.getByText('本机检查结果').waitFor();
    await panel.getByText('无法支付').first().waitFor();
    assert.deepEqual(troubles, []);
  });

  test('without an extension the report says what waits for it', async () => {
    const page = await openWith({ version: null });
    await until(page, 'NEED_EXTENSION');
    await page.click('[data-test=doctor]');
    const panel = page.locator('[data-test=doctor-report]');
    await panel.locator('[data-check=extension][data-check-state=broken]').waitFor();
    assert.equal(await panel.locator('[data-check-state=unknown]').count(), 4);
  });

  test('no accessibility fault in any prompt, in light and dark, on phone and desktop', async () => {
    const pictures = [
      { colorScheme: 'light', viewport: { width: 390, height: 844 }, locale: 'en-GB' },
      { colorScheme: 'dark', viewport: { width: 1280, height: 844 }, locale: 'zh-CN' },
    ] as const;
    for (const person of pictures) {
      for (const [change, state] of [
        [{ version: null }, 'NEED_EXTENSION'],
        [{ host: missing('ERR_HOST_MISSING') }, 'NEED_HOST'],
        [{ host: missing('ERR_HOST_OUTDATED') }, 'NEED_UPDATE'],
        [{ readers: 0 }, 'NO_READER'],
        [{ element: 'locked' }, 'APP_NOT_READY'],
      ] as const) {
        const page = await openWith(change, person);
        await until(page, state);
        assert.deepEqual(await accessibilityFaults(page), [], `${state} ${person.locale}`);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= person.viewport.width, `${state}: nothing sticks out`);
      }
    }
  });
});
