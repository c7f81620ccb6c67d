/**
 * Payments of our kernel with our card through pcscd: both interfaces, online, declined, e-cash,
 * T=0, and the card pulled at every command, before and after it worked.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { PcscReaders } from '@tapnpay/agent';
import { TapError } from '@tapnpay/protocol/bytes';
import { ICC_ATR_T0 } from '@tapnpay/protocol/emv/data';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { imageOf, type Payment, pay, TestCard, TestIssuer, TestSlot } from '../inside.test-kit.ts';

const readers = new PcscReaders();
after(() => readers.close());
const slots = { contact: new TestSlot(readers, 0), contactless: new TestSlot(readers, 1) } as const;

/** 100.00 in the purse. */
const CASH = {
  balanceMinor: '10000',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
const PLAIN = imageOf();
const PURSE = imageOf({ request: { electronicCash: CASH } });

type How = {
  readonly issuer?: TestIssuer;
  readonly electronicCash?: boolean;
  readonly pull?: { readonly index: number; readonly when: 'before' | 'after' };
};

/** One presentation of the card, and its payment; the code of the fault that ended it. */
async function present(card: TestCard, how: How = {}): Promise<Payment | string> {
  const slot = slots[card.interface];
  const offered = await slot.insert(card.chip(how.pull));
  try {
    const session = await slot.reader.connect();
    assert.equal(session.interface, card.interface, 'told by the ATR');
    try {
      return await pay(session, how.issuer ?? new TestIssuer(), {
        electronicCash: how.electronicCash ?? false,
      });
    } finally {
      await session.disconnect();
    }
  } catch (fault) {
    if (fault instanceof TapError) return fault.code;
    throw fault;
  } finally {
    await offered.close();
  }
}

async function paid(card: TestCard, how: How = {}): Promise<Payment> {
  const payment = await present(card, how);
  assert.ok(typeof payment !== 'string', String(payment));
  return payment;
}

for (const by of ['contact', 'contactless'] as const) {
  test(`${by}: an online purchase is approved`, async () => {
    const issuer = new TestIssuer();
    const { outcome, commands } = await paid(new TestCard(PLAIN, by), { issuer });
    assert.equal(outcome.outcome, 'approved', outcome.reason);
    assert.equal(outcome.dataAuthentication, by === 'contact' ? 'DDA' : 'fDDA');
    assert.equal(issuer.approved.length, 1);
    assert.ok(commands > 5);
  });

  test(`${by}: the issuer declines, nothing is approved`, async () => {
    const issuer = new TestIssuer();
    issuer.responseCode = '51';
    const { outcome } = await paid(new TestCard(PLAIN, by), { issuer });
    assert.deepEqual([outcome.outcome, outcome.reason], ['declined', 'issuer:51']);
    assert.deepEqual(issuer.approved, []);
  });

  test(`${by}: electronic cash pays offline from the purse`, async () => {
    const card = new TestCard(PURSE, by);
    const issuer = new TestIssuer();
    const { outcome, stored } = await paid(card, { issuer, electronicCash: true });
    assert.equal(outcome.outcome, 'approved', outcome.reason);
    assert.deepEqual([stored.length, issuer.requests.length], [1, 0]);
    assert.equal(card.state.electronicCash?.balanceMinor, '8766');
  });
}

test('T=0: 61xx and 6Cxx go through the service to the kernel', async () => {
  const issuer = new TestIssuer();
  const card = new TestCard({ ...PLAIN, atr: ICC_ATR_T0 }, 'contact');
  const { outcome } = await paid(card, { issuer });
  assert.equal(outcome.outcome, 'approved', outcome.reason);
});

/** What a pulled card may leave: a coded end, and one charge at most. */
function assertTorn(result: Payment | string, asked: TestIssuer, what: string): void {
  if (typeof result === 'string') {
    assert.match(result, /^ERR_CARD_(REMOVED|TRANSPORT)$/, what);
    assert.equal(asked.requests.length, 0, `${what}: a fault, and the issuer was asked`);
    return;
  }
  const { outcome, reason } = result.outcome;
  assert.ok(asked.requests.length <= 1, `${what}: asked twice`);
  if (outcome === 'approved') assert.equal(asked.approved.length, 1, what);
  else assert.equal(outcome, 'unknown', `${what}: ${outcome} ${reason}`);
}

/** The same card pulled at each of its commands in turn; after that it pays. */
async function pullEverywhere(by: CardInterface): Promise<void> {
  const card = new TestCard(PLAIN, by);
  const whole = await paid(card);
  const counters: string[] = [];
  for (let index = 0; index < whole.commands; index++) {
    const issuer = new TestIssuer();
    const when = index % 2 === 0 ? 'before' : 'after';
    const result = await present(card, { issuer, pull: { index, when } });
    assertTorn(result, issuer, `${by}, pulled ${when} command ${index}`);
    counters.push(...issuer.approved);
  }
  const issuer = new TestIssuer();
  const { outcome } = await paid(card, { issuer });
  assert.equal(outcome.outcome, 'approved', outcome.reason);
  counters.push(...issuer.approved);
  assert.equal(new Set(counters).size, counters.length, 'no counter was approved twice');
}

/** The purse of a card pulled at each command of a payment: the money moved once or not at all. */
async function pullPurseEverywhere(by: CardInterface): Promise<void> {
  const whole = await paid(new TestCard(PURSE, by), { electronicCash: true });
  // The commands before the one that pays move nothing; they are pulled in the online payment.
  const first = by === 'contact' ? whole.commands - 2 : 2;
  for (let index = first; index < whole.commands; index++) {
    for (const when of ['before', 'after'] as const) {
      const card = new TestCard(PURSE, by);
      const issuer = new TestIssuer();
      const result = await present(card, { issuer, electronicCash: true, pull: { index, when } });
      const what = `${by}, purse, pulled ${when} command ${index}`;
      const moved = 10_000 - Number(card.state.electronicCash?.balanceMinor);
      assert.ok(moved === 0 || moved === 1234, `${what}: ${moved} moved`);
      assert.equal(issuer.requests.length, 0, what);
      if (typeof result === 'string') assert.match(result, /^ERR_CARD_(REMOVED|TRANSPORT)$/, what);
      else if (result.outcome.outcome === 'approved') assert.equal(moved, 1234, what);
      else assert.equal(result.outcome.outcome, 'unknown', what);
    }
  }
}

test('pulled at every command: a coded end each time, nothing charged twice', async () => {
  await Promise.all([pullEverywhere('contact'), pullEverywhere('contactless')]);
});

test('a purse pulled around its payment: the money moved once or not at all', async () => {
  await Promise.all([pullPurseEverywhere('contact'), pullPurseEverywhere('contactless')]);
});
