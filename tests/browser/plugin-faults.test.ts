/**
 * Fault x (page, gateway, issuer's ledger, card's counter, processes) over the plug-in's way:
 * whatever breaks between browser and card, and whenever, the page ends in the state that is true,
 * nothing is left behind, and reader and element are free for the next payment. "Before" is while
 * the card is waited for, "after" while the sealed payment is with an issuer that stands still.
 * Each cell is read from its own party; the test prints the table and refuses an empty cell.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Choices, type PageEnd, untilState, withoutBrowser } from './browser.test-kit.ts';
import { answer, PluginBrowser, payByPlugin, pressPay } from './plugin.test-kit.ts';
import { type OrderEnd, PluginSystem, PROCESS_END_MS } from './plugin-system.test-kit.ts';
import { hookPage } from './relays.test-kit.ts';

const skip = withoutBrowser();
const plugin = new PluginSystem();
let browser: PluginBrowser;
const CARD = 'debit';
const tap: Choices = { card: CARD, interface: 'contactless' };
const insert: Choices = { card: CARD, interface: 'contact' };
/** Each row has an amount of its own, by which the ledger tells its payment from others. */
const FIRST_AMOUNT_MINOR = 401;
const FINAL = ['APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED'] as const;
const ROWS = 36;

before(async () => {
  if (skip) return;
  await plugin.up();
  browser = await PluginBrowser.open(plugin);
});
after(async () => {
  await browser?.close();
  await plugin.close();
});

const COLUMNS: readonly string[] = [
  ...['fault', 'page', 'charged', 'order', 'gateway', 'ledgerMinor', 'counter', 'leftMs'],
];
type Row = Readonly<Record<string, string>>;
/** In the order of their beginning: some end later than others that were begun after them. */
const table: Promise<Row>[] = [];

/** One order on one page. */
type Scene = { readonly page: Page; readonly orderId: string };
/** The page that will say the last word, and how long processes of what was lost lived on. */
type Struck = { readonly page: Page; readonly leftMs: number };
/** What is known when a fault has struck. */
type Begun = Struck & {
  readonly fault: string;
  readonly orderId: string;
  readonly amountMinor: number;
  readonly counter: number;
  /** Opened after the fault: it is ready when nothing was charged. */
  readonly isFresh: boolean;
};
type RowOptions = {
  readonly prepare?: ((page: Page) => Promise<unknown>) | undefined;
  /** The gateway's patience is long: other rows go on meanwhile. */
  readonly isLater?: boolean;
};

/** Plays a row up to its fault, and writes it down when page and gateway have said their word. */
async function row(
  fault: string,
  play: (scene: Scene) => Promise<Struck>,
  { prepare, isLater = false }: RowOptions = {},
): Promise<Row | null> {
  const amountMinor = FIRST_AMOUNT_MINOR + table.length;
  const amount = (amountMinor / 100).toFixed(2);
  const { orderId, payUrl } = await plugin.system.createOrder({ amount });
  const others = browser.context.pages();
  const was = plugin.counterOf(CARD);
  const page = await browser.openPayPage(payUrl, prepare);
  const closeBut = async (kept: Page | null): Promise<void> => {
    const own = browser.context.pages().filter((one) => !others.includes(one) && one !== kept);
    await Promise.all(own.map((one) => one.close()));
  };
  try {
    const struck = await play({ page, orderId });
    const counter = plugin.counterOf(CARD) - was;
    const isFresh = struck.page !== page;
    const ended = endOf({ ...struck, fault, orderId, amountMinor, counter, isFresh });
    table.push(ended);
    if (isLater) {
      // Awaited by the last test.
      ended.catch(() => {});
      await closeBut(struck.page);
    } else await ended;
  } finally {
    if (!isLater) await closeBut(null);
  }
  await plugin.untilNothingLeft();
  await plugin.takeElementAndCard(CARD);
  return isLater ? null : ((await table.at(-1)) ?? null);
}

