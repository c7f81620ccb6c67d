/**
 * A program that takes pictures of the built pay page in every state, before a gateway and an
 * extension that play their parts: also of those into which a real system is not driven quickly.
 * Its arguments are a folder and, as JSON, the people who look; it prints a line for each picture.
 */
import { join } from 'node:path';
import type { StateName } from '@tapnpay/plugin';
import type {
  AgentState,
  DoctorReport,
  NativeFaultCode,
  PayOrderView,
} from '@tapnpay/protocol/wire';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { FakeSystem, payment, VERSIONS } from './pay.test-kit.ts';
import {
  contentScript,
  FIREFOX,
  PLUGIN,
  type Plugin,
  say,
  tell,
  untilHeard,
} from './plugin.test-kit.ts';

/** Someone who looks, as the caller has them. */
type Person = Pick<BrowserContextOptions, 'locale' | 'viewport' | 'reducedMotion'> & {
  readonly suffix: string;
};
/** What is to be seen in one picture. */
type Scene = {
  readonly state: StateName;
  readonly plugin?: Partial<Plugin>;
  readonly order?: Partial<PayOrderView>;
  readonly versions?: FakeSystem['versions'];
  readonly userAgent?: string;
  /** From the opened page to the state. */
  readonly act?: (page: Page) => Promise<void>;
};

const OLD_FIREFOX = FIREFOX.replaceAll('153.0', '115.0');
const SNAP_FIREFOX = FIREFOX.replace('X11;', 'X11; Ubuntu;');
const { extension } = VERSIONS;
const BROWSER_TEXT = 'Specified native messaging host not found.';
const REPORT: DoctorReport = {
  checks: [
    { id: 'host', state: 'ok', code: null, facts: { version: '0.1.0', ms: '42' } },
    { id: 'element', state: 'broken', code: 'ERR_ELEMENT_LOCKED', facts: {} },
    { id: 'readerService', state: 'ok', code: null, facts: {} },
    { id: 'readers', state: 'warn', code: 'ERR_READER_NONE', facts: {} },
    { id: 'gateway', state: 'ok', code: null, facts: { url: 'https://pay.example' } },
  ],
};

const lost = (code: NativeFaultCode): Partial<Plugin> => ({
  host: { code, detail: BROWSER_TEXT },
});

/** Presses "pay", then lets the agent tell these states. */
function pays(...states: readonly AgentState[]): (page: Page) => Promise<void> {
  return async (page) => {
    await page.click('[data-test=pay]');
    await untilHeard(page, 'pay');
    for (const state of states) await say(page, state);
  };
}

function fails(code: string, data: Readonly<Record<string, string>> = {}) {
  return async (page: Page): Promise<void> => {
    await pays({ name: 'consent' })(page);
    await tell(page, { type: 'failed', error: { code, message: code, data }, sent: false });
  };
}

async function examined(page: Page): Promise<void> {
  await page.click('[data-test=doctor]');
  await page.locator('[data-test=doctor-report] [data-check]').first().waitFor();
}

/** Long enough that no picture shows how long it took to be made. */
const LONG_MS = 3_600_000;
const SHORT_MS = 9_800;
function waitCard(change: Partial<Extract<AgentState, { name: 'waitCard' }>> = {}): AgentState {
  return {
    name: 'waitCard',
    interfaces: ['contact', 'contactless'],
    attempt: 1,
    reason: null,
    deadlineMs: Date.now() + LONG_MS,
    takeOutFirst: false,
    ...change,
  };
}
const waitsForCard = (change: Parameters<typeof waitCard>[0] = {}): Scene => ({
  state: 'WAIT_CARD',
  act: (page) => pays(waitCard(change))(page),
});
const reading = (by: 'contact' | 'contactless'): AgentState => ({ name: 'reading', interface: by });
const authorising = (by: 'contact' | 'contactless'): AgentState => ({
  name: 'authorising',
  interface: by,
});
const declined = (responseCode: string): Scene => ({
  state: 'DECLINED',
  order: {
    payment: payment({ outcome: 'declined', responseCode, reason: `issuer:${responseCode}` }),
  },
});

