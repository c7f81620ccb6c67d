/**
 * Fault x (page, gateway, issuer's ledger, card's counter): whatever breaks, and whenever, the page
 * ends in the state that is true. "Before" is while the card is waited for, "after" while the
 * cryptogram is with an issuer that stands still. Each cell is read from its own party; the test
 * prints the table and refuses an empty cell.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { tapnpay } from '../system.test-kit.ts';
import {
  answerWindow,
  browserSuite,
  type PageEnd,
  Payer,
  untilState,
  windowState,
} from './browser.test-kit.ts';

let books: pg.Client;
const { skip, system, browser } = browserSuite({
  prepare: async () => {
    payer = await Payer.open(browser(), system);
    // A browser of which a page stays open makes the next one in half of the time.
    kept = await payer.context.newPage();
    books = new pg.Client({ connectionString: system.databaseUrl });
    await books.connect();
  },
  finish: async () => books?.end(),
});
const AMOUNT = '4.00';
const AMOUNT_MINOR = 400;
/** Commands of our card's whole session, by interface; one more than it needs pulls nothing. */
const CONTACT_COMMANDS = 16;
const CONTACTLESS_COMMANDS = 9;
/** `npm run page-faults` pulls the card before each command, `npm test` before every fourth. */
const IS_WHOLE = process.env['TAPNPAY_WHOLE_MATRIX'] === '1';
const PULL_STEP = IS_WHOLE ? 1 : 4;
const ROWS_MIN = IS_WHOLE ? 40 : 20;
const SETTLE_TIMEOUT_MS = 60_000;

/** One person whose browser is paired once. */
let payer: Payer;
let kept: Page;
const table: Row[] = [];

/** One line of the table. */
type Row = {
  readonly fault: string;
  readonly page: string;
  readonly charged: string;
  readonly order: string;
  readonly gateway: string;
  readonly ledgerMinor: string;
  readonly counter: string;
};

/** One person, one order, one page, before anything happened. */
type Scene = { readonly payer: Payer; readonly page: Page; readonly orderId: string };

async function withScene(action: (scene: Scene) => Promise<void>): Promise<void> {
  const { orderId, payUrl } = await payer.order(AMOUNT);
  try {
    await action({ payer, page: await payer.openPayPage(payUrl), orderId });
  } finally {
    const opened = payer.context.pages().filter((page) => page !== kept);
    await Promise.all(opened.map((page) => page.close()));
  }
}

/** What the issuer's accounts and the card say now; their changes are a row's last cells. */
async function standing(card: string): Promise<{ ledgerMinor: bigint; counter: number }> {
  const { rows } = await books.query(
    `SELECT coalesce(sum(amount_minor), 0)::text AS sum FROM issuer.ledger_entries
       WHERE account_id LIKE 'clearing-%'`,
  );
  const image = readFileSync(join(system.dataDir, 'cards', `${card}.json`), 'utf8');
  const { applicationTransactionCounter: counter } = iccSummary(parseIccImage(image));
  return { ledgerMinor: BigInt((rows[0] as { sum: string }).sum), counter };
}