/** The page's last word must be the gateway's, and the ledger's. */
async function endOf(begun: Begun): Promise<Row> {
  const { page, isFresh, amountMinor, orderId, leftMs } = begun;
  const end = await untilState(page, ...(isFresh ? ['READY'] : []), ...FINAL);
  const settled = await plugin.settled(orderId, { amountMinor: BigInt(amountMinor) });
  const ledgerMinor = await plugin.ledgerMinor(BigInt(amountMinor));
  const row = rowOf(begun, end, { ...settled, ledgerMinor });
  const isCharged = settled.payment === 'captured';
  const said = JSON.stringify(row);
  assert.equal(end.charged, isCharged ? 'yes' : 'no', said);
  assert.equal(end.state === 'APPROVED', isCharged, said);
  assert.equal(ledgerMinor, isCharged ? BigInt(amountMinor) : 0n, said);
  assert.ok(leftMs < PROCESS_END_MS, `what was lost held its processes: ${said}`);
  return row;
}

function rowOf(
  { fault, counter, leftMs }: Begun,
  end: PageEnd,
  settled: OrderEnd & { readonly ledgerMinor: bigint },
): Row {
  return {
    fault,
    page: end.code ? `${end.state} ${end.code}` : end.state,
    charged: end.charged,
    order: settled.order,
    gateway: settled.payment,
    ledgerMinor: String(settled.ledgerMinor),
    counter: `+${counter}`,
    leftMs: String(Math.round(leftMs)),
  };
}

/** Opens the window and consents; the card is waited for. */
async function untilWaitCard(page: Page): Promise<Page> {
  const window = await pressPay(page);
  await window.locator('[data-test=confirm]:enabled').click();
  await untilState(page, 'WAIT_CARD');
  return window;
}

/** Pays until the gateway has the payment and waits for an issuer that stands still; then strikes. */
async function duringAuthorisation(
  { page, orderId }: Scene,
  choices: Choices,
  strike: () => Promise<void>,
): Promise<void> {
  const issuer = plugin.system.processOf('issuer');
  const window = await pressPay(page);
  process.kill(issuer, 'SIGSTOP');
  try {
    await answer(window, choices);
    await untilState(page, 'AUTHORISING', 'REMOVE_CARD');
    await plugin.untilPayment(orderId);
    await strike();
  } finally {
    process.kill(issuer, 'SIGCONT');
  }
}

/** A fault, and what is gone with it. */
type Fault = {
  readonly name: string;
  readonly strike: (page: Page) => Promise<void>;
  readonly isPageGone?: boolean;
  /** Page and host live on: they part with the page's last word. */
  readonly isHostAlive?: boolean;
  readonly prepare?: (page: Page) => Promise<unknown>;
  readonly recover?: () => Promise<void>;
};

const cuts = new WeakMap<Page, () => Promise<void>>();
const HOST_KILLED: Fault = {
  name: 'host killed',
  strike: async () => {
    const [host = 0] = plugin.hosts();
    process.kill(host, 'SIGKILL');
  },
};
const SERVICE_KILLED: Fault = {
  name: 'service killed',
  strike: async () => {
    process.kill(plugin.system.processOf('agent'), 'SIGKILL');
  },
  // Its supervisor starts it again.
  recover: () => plugin.withService(),
};
const ELEMENT_KILLED: Fault = {
  name: 'element killed',
  strike: async () => {
    const [element = 0] = plugin.elements();
    process.kill(element, 'SIGKILL');
  },
  isHostAlive: true,
};
const WORKER_STOPPED: Fault = { name: 'worker stopped', strike: () => browser.stopWorker() };
const TAB_CLOSED: Fault = {
  name: 'tab closed',
  strike: (page) => page.close(),
  isPageGone: true,
};
const BROWSER_KILLED: Fault = {
  name: 'browser killed',
  strike: () => browser.kill(),
  isPageGone: true,
  recover: () => browser.launch(),
};
const WEB_SOCKET_CUT: Fault = {
  name: 'WebSocket cut',
  strike: async (page) => cuts.get(page)?.(),
  isHostAlive: true,
  prepare: cuttable,
};

/** Makes the WebSockets of a page closable from here, as a lost network would. */
async function cuttable(page: Page): Promise<void> {
  const open = new Set<{ close(options?: { code?: number }): Promise<void> }>();
  await page.routeWebSocket(/\/v1\/channel/, (socket) => {
    open.add(socket).add(socket.connectToServer());
  });
  cuts.set(page, async () => {
    await Promise.all(
      [...open].map((socket) => socket.close({ code: 4000 }).catch(() => undefined)),
    );
  });
}