/** By the picture's name. */
const SCENES: Readonly<Record<string, Scene>> = {
  checking: { state: 'CHECKING', act: (page) => page.locator('body:not(.fresh)').waitFor() },
  ready: { state: 'READY' },
  'ready-optional-update': {
    state: 'READY',
    versions: { ...VERSIONS, host: { latest: '0.9.0', required: '0.1.0' } },
  },
  'need-extension': { state: 'NEED_EXTENSION', plugin: { version: null } },
  'need-extension-firefox': {
    state: 'NEED_EXTENSION',
    plugin: { version: null },
    userAgent: FIREFOX,
  },
  'need-reload': { state: 'NEED_EXTENSION', plugin: lost('ERR_EXTENSION_RELOADED') },
  'need-host': { state: 'NEED_HOST', plugin: lost('ERR_HOST_MISSING') },
  'need-host-forbidden': { state: 'NEED_HOST', plugin: lost('ERR_HOST_FORBIDDEN') },
  'need-host-exited': { state: 'NEED_HOST', plugin: lost('ERR_HOST_EXITED') },
  'need-host-protocol': { state: 'NEED_HOST', plugin: lost('ERR_HOST_PROTOCOL') },
  'need-host-timeout': { state: 'NEED_HOST', plugin: lost('ERR_HOST_TIMEOUT') },
  'need-update-forced': {
    state: 'NEED_UPDATE',
    versions: { ...VERSIONS, extension: { ...extension, required: '0.2.0' } },
  },
  'need-update-host': {
    state: 'NEED_UPDATE',
    versions: { ...VERSIONS, host: { latest: '0.2.0', required: '0.2.0' } },
  },
  'need-update-unreadable': { state: 'NEED_UPDATE', plugin: { version: 'x' } },
  'browser-old': {
    state: 'BROWSER_UNSUPPORTED',
    plugin: { version: null },
    userAgent: OLD_FIREFOX,
  },
  'browser-sandboxed': {
    state: 'BROWSER_UNSUPPORTED',
    plugin: lost('ERR_HOST_MISSING'),
    userAgent: SNAP_FIREFOX,
  },
  'app-locked': { state: 'APP_NOT_READY', plugin: { element: 'locked' } },
  'app-preparing': {
    state: 'APP_NOT_READY',
    plugin: { element: 'notEnrolled' },
    act: (page) => page.click('[data-test=pay]'),
  },
  'no-reader': { state: 'NO_READER', plugin: { readers: 0 } },
  'doctor-locked': {
    state: 'APP_NOT_READY',
    plugin: { element: 'locked', report: REPORT },
    act: examined,
  },
  'doctor-no-extension': { state: 'NEED_EXTENSION', plugin: { version: null }, act: examined },
  'doctor-no-host': { state: 'NEED_HOST', plugin: lost('ERR_HOST_MISSING'), act: examined },
  connecting: { state: 'CONNECTING', act: pays() },
  consent: { state: 'CONSENT', act: pays({ name: 'consent' }) },
  cancelling: {
    state: 'CONSENT',
    act: async (page) => {
      await pays({ name: 'consent' })(page);
      await page.click('[data-test=cancel]');
    },
  },
  'wait-card': waitsForCard(),
  'wait-card-contact': waitsForCard({ interfaces: ['contact'] }),
  'wait-card-contactless': waitsForCard({ interfaces: ['contactless'] }),
  'wait-card-take-out': waitsForCard({ takeOutFirst: true }),
  'wait-card-again': waitsForCard({ attempt: 2, reason: 'ERR_CARD_ABSENT' }),
  'wait-card-use-contact': waitsForCard({
    attempt: 2,
    reason: 'useContact',
    interfaces: ['contact'],
  }),
  'wait-card-countdown': {
    state: 'WAIT_CARD',
    act: (page) => pays(waitCard({ deadlineMs: Date.now() + SHORT_MS }))(page),
  },
  reading: { state: 'READING', act: pays(reading('contactless')) },
  'reading-contact': { state: 'READING', act: pays(reading('contact')) },
  'wait-pin': {
    state: 'WAIT_PIN',
    act: (page) => pays({ name: 'waitPin', deadlineMs: Date.now() + SHORT_MS })(page),
  },
  authorising: { state: 'AUTHORISING', act: pays(authorising('contactless')) },
  'authorising-contact-slow': {
    state: 'AUTHORISING',
    act: async (page) => {
      await pays(authorising('contact'))(page);
      await page.clock.fastForward(11_000);
    },
  },
  'remove-card': {
    state: 'REMOVE_CARD',
    act: pays(authorising('contact'), { name: 'removeCard' }),
  },
  approved: { state: 'APPROVED', order: { status: 'paid', payment: payment() } },
  'declined-bank': declined('05'),
  'declined-funds': declined('51'),
  'declined-pin': declined('55'),
  'declined-card': {
    state: 'DECLINED',
    act: fails('card:blocked'),
  },
  cancelled: { state: 'CANCELLED', act: fails('ERR_USER_CANCELLED') },
  'cancelled-order': { state: 'CANCELLED', order: { status: 'cancelled' } },
  'cancelled-expired': { state: 'CANCELLED', order: { status: 'expired' } },
  'interrupted-busy': {
    state: 'INTERRUPTED',
    act: fails('ERR_BUSY', { gatewayOrigin: 'https://pay.example' }),
  },
  'interrupted-channel': { state: 'INTERRUPTED', act: fails('ERR_CHANNEL_CLOSED') },
  'interrupted-reader': { state: 'INTERRUPTED', act: fails('ERR_READER_GONE') },
  'interrupted-reversed': {
    state: 'INTERRUPTED',
    order: {
      payment: payment({ outcome: 'reversed', responseCode: null, reason: 'gateway:lost' }),
    },
  },
  unknown: { state: 'UNKNOWN', order: { status: 'processing' } },
};

