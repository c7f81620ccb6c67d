/** The built pay page in a real Chromium, before a gateway and an agent that play their parts. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import type { AgentState } from '@tapnpay/protocol/wire';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { plainImports } from '../plain-imports.ts';
import { FakeSystem } from './pay.test-kit.ts';

const CHROMIUM = '/usr/bin/chromium';
export const skip: string | false =
  existsSync(CHROMIUM) || process.env['CI'] ? false : 'chromium is not installed (apt-get install)';

let folder = '';
let system: FakeSystem;
let browser: Browser;
let context: BrowserContext;

/** What a page's console and its scripts complained of. */
export const troubles: string[] = [];

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'tapnpay-pay-'));
  const outDir = join(folder, 'pay');
  await build({
    root: import.meta.dirname,
    configFile: false,
    logLevel: 'error',
    plugins: [plainImports],
    publicDir: false,
    build: { outDir, assetsInlineLimit: 0, modulePreload: false, target: 'es2023' },
  });
  system = await FakeSystem.start(outDir);
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});
after(async () => {
  if (skip) return;
  await browser.close();
  await system.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  if (skip) return;
  await newPerson({});
  system.reset();
  troubles.length = 0;
});

/** Gateway and agent of this file. */
export function theSystem(): FakeSystem {
  return system;
}

/** Folder of the built page. */
export function pagesFolder(): string {
  return join(folder, 'pay');
}

/** Another browser profile, of a person who reads English and is easily made dizzy. */
export async function newPerson(
  options: Parameters<Browser['newContext']>[0],
): Promise<BrowserContext> {
  await context?.close();
  context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(10_000);
  return context;
}

/** The pay page of the order. */
export async function open(): Promise<Page> {
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(message.text());
  });
  page.on('pageerror', (fault) => troubles.push(String(fault)));
  await page.goto(system.payUrl);
  return page;
}

/** Waits for a state of the page. */
export async function until(page: Page, state: string): Promise<void> {
  await page.locator(`[data-state="${state}"][data-charged]`).waitFor();
}

/** From the click to a state of the agent. */
export async function paying(state: AgentState): Promise<{ page: Page; window: Page }> {
  const page = await open();
  await until(page, 'READY');
  const opened = page.waitForEvent('popup');
  await page.click('[data-test=pay]');
  const window = await opened;
  await heard('pay');
  system.state(state);
  return { page, window };
}

/** Waits until the agent was told a message. */
export async function heard(type: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!system.heard.some((message) => message.type === type)) {
    if (performance.now() > deadline) assert.fail(`no ${type} in ${JSON.stringify(system.heard)}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** Text of the one element, also of one that only readers hear. */
export async function text(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? '';
}

/** What axe finds wrong with the page as it is. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.waitForTimeout(250);
  await page.evaluate(axe);
  return await page.evaluate(async () => {
    const { axe: run } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await run.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
  });
}