/** Strikes; milliseconds that the processes of what was lost lived on. */
async function strikeAndWait(fault: Fault, page: Page): Promise<number> {
  await fault.strike(page);
  return fault.isHostAlive ? 0 : await plugin.untilNothingLeft();
}

/** Who says the last word after a fault. */
async function afterFault(fault: Fault, { page, orderId }: Scene, leftMs: number): Promise<Struck> {
  await fault.recover?.();
  if (fault.isPageGone) {
    return { page: await browser.openPayPage(`${plugin.gateway}/pay/${orderId}`), leftMs };
  }
  return fault.isHostAlive ? await parted(page) : { page, leftMs };
}

/** A page that has said its last word, and lets its host go with it. */
async function parted(page: Page): Promise<Struck> {
  await untilState(page, ...FINAL);
  return { page, leftMs: await plugin.untilNothingLeft() };
}

/** A fault strikes while the card is waited for. */
async function strikeBefore(fault: Fault, seat: string): Promise<void> {
  const { prepare } = fault;
  const play = async (scene: Scene): Promise<Struck> => {
    await untilWaitCard(scene.page);
    return afterFault(fault, scene, await strikeAndWait(fault, scene.page));
  };
  const line = await row(`${fault.name} before, ${seat}`, play, { prepare });
  assert.deepEqual([line?.['gateway'], line?.['counter']], ['none', '+0']);
}

/** A fault strikes while the issuer decides, and the page says that nobody knows. */
async function playAfter(fault: Fault, scene: Scene, choices: Choices): Promise<Struck> {
  let leftMs = 0;
  await duringAuthorisation(scene, choices, async () => {
    leftMs = await strikeAndWait(fault, scene.page);
    if (fault.isPageGone) return;
    const now = await untilState(scene.page, 'UNKNOWN');
    assert.equal(now.charged, 'unknown');
  });
  return afterFault(fault, scene, leftMs);
}

/** A tap needs nothing more of its card: what the issuer says counts. */
async function strikeAfterTap(fault: Fault, seat: string): Promise<void> {
  const play = (scene: Scene): Promise<Struck> => playAfter(fault, scene, tap);
  const line = await row(`${fault.name} after a tap, ${seat}`, play, { prepare: fault.prepare });
  assert.deepEqual([line?.['gateway'], line?.['counter']], ['captured', '+1']);
}

/** By contact the card must have its last word and cannot: the gateway waits, and reverses. */
async function strikeAfterContact(fault: Fault, seat: string): Promise<void> {
  const play = (scene: Scene): Promise<Struck> => playAfter(fault, scene, insert);
  // A page that has its host still lets it go with its last word only.
  const options = { prepare: fault.prepare, isLater: !fault.isHostAlive };
  await row(`${fault.name} after contact, ${seat}`, play, options);
}

/** Every moment of a fault. */
function testFault(fault: Fault, seat: string): void {
  test(`${fault.name}, ${seat}`, { skip }, async () => {
    // A browser takes the pages of others with it.
    if (fault === BROWSER_KILLED) await Promise.allSettled(table);
    await strikeBefore(fault, seat);
    await strikeAfterTap(fault, seat);
    await strikeAfterContact(fault, seat);
  });
}

async function control(seat: string, choices: Choices): Promise<void> {
  const line = await row(`none, ${choices.interface}, ${seat}`, async ({ page }) => {
    await payByPlugin(page, choices);
    return parted(page);
  });
  assert.deepEqual([line?.['gateway'], line?.['counter']], ['captured', '+1']);
}

const SERVICE = 'service';
test('nothing breaks, at the service', { skip }, () => control(SERVICE, tap));
for (const fault of [HOST_KILLED, TAB_CLOSED, SERVICE_KILLED]) testFault(fault, SERVICE);

/** The card is in, and its PIN is asked for. */
async function untilPin(page: Page): Promise<Page> {
  const window = await untilWaitCard(page);
  await window.locator(`[data-test=card-${CARD}]`).click();
  await window.locator('[data-test=insert]').click();
  await untilState(page, 'WAIT_PIN');
  return window;
}