class Studio {
  readonly #folder: string;
  readonly #system: FakeSystem;
  readonly #browser: Browser;

  constructor(folder: string, system: FakeSystem, browser: Browser) {
    this.#folder = folder;
    this.#system = system;
    this.#browser = browser;
  }

  async take(person: Person, [name, scene]: readonly [string, Scene]): Promise<void> {
    const { state, plugin = {}, order, versions, userAgent, act } = scene;
    const { suffix, ...settings } = person;
    const system = this.#system;
    system.reset();
    system.isAgentAway = true;
    if (order) system.order = order;
    if (versions !== undefined) system.versions = versions;
    const context = await this.#browser.newContext({
      ...settings,
      ...(userAgent === undefined ? {} : { userAgent }),
    });
    context.setDefaultTimeout(20_000);
    await context.addInitScript(contentScript, { ...PLUGIN, ...plugin });
    const page = await context.newPage();
    await page.clock.install();
    // The one state that ends with the gateway's first word.
    if (state === 'CHECKING') await page.route('**/v1/pay/*', () => {});
    await page.goto(system.payUrl);
    await act?.(page);
    await page.locator(`[data-state=${state}][data-charged]`).waitFor();
    if (state === 'APPROVED') await page.locator('[data-test=receipt]').waitFor();
    const file = `page-${name}-${suffix}`;
    await page.screenshot({ path: join(this.#folder, `${file}.png`), fullPage: true });
    await context.close();
    process.stdout.write(`${JSON.stringify({ name: file, state, suffix })}\n`);
  }
}

const [folder = '.', people = '[]'] = process.argv.slice(2);
const system = await FakeSystem.start(join(import.meta.dirname, '../dist/pay'));
const isRoot = process.getuid?.() === 0;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: isRoot ? ['--no-sandbox'] : [],
});
try {
  const studio = new Studio(folder, system, browser);
  for (const person of JSON.parse(people) as readonly Person[]) {
    for (const scene of Object.entries(SCENES)) await studio.take(person, scene);
  }
} finally {
  await browser.close();
  await system.close();
}
