/**
 * The page in a real Chromium, under its real policy: hops open to decoded items, by mouse and by
 * keyboard, in both languages without a reload, on a phone without sideways scrolling.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { FakeObserver, ORDER, traceFixture } from './inside.test-kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const isMissing = !existsSync(CHROMIUM) && !process.env['CI'];
const skip = isMissing && 'chromium is not installed (apt-get install chromium)';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const TIMEOUT_MS = 10_000;

let browser: Browser;
let observer: FakeObserver;
before(async () => {
  if (skip) return;
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  [browser, observer] = await Promise.all([
    chromium.launch({ executablePath: CHROMIUM, args }),
    FakeObserver.open(),
  ]);
});
after(async () => {
  await browser?.close();
  await observer?.close();
});

/** Opens the page, hands it over, and fails when the page complained meanwhile. */
async function withPage(
  options: { readonly query?: string; readonly phone?: boolean; readonly mayComplain?: boolean },
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: options.phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    locale: 'en-GB',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (fault) => complaints.push(String(fault)));
  try {
    await page.goto(`${observer.url}/inside/${ORDER}${options.query ?? '?lang=en'}`);
    await work(page);
    if (!options.mayComplain) assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

const hop = (n: number): string => `[data-test=hop-${n}]`;

test('14 hops, the outcome, and a hop that opens to its items and their bytes', { skip }, () =>
  withPage({}, async (page) => {
    await page.waitForSelector(hop(14));
    assert.equal(await page.locator('[data-test^=hop-]').count(), 14);
    assert.match(
      (await page.locator('.summary').textContent()) ?? '',
      /Approved[\s\S]*contactless/,
    );
    assert.match((await page.locator(hop(12)).textContent()) ?? '', /not applicable/);
    const tap = page.locator(hop(4));
    assert.equal(await tap.getAttribute('aria-expanded'), 'false');
    await tap.click();
    assert.equal(await tap.getAttribute('aria-expanded'), 'true');
    await page.click('#hop-4-item-0');
    const tree = page.locator('#hop-4-item-0-body');
    assert.match((await tree.textContent()) ?? '', /Name of 95[\s\S]*B3b3 Online PIN entered/);
    assert.equal(await tree.locator('.bits .on').count(), 3, 'the bits of 0488');
    assert.equal(await tree.locator('.byte.masked').count(), 5, 'masked bytes are told apart');
  }),
);

test('a value marks its bytes, and a byte leads to its value', { skip }, () =>
  withPage({}, async (page) => {
    await page.click(hop(4));
    await page.click('#hop-4-item-0');
    const body = page.locator('#hop-4-item-0-body');
    await body.getByRole('button', { name: '95', exact: true }).focus();
    assert.equal((await body.locator('.byte.marked').allInnerTexts()).join(''), '0000048800');
    await body.locator('[data-at="1:5"]').click();
    const marked = await body.locator('.byte.marked').allInnerTexts();
    assert.equal(marked.join(''), '5A0A629999*********0012F');
  }),
);

test('the keyboard alone opens, walks and closes', { skip }, () =>
  withPage({}, async (page) => {
    await page.waitForSelector(hop(14));
    await page.locator(hop(3)).focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.equal(await page.locator(hop(4)).getAttribute('aria-expanded'), 'true');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'hop-4-item-0');
    await page.keyboard.press('Enter');
    await page.locator('#hop-4-item-0-body .key').first().focus();
    await page.keyboard.press('ArrowDown');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), '95');
    await page.locator(hop(4)).focus();
    await page.keyboard.press('Space');
    assert.equal(await page.locator(hop(4)).getAttribute('aria-expanded'), 'false');
  }),
);

test('the language changes without a reload, and what was open stays open', { skip }, () =>
  withPage({}, async (page) => {
    await page.click(hop(4));
    await page.click('#hop-4-item-0');
    await page.evaluate(() => document.body.setAttribute('data-same-page', 'yes'));
    await page.click('[data-test=language]');
    assert.equal(await page.locator('h1').textContent(), '交易过程');
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
    assert.match(
      (await page.locator('#hop-4-item-0-body').textContent()) ?? '',
      /95的名称[\s\S]*输入联机密码/,
    );
    assert.equal(await page.locator('body').getAttribute('data-same-page'), 'yes');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'language');
    await page.click('[data-test=language]');
    assert.equal(await page.locator('h1').textContent(), 'Look inside');
  }),
);

test('filters show one kind and open the hops that have it', { skip }, () =>
  withPage({}, async (page) => {
    await page.click('#filter-ledger');
    assert.equal(await page.locator('#filter-ledger').getAttribute('aria-pressed'), 'true');
    assert.equal(await page.locator('.item-title:visible').count(), 1);
    assert.ok(await page.locator('#filter-iso8583').isDisabled(), 'there is none of it');
    await page.click('#filter-ledger');
    assert.equal(await page.locator('.item-title:visible').count(), 2);
  }),
);

test('exports and copies are what other tools read', { skip }, () =>
  withPage({}, async (page) => {
    await page.waitForSelector(hop(14));
    const read = async (name: string): Promise<{ file: string; text: string }> => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.click(`[data-test=${name}]`),
      ]);
      const text = readFileSync(await download.path(), 'utf8');
      return { file: download.suggestedFilename(), text };
    };
    const json = await read('export-json');
    assert.equal(json.file, `${ORDER}.json`);
    assert.deepEqual(JSON.parse(json.text), traceFixture());
    const apdu = await read('export-apdu');
    assert.equal(apdu.text, '=> 00A4\n<= 9000\n');
    await page.click(hop(4));
    await page.click('#hop-4-item-1');
    await page.locator('#hop-4-item-1-body').getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '=> 00A4\n<= 9000\n');
  }),
);

test('an unknown order and a broken observer are told, and tried again', { skip }, () =>
  withPage({ mayComplain: true }, async (page) => {
    await page.waitForSelector(hop(14));
    observer.document = null;
    await page.click('#refresh');
    await page.getByText('No party has logged this order').waitFor();
    observer.isBroken = true;
    await page.click('#retry');
    await page.getByText('It could not be read').waitFor();
    observer.isBroken = false;
    observer.document = traceFixture();
    await page.click('#retry');
    await page.waitForSelector(hop(14));
  }),
);

for (const phone of [false, true]) {
  for (const language of ['zh', 'en']) {
    const where = `${phone ? 'phone' : 'desktop'}, ${language}`;
    test(`nothing to find for axe and nothing beside the screen: ${where}`, { skip }, () =>
      withPage({ phone, query: `?lang=${language}` }, async (page) => {
        await page.click(hop(4));
        await page.click('#hop-4-item-0');
        await page.evaluate(readFileSync(AXE, 'utf8'));
        const faults = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          };
          const { violations } = await axe.run();
          return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
        });
        assert.deepEqual(faults, []);
        const beside = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        assert.equal(beside, 0);
      }),
    );
  }
}

test('a receipt may point at a hop', { skip }, () =>
  withPage({ query: '?lang=en#hop-10' }, async (page) => {
    await page.waitForSelector(hop(14));
    assert.equal(await page.locator(hop(10)).getAttribute('aria-expanded'), 'true');
    assert.equal(await page.locator('.item-title:visible').count(), 2);
  }),
);