/** The gateway's payment and order, once they are final and the issuer agrees. */
async function settled(orderId: string, before: bigint): Promise<{ order: string; state: string }> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const { rows } = await books.query(
      `SELECT o.status AS order, coalesce(p.state, 'none') AS state
         FROM gateway.orders o LEFT JOIN gateway.payments p ON p.payment_id = o.payment_id
        WHERE o.order_id = $1`,
      [orderId],
    );
    const now = rows[0] as { order: string; state: string };
    const { ledgerMinor } = await standing('debit');
    const isFinal = ['none', 'captured', 'declined', 'reversed'].includes(now.state);
    const owed = now.state === 'captured' ? BigInt(AMOUNT_MINOR) : 0n;
    if (isFinal && now.order !== 'processing' && ledgerMinor - before === owed) return now;
    assert.ok(performance.now() < deadline, `order ${orderId} is ${JSON.stringify(now)}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Runs a fault and writes its row; the page's last word must be the gateway's. */
async function row(
  fault: string,
  play: (scene: Scene) => Promise<PageEnd>,
): Promise<Row & { readonly end: PageEnd }> {
  let written: (Row & { end: PageEnd }) | null = null;
  await withScene(async (scene) => {
    const was = await standing('debit');
    const end = await play(scene);
    const gateway = await settled(scene.orderId, was.ledgerMinor);
    const is = await standing('debit');
    const line: Row = {
      fault,
      page: end.code ? `${end.state} ${end.code}` : end.state,
      charged: end.charged,
      order: gateway.order,
      gateway: gateway.state,
      ledgerMinor: String(is.ledgerMinor - was.ledgerMinor),
      counter: `+${is.counter - was.counter}`,
    };
    table.push(line);
    written = { ...line, end };
    const isCharged = gateway.state === 'captured';
    assert.equal(line.charged, isCharged ? 'yes' : 'no', JSON.stringify(line));
    assert.equal(end.state === 'APPROVED', isCharged, JSON.stringify(line));
    assert.ok(is.counter - was.counter <= 4, 'a person was asked for the card four times at most');
  });
  assert.ok(written);
  return written;
}

const FINAL = ['APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED'] as const;

/** The page's last word about an order: as it stands, or after a reload shows the truth. */
async function lastWord(page: Page): Promise<PageEnd> {
  return await untilState(page, ...FINAL);
}

/** A page that is opened anew: it is ready to pay when nothing was charged. */
async function freshWord(scene: Scene): Promise<PageEnd> {
  const page = await scene.payer.openPayPage(`${system.ready.gateway}/pay/${scene.orderId}`);
  const end = await untilState(page, 'READY', ...FINAL);
  return end.state === 'READY' ? { ...end, charged: 'no' } : end;
}

/** Without an answer the page says that it does not know, until it knows. */
async function assertUnknown(page: Page): Promise<void> {
  const now = await untilState(page, 'UNKNOWN', ...FINAL);
  if (now.state === 'UNKNOWN') assert.equal(now.charged, 'unknown');
}

const choices = { card: 'debit', interface: 'contactless' } as const;

/** Opens the window and goes on until the card is waited for. */
async function untilWaitCard({ payer, page }: Scene): Promise<Page> {
  const window = await payer.pressPay(page);
  const code = system.ready.pairingCode;
  const deadline = performance.now() + 20_000;
  for (;;) {
    const state = await windowState(window);
    if (state === 'waitCard') return window;
    if (state === 'pairing') {
      await window.locator('[data-test=pairing-code]').fill(code);
      await window.locator('[data-test=pairing-ok]').click();
      await window.locator('[data-state=consent]').waitFor();
    }
    if (state === 'consent') await window.locator('[data-test=confirm]').click();
    assert.ok(performance.now() < deadline, `the window is ${state}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Waits for the gateway's commit point: the page may say so a moment earlier. */
async function untilSent(orderId: string): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  const ofOrder = 'SELECT FROM gateway.payments WHERE order_id = $1';
  while ((await books.query(ofOrder, [orderId])).rowCount === 0) {
    assert.ok(performance.now() < deadline, `nothing was sent for order ${orderId}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Pays while the issuer stands still, until the cryptogram is on its way; then lets `fault` in. */
async function duringAuthorisation(
  scene: Scene,
  fault: (window: Page) => Promise<void>,
  wire: 'contact' | 'contactless' = 'contactless',
): Promise<void> {
  const issuer = system.processOf('issuer');
  const window = await scene.payer.pressPay(scene.page);
  process.kill(issuer, 'SIGSTOP');
  try {
    await answerWindow(window, system.ready.pairingCode, { ...choices, interface: wire });
    await untilState(scene.page, 'AUTHORISING', 'UNKNOWN');
    await untilSent(scene.orderId);
    await fault(window);
  } finally {
    process.kill(issuer, 'SIGCONT');
  }
}

test('nothing breaks: the positive control of the table', { skip }, async () => {
  const contactless = await row('none, contactless', async ({ payer, page }) =>
    payer.pay(page, choices),
  );
  assert.equal(contactless.gateway, 'captured');
  const contact = await row('none, contact', async ({ payer, page }) =>
    payer.pay(page, { ...choices, interface: 'contact' }),
  );
  assert.deepEqual([contact.gateway, contact.counter], ['captured', '+1']);
});

test('reload, back, second tab, lost WebSocket while the card is waited for', {
  skip,
}, async () => {
  await row('reload before', async (scene) => {
    await untilWaitCard(scene);
    await scene.page.reload();
    return freshWord(scene);
  });
  await row('back button before', async (scene) => {
    await scene.page.goto(system.ready.shop);
    await scene.page.goBack();
    await untilWaitCard(scene);
    await scene.page.goBack();
    return freshWord(scene);
  });
  await row('page closed before', async (scene) => {
    await untilWaitCard(scene);
    await scene.page.close();
    return freshWord(scene);
  });
  const second = await row('second tab pays the same order', async (scene) => {
    const window = await untilWaitCard(scene);
    const twin = await scene.payer.openPayPage(scene.page.url());
    const twinWindow = scene.payer.context
      .waitForEvent('page', { timeout: 3_000 })
      .catch(() => null);
    await twin.locator('[data-test=pay]').click();
    const busy = await untilState(twin, 'INTERRUPTED', 'CANCELLED', 'BUSY', 'DECLINED');
    assert.deepEqual([busy.code, busy.charged], ['TP_BUSY', 'no']);
    await (await twinWindow)?.close().catch(() => undefined);
    await answerWindow(window, system.ready.pairingCode, choices);
    return lastWord(scene.page);
  });
  assert.equal(second.gateway, 'captured');
});

test('two orders at once: one pays, the other is told who holds the reader', { skip }, async () => {
  await row('two orders at once', async (scene) => {
    const window = await untilWaitCard(scene);
    const { payUrl } = await scene.payer.order('5.00');
    const other = await scene.payer.openPayPage(payUrl);
    await other.locator('[data-test=pay]').click();
    const busy = await untilState(other, 'INTERRUPTED', 'CANCELLED', 'BUSY', 'DECLINED');
    assert.deepEqual([busy.code, busy.charged], ['TP_BUSY', 'no']);
    if (window.isClosed()) throw new Error('the second order took the first one’s window');
    await answerWindow(window, system.ready.pairingCode, choices);
    return lastWord(scene.page);
  });
});

for (const role of ['agent', 'element', 'gateway'] as const) {
  test(`${role} killed while the card is waited for`, { skip }, async () => {
    await row(`${role} killed before`, async (scene) => {
      await untilWaitCard(scene);
      process.kill(system.processOf(role), 'SIGKILL');
      const end = await untilState(scene.page, ...FINAL);
      await untilPayable();
      return end;
    });
  });

  test(`${role} killed while the issuer decides`, { skip }, async () => {
    const after = await row(`${role} killed after`, async (scene) => {
      await duringAuthorisation(scene, async () => {
        process.kill(system.processOf(role), 'SIGKILL');
        await assertUnknown(scene.page);
      });
      const end = await lastWord(scene.page);
      await untilPayable();
      return end;
    });
    assert.equal(after.counter, '+1');
  });
}

test('the window, the page, its sockets are lost while the issuer decides', { skip }, async () => {
  await row('reload after', async (scene) => {
    await duringAuthorisation(scene, async () => {
      await scene.page.reload();
      await assertUnknown(scene.page);
    });
    return lastWord(scene.page);
  });
  await row('page closed after', async (scene) => {
    await duringAuthorisation(scene, async () => {
      await scene.page.close();
    });
    const page = await scene.payer.openPayPage(`${system.ready.gateway}/pay/${scene.orderId}`);
    return lastWord(page);
  });
  await row('window closed after', async (scene) => {
    await duringAuthorisation(scene, async (window) => {
      await window.close();
    });
    return lastWord(scene.page);
  });
  await row('card taken away after', async (scene) => {
    await duringAuthorisation(scene, async (window) => {
      const away = window.locator('[data-test=take-away]');
      if (await away.isVisible().catch(() => false)) await away.click();
    });
    return lastWord(scene.page);
  });
});

test('by contact the card must have its last word: what is lost while the issuer decides is reversed', {
  skip,
}, async () => {
  for (const [what, break_] of [
    ['agent killed', async () => process.kill(system.processOf('agent'), 'SIGKILL')],
    ['element killed', async () => process.kill(system.processOf('element'), 'SIGKILL')],
    ['reload', async ({ page }: Scene) => page.reload()],
    ['card pulled', async () => tapnpay(['cards', 'take-away', '--data', system.dataDir])],
  ] as const) {
    const line = await row(`contact, ${what} after`, async (scene) => {
      const fault = async (): Promise<void> => {
        await break_(scene);
      };
      await duringAuthorisation(scene, fault, 'contact');
      const end = await lastWord(scene.page);
      await untilPayable();
      return end;
    });
    assert.deepEqual([line.gateway, line.order, line.counter], ['reversed', 'open', '+1'], what);
  }
});

test('network lost: the WebSockets of the page are cut, before and after', { skip }, async () => {
  for (const moment of ['before', 'after'] as const) {
    await row(`WebSockets cut ${moment}`, async (scene) => {
      const cut = await cuttable(scene.page);
      if (moment === 'before') {
        await untilWaitCard(scene);
        await cut();
      } else await duringAuthorisation(scene, cut);
      return lastWord(scene.page);
    });
  }
});

test('the person says no, or gives no PIN', { skip }, async () => {
  const no = await row('consent refused', async ({ payer, page }) =>
    payer.pay(page, { ...choices, consent: false }),
  );
  assert.deepEqual([no.counter, no.gateway], ['+0', 'none']);
});

for (const wire of ['contact', 'contactless'] as const) {
  const commands = wire === 'contact' ? CONTACT_COMMANDS : CONTACTLESS_COMMANDS;
  test(`the card is pulled before its commands (${wire})`, { skip }, async () => {
    for (let index = 1; index <= commands; index += PULL_STEP) {
      await row(`${wire} card pulled at ${index}`, async ({ payer, page }) => {
        const pulled = { ...choices, interface: wire, liftAfter: index, again: 'cancel' } as const;
        const first = await payer.pay(page, pulled);
        return first.state === 'UNKNOWN' ? lastWord(page) : first;
      });
    }
  });
}

test('the table has no empty cell', { skip }, () => {
  const columns = [
    'fault',
    'page',
    'charged',
    'order',
    'gateway',
    'ledgerMinor',
    'counter',
  ] as const;
  const widths = columns.map((name) =>
    Math.max(name.length, ...table.map((line) => line[name].length)),
  );
  const print = (cells: readonly string[]): void =>
    console.log(cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | '));
  print([...columns]);
  for (const line of table) print(columns.map((name) => line[name]));
  for (const line of table) for (const name of columns) assert.notEqual(line[name], '', line.fault);
  assert.ok(table.length >= ROWS_MIN, `${table.length} rows`);
});

/** Waits until a killed role is back: the next row needs it. */
async function untilPayable(): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  const agent = new URL(system.ready.wallet).origin;
  for (;;) {
    const answers = await Promise.all(
      [`${system.ready.gateway}/v1/health`, `${agent}/v1/health`].map((url) =>
        fetch(url).then(
          (response) => response.ok,
          () => false,
        ),
      ),
    );
    if (answers.every(Boolean)) return;
    assert.ok(performance.now() < deadline, 'the system did not come back');
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Makes every later WebSocket of a page closable from here, as a lost network would. */
async function cuttable(page: Page): Promise<() => Promise<void>> {
  const open = new Set<{ close(options?: { code?: number }): Promise<void> }>();
  await page.routeWebSocket(/.*/, (socket) => {
    const server = socket.connectToServer();
    open.add(socket).add(server);
  });
  await page.reload();
  await untilState(page, 'READY');
  return async () => {
    await Promise.all(
      [...open].map((socket) => socket.close({ code: 4000 }).catch(() => undefined)),
    );
  };
}