test('the card is pulled while it is read, at the PIN, and while the issuer decides', {
  skip,
}, async () => {
  await row('card pulled while read', async ({ page }) => {
    await answer(await pressPay(page), { ...insert, liftAfter: 3, again: 'cancel' });
    return parted(page);
  });
  await row('card pulled at PIN', async ({ page }) => {
    const window = await untilPin(page);
    await plugin.pullCard();
    // It is asked for again; the person has had enough.
    await untilState(page, 'WAIT_CARD');
    await window.locator('[data-test=cancel]').click();
    return parted(page);
  });
  const line = await row('card pulled after', async (scene) => {
    await duringAuthorisation(scene, insert, () => plugin.pullCard());
    return parted(scene.page);
  });
  assert.deepEqual([line?.['gateway'], line?.['counter']], ['reversed', '+1']);
  assert.equal(line?.['page'], 'INTERRUPTED TP_CARD_REMOVED');
});

const ALONE = 'host alone';
test('nothing breaks, in the host', { skip }, async () => {
  await plugin.withoutService();
  await control(ALONE, insert);
});

testFault(BROWSER_KILLED, ALONE);

test('a bit is flipped in the sealed payment, or in its answer', { skip }, async () => {
  const flipAtTap = async (page: Page, towards: 'gateway' | 'element'): Promise<void> => {
    const window = await untilWaitCard(page);
    await page.evaluate((to) => {
      Reflect.set(globalThis, 'relayHand', { towards: to, skip: null });
    }, towards);
    await answer(window, tap);
  };
  const prepare = hookPage;
  await row(
    'bit flipped in the sealed payment',
    async ({ page }) => {
      await flipAtTap(page, 'gateway');
      const now = await untilState(page, 'UNKNOWN');
      assert.equal(now.charged, 'unknown');
      return { page, leftMs: await plugin.untilNothingLeft() };
    },
    { prepare, isLater: true },
  );
  const line = await row(
    'bit flipped in the answer',
    async ({ page }) => {
      await flipAtTap(page, 'element');
      return parted(page);
    },
    { prepare },
  );
  assert.deepEqual([line?.['gateway'], line?.['counter']], ['captured', '+1']);
});

for (const fault of [HOST_KILLED, ELEMENT_KILLED, WORKER_STOPPED, TAB_CLOSED, WEB_SOCKET_CUT]) {
  testFault(fault, ALONE);
}

test('the host is killed while the person decides, and while they type their PIN', {
  skip,
}, async () => {
  await row('host killed at consent', async (scene) => {
    const window = await pressPay(scene.page);
    await window.locator('[data-state=consent]').waitFor();
    return afterFault(HOST_KILLED, scene, await strikeAndWait(HOST_KILLED, scene.page));
  });
  const line = await row('host killed at PIN', async (scene) => {
    await untilPin(scene.page);
    return afterFault(HOST_KILLED, scene, await strikeAndWait(HOST_KILLED, scene.page));
  });
  assert.equal(line?.['gateway'], 'none');
});

test('the table has no empty cell', { skip }, async () => {
  const lines = await Promise.all(table);
  const widths = COLUMNS.map((name) =>
    Math.max(name.length, ...lines.map((line) => line[name]?.length ?? 0)),
  );
  const print = (cells: readonly string[]): void =>
    console.log(cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | '));
  print(COLUMNS);
  for (const line of lines) print(COLUMNS.map((name) => line[name] ?? ''));
  for (const line of lines) {
    for (const name of COLUMNS) assert.ok(line[name], `${name} of ${line['fault']}`);
  }
  assert.equal(lines.length, ROWS, 'every row was played');
  const contact = lines.filter(({ fault }) => fault?.includes('after contact'));
  for (const { gateway, counter } of contact) {
    assert.deepEqual([gateway, counter], ['reversed', '+1']);
  }
  const flipped = lines.find(({ fault }) => fault === 'bit flipped in the sealed payment');
  assert.deepEqual([flipped?.['gateway'], flipped?.['counter']], ['none', '+1']);
  assert.equal(flipped?.['page'], 'INTERRUPTED TP_CHANNEL_TAMPERED');
});
