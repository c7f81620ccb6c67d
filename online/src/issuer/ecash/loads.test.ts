/**
 * Shows the three loads with a chip at the kernel: the money moves once, the chip's balance rises by
 * exactly that, wherever the contact is torn and whatever notice is lost, late or doubled; and what
 * is refused moves nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTlv } from '@tapnpay/protocol/iso7816';
import { type TransactionKind, withFields } from '@tapnpay/protocol/iso8583';
import { IssuerWorld, NOW_MS, panOf, withMac } from '../issuer.test-kit.ts';
import type { WorkItemKind } from '../model.ts';
import {
  type ContactEnd,
  type ContactOptions,
  PurseCard,
  type Tear,
} from './purse-card.test-kit.ts';

const RICH = 10_000_000n;
const ACCOUNT = 13;
const OPENING = 500n;

type Desk = { readonly world: IssuerWorld; readonly card: PurseCard };

async function open(balance = '500'): Promise<Desk> {
  const world = await IssuerWorld.open();
  return { world, card: new PurseCard(world, { account: ACCOUNT, balance }) };
}

const load = (desk: Desk, amount: bigint, more: ContactOptions = {}): Promise<ContactEnd> =>
  desk.card.contact({ kind: 'designatedLoad', amount, ...more });

/** Chip, our record of it, account. */
async function money({ world, card }: Desk): Promise<readonly bigint[]> {
  const view = await world.card(ACCOUNT);
  return [card.balanceMinor, view.electronicCashMinor, view.balanceMinor];
}

async function states({ world }: Desk): Promise<readonly string[]> {
  return (await world.books()).scripts.map(({ state, evidence }) => `${state} ${evidence}`);
}

async function items({ world }: Desk): Promise<readonly WorkItemKind[]> {
  return (await world.books()).workItems.map(({ kind }) => kind);
}

async function tell(desk: Desk, end: ContactEnd): Promise<readonly [string, string | null]> {
  const reply = await desk.world.send(desk.card.notice(end));
  assert.ok(reply);
  return [reply.code, reply.reason];
}

const verdict = ({
  answer,
}: ContactEnd): readonly [string | undefined, string | null | undefined] => [
  answer?.code,
  answer?.reason,
];

/** I9: what the chip gained is what was debited, less what is still on its way. */
async function assertBooks(desk: Desk): Promise<void> {
  const { accounts, transactions, scripts } = await desk.world.books();
  for (const { postings } of transactions) {
    assert.equal(
      postings.reduce((sum, { amountMinor }) => sum + amountMinor, 0n),
      0n,
    );
  }
  const open = scripts.filter(({ state }) => state === 'delivered');
  const waiting = open.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  const shadow = accounts.find(
    ({ accountId }) =>
      accountId.startsWith('ecash-') &&
      transactions.some(
        ({ kind, postings }) =>
          kind !== 'opening' && postings.some((posting) => posting.accountId === accountId),
      ),
  );
  if (shadow) assert.equal((shadow.balanceMinor ?? 0n) - waiting, desk.card.balanceMinor);
}

test('a designated load: debited once, the chip rises by it, the notice confirms it', async () => {
  const desk = await open();
  const end = await load(desk, 5000n);
  assert.deepEqual(verdict(end), ['00', null]);
  assert.match(end.results, /^20[0-9A-F]{8}$/, 'one script, successful');
  assert.deepEqual(await money(desk), [5500n, 5500n, RICH - 5000n]);
  assert.deepEqual(await states(desk), ['delivered null'], 'debited, not confirmed');
  assert.deepEqual(await tell(desk, end), ['00', null]);
  assert.deepEqual(await states(desk), ['done notice']);
  assert.deepEqual(await items(desk), []);
  await assertBooks(desk);
});

test('a cash load takes nothing from the account: the acquirer owes it', async () => {
  const desk = await open();
  const end = await load(desk, 3000n, { kind: 'cashLoad' });
  assert.deepEqual(verdict(end), ['00', null]);
  assert.deepEqual(await money(desk), [3500n, 3500n, RICH]);
  const lines = await desk.world.store.settlementLines('20261125');
  assert.deepEqual(
    lines.map(({ kind, amountMinor }) => [kind, amountMinor]),
    [['cashLoad', -3000n]],
  );
  await tell(desk, end);
  await assertBooks(desk);
});

test('a load from another account: only from one that is bound, only to this card', async () => {
  const desk = await open();
  const { world, card } = desk;
  const from = panOf(1);
  const fields = [
    [102, from],
    [103, card.pan],
  ] as const;
  const kind = 'nonDesignatedLoad';
  assert.deepEqual(verdict(await load(desk, 700n, { kind, fields })), ['57', 'payerNotBound']);
  const [mine, theirs] = [await world.card(ACCOUNT), await world.card(1)];
  const act = { auditId: '1', actor: 'tester', note: 'consent', atMs: NOW_MS };
  const bound = { cardId: mine.cardId, payerCardId: theirs.cardId };
  assert.equal(await world.admin.change({ action: 'loadPayerBound', ...bound }, act), true);
  const wrong = [
    [102, from],
    [103, panOf(2)],
  ] as const;
  assert.deepEqual(verdict(await load(desk, 700n, { kind, fields: wrong })), [
    '30',
    'transferToOther',
  ]);
  assert.deepEqual(verdict(await load(desk, 700n, { kind })), ['30', 'transferMissing']);
  assert.deepEqual(await money(desk), [OPENING, OPENING, RICH]);
  const end = await load(desk, 700n, { kind, fields });
  assert.deepEqual(verdict(end), ['00', null]);
  await tell(desk, end);
  assert.deepEqual(await money(desk), [1200n, 1200n, RICH]);
  assert.equal(await world.balance(1), RICH - 700n);
  await assertBooks(desk);
});

const TEARS: readonly Tear[] = ['beforeCard', 'beforeSecond', 'beforeScript', 'afterScript'];
for (const tear of TEARS) {
  test(`torn ${tear}: debited once, and the next contact makes it true exactly once`, async () => {
    const desk = await open();
    const torn = await load(desk, 5000n, { tear });
    assert.deepEqual(verdict(torn), ['00', null]);
    const isLoaded = tear === 'afterScript';
    const now = isLoaded ? 5500n : OPENING;
    assert.deepEqual(await money(desk), [now, 5500n, RICH - 5000n]);
    await assertBooksOrDone(desk, isLoaded);
    const next = await desk.card.contact({ amount: 100n });
    assert.equal(next.answer?.code, '00', 'a sale, which pays from the account');
    assert.equal(next.results === '', isLoaded, 'the script comes again unless the card has it');
    assert.deepEqual(await money(desk), [5500n, 5500n, RICH - 5100n]);
    if (!isLoaded) assert.deepEqual(await tell(desk, next), ['00', null]);
    assert.deepEqual(await states(desk), [isLoaded ? 'done balance' : 'done notice']);
    const quiet = await desk.card.contact({ amount: 1n });
    assert.equal(quiet.results, '', 'and never once more');
    assert.deepEqual((await money(desk)).slice(0, 2), [5500n, 5500n]);
    await assertBooks(desk);
  });

  test(`torn ${tear}, then the purse is spent offline: the card's count still tells`, async () => {
    const desk = await open();
    await load(desk, 400n, { tear });
    const isLoaded = tear === 'afterScript';
    desk.card.spend(isLoaded ? 450n : 50n);
    const before = desk.card.balanceMinor;
    assert.equal(before, 450n, 'the same balance either way');
    const next = await desk.card.contact();
    assert.equal(next.results === '', isLoaded);
    assert.equal(desk.card.balanceMinor, isLoaded ? 450n : 850n);
    assert.deepEqual(await states(desk), [isLoaded ? 'done counter' : 'delivered null']);
  });

  test(`torn ${tear} and asked for again: both loads, each once`, async () => {
    const desk = await open();
    await load(desk, 5000n, { tear });
    const again = await load(desk, 2000n);
    assert.deepEqual(verdict(again), ['00', null]);
    assert.deepEqual(await money(desk), [7500n, 7500n, RICH - 7000n]);
    await tell(desk, again);
    const all = await states(desk);
    assert.equal(all.length, 2);
    assert.ok(
      all.every((state) => state.startsWith('done')),
      all.join(),
    );
    await assertBooks(desk);
  });
}

async function assertBooksOrDone(desk: Desk, isLoaded: boolean): Promise<void> {
  // A chip that has it before anybody knows stands above the books by what is on its way.
  if (!isLoaded) await assertBooks(desk);
}

test('a contact that nobody heard of lies between: the card is loaded once', async () => {
  for (const tear of TEARS) {
    const desk = await open();
    await load(desk, 400n, { tear });
    const isLoaded = tear === 'afterScript';
    desk.card.spend(isLoaded ? 450n : 50n);
    await desk.card.contact({ tear: 'beforeIssuer' });
    await desk.card.contact();
    assert.equal(desk.card.balanceMinor, isLoaded ? 450n : 850n, tear);
  }
});

test('notices: lost, doubled, late, of a script that was given again', async () => {
  const desk = await open();
  const first = await load(desk, 1000n);
  assert.deepEqual(await tell(desk, first), ['00', null]);
  assert.deepEqual(await tell(desk, first), ['00', 'known']);
  const message = desk.card.notice(first);
  const repeat = { ...message, mti: '0621' };
  const one = await desk.world.send(message);
  assert.equal(one?.code, '00');
  assert.equal((await desk.world.send(repeat))?.code, 'A0', 'a repeat has a MAC of its own');
  const second = await load(desk, 1000n, { tear: 'beforeScript' });
  const third = await desk.card.contact();
  assert.match(third.results, /^20/);
  const late = { ...second, results: '0000000000' };
  assert.deepEqual(await tell(desk, late), ['00', 'superseded']);
  assert.deepEqual((await states(desk)).at(-1), 'delivered null');
  assert.deepEqual(await tell(desk, third), ['00', null]);
  assert.deepEqual(await money(desk), [2500n, 2500n, RICH - 2100n]);
  await assertBooks(desk);
});

test('a notice of an unknown load, of another card, without results: refused, nothing moves', async () => {
  const desk = await open();
  const { world, card } = desk;
  const end = await load(desk, 1000n);
  const unknown = `0200999999${'1125120000'}${'49990000001'.repeat(2)}`;
  const cases = [
    [[[90, unknown]], '25'],
    [[[2, panOf(1)]], '12'],
    [[[55, undefined]], '30'],
  ] as const;
  for (const [fields, code] of cases) {
    assert.equal((await world.send(card.notice(end, fields)))?.code, code);
  }
  for (const results of ['20', '2000000000FF', '3000000000', '20'.repeat(5 * 17)]) {
    assert.equal((await world.send(card.notice({ ...end, results })))?.code, '30', results);
  }
  assert.deepEqual(await states(desk), ['delivered null']);
  assert.equal((await items(desk)).length, 7, 'each is for a person');
});

test('the card refuses the script: it stays debited and is given again', async () => {
  const desk = await open();
  const end = await load(desk, 1000n, { tear: 'beforeScript' });
  const [script] = (await desk.world.books()).scripts;
  const results = `11${script?.delivery?.identifier}`;
  assert.deepEqual(await tell(desk, { ...end, results }), ['00', null]);
  assert.deepEqual(await items(desk), ['scriptFailed']);
  const next = await desk.card.contact();
  assert.match(next.results, /^20/);
  await tell(desk, next);
  assert.deepEqual(await money(desk), [1500n, 1500n, RICH - 1100n]);
});

const REFUSALS: readonly (readonly [string, ContactOptions, string, string])[] = [
  ['above what a purse may hold', { amount: 99_501n }, '61', 'electronicCashLimit'],
  ['a wrong PIN', { pin: '000000' }, '55', 'pinWrong'],
  ['a tap', { tapped: true }, '57', 'loadTapped'],
  ['signed as a purchase', { transactionType: 0 }, '05', 'transactionTypeDiffers'],
  ['signed as a cash load', { transactionType: 0x63 }, '05', 'transactionTypeDiffers'],
];
for (const [name, options, code, reason] of REFUSALS) {
  test(`refused: ${name}`, async () => {
    const desk = await open();
    assert.deepEqual(verdict(await load(desk, 1000n, options)), [code, reason]);
    assert.deepEqual(await money(desk), [OPENING, OPENING, RICH]);
    assert.deepEqual(await states(desk), []);
  });
}

test('what the card signed for a load is no sale', async () => {
  const desk = await open();
  const end = await desk.card.contact({ kind: 'sale', transactionType: 0x60 });
  assert.deepEqual(verdict(end), ['05', 'transactionTypeDiffers']);
});

test('the ceiling is reached to the last unit, with loads on their way counted', async () => {
  const desk = await open();
  await load(desk, 50_000n, { tear: 'beforeScript' });
  assert.deepEqual(verdict(await load(desk, 49_501n)), ['61', 'electronicCashLimit']);
  assert.equal(desk.card.balanceMinor, 50_500n, 'the refusal brought the first load again');
  assert.deepEqual(verdict(await load(desk, 49_500n)), ['00', null]);
  assert.deepEqual(await money(desk), [100_000n, 100_000n, RICH - 99_500n]);
});

test('a purse without a word, with a bent balance, or a bent MAC: no debit', async () => {
  const bare = await open('none');
  assert.deepEqual(verdict(await load(bare, 1000n)), ['57', 'noElectronicCash']);
  const desk = await open();
  const end = await load(desk, 100n);
  await tell(desk, end);
  // The balance and its MAC lie outside of what the cryptogram covers.
  for (const fromEnd of [9, 1]) {
    const bent = (hex: string): string => {
      const at = hex.length - fromEnd;
      return hex.slice(0, at) + (hex[at] === '0' ? '1' : '0') + hex.slice(at + 1);
    };
    const refused = await load(desk, 1000n, { bend: ['9F10', bent] });
    assert.deepEqual(verdict(refused), ['05', 'purseMacWrong']);
  }
  assert.deepEqual(await money(desk), [600n, 600n, RICH - 100n]);
});

test('no money on the account: 51, and the card is not told anything', async () => {
  const world = await IssuerWorld.open();
  const card = new PurseCard(world, { account: 2 });
  const end = await card.contact({ kind: 'designatedLoad', amount: 101n });
  assert.deepEqual(verdict(end), ['51', 'funds']);
  assert.equal(end.results, '');
  assert.equal(card.balanceMinor, OPENING);
});

test('a replayed cryptogram, under the same trace or another: one debit, and no second script', async () => {
  const desk = await open();
  const end = await load(desk, 1000n);
  const again = await desk.world.send(end.message);
  assert.deepEqual(again?.message.fields.get(55), end.answer?.message.fields.get(55));
  const replay = await desk.world.send(withMac(withFields(end.message, [[11, '900000']])));
  assert.deepEqual([replay?.code, replay?.reason], ['05', 'atcReplayed']);
  const told = replay?.message.fields.get(55) as Uint8Array;
  assert.deepEqual(
    decodeTlv(told).map(({ tag }) => tag),
    ['91'],
  );
  assert.deepEqual(await money(desk), [1500n, 1500n, RICH - 1000n]);
});

test('reversed while the card was not told: the money is back, and the chip shows that it is true', async () => {
  const desk = await open();
  const end = await load(desk, 1000n, { tear: 'beforeCard' });
  const reply = await desk.world.send(desk.world.reversal(end.message));
  assert.deepEqual([reply?.code], ['00']);
  assert.deepEqual(await money(desk), [OPENING, OPENING, RICH]);
  assert.equal((await desk.world.send(end.message))?.code, '12', 'and no script any more');
  assert.deepEqual(await states(desk), ['reversed null']);
  const next = await desk.card.contact();
  assert.equal(next.results, '');
  assert.deepEqual(await states(desk), ['closed null']);
  assert.deepEqual(await items(desk), []);
  await assertBooks(desk);
});

test('reversed although the card has it: the record follows the chip, and a person is called', async () => {
  const desk = await open();
  const end = await load(desk, 1000n, { tear: 'afterScript' });
  await desk.world.send(desk.world.reversal(end.message));
  assert.deepEqual(await money(desk), [1500n, OPENING, RICH]);
  await desk.card.contact();
  assert.deepEqual(await items(desk), ['loadReversedWrongly']);
  assert.deepEqual((await money(desk)).slice(0, 2), [1500n, 1500n]);
  assert.deepEqual(await states(desk), ['done balance']);
  await assertBooks(desk);
});

test('what the card confirmed, refused, or got with a later answer is not reversed', async () => {
  const confirmed = await open();
  const first = await load(confirmed, 1000n);
  await tell(confirmed, first);
  const again = await open();
  const second = await load(again, 1000n, { tear: 'beforeScript' });
  await again.card.contact({ tear: 'beforeSecond' });
  const refused = await open();
  const third = await load(refused, 1000n, { tear: 'beforeScript' });
  const [script] = (await refused.world.books()).scripts;
  await tell(refused, { ...third, results: `11${script?.delivery?.identifier}` });
  for (const [desk, end] of [
    [confirmed, first],
    [again, second],
    [refused, third],
  ] as const) {
    const reply = await desk.world.send(desk.world.reversal(end.message));
    assert.equal(reply?.code, '12');
    assert.ok((await items(desk)).includes('reversalRefused'));
    assert.equal((await money(desk))[1], 1500n);
  }
});

test('a load that comes after its reversal is refused', async () => {
  const desk = await open();
  const other = await open();
  const end = await load(other, 1000n, { tear: 'beforeIssuer' });
  assert.equal((await desk.world.send(desk.world.reversal(end.message)))?.code, '00');
  const late = await desk.world.send(end.message);
  assert.equal(late?.code, '12');
  assert.deepEqual((await money(desk)).slice(1), [OPENING, RICH]);
});

test('time reverses nothing: a year later the next contact confirms', async () => {
  const desk = await open();
  await load(desk, 1000n, { tear: 'afterScript' });
  desk.world.clock.set(NOW_MS + 365 * 86_400_000);
  await desk.world.store.expireHolds(desk.world.clock.nowMs(), 1000);
  assert.deepEqual(await states(desk), ['delivered null']);
  await desk.card.contact();
  assert.deepEqual(await states(desk), ['done balance']);
});

test('a tap shows a risen balance, and cannot bring the script', async () => {
  const has: TransactionKind = 'sale';
  const loaded = await open();
  await load(loaded, 1000n, { tear: 'afterScript' });
  await loaded.card.contact({ kind: has, tapped: true });
  assert.deepEqual(await states(loaded), ['done balance']);
  const torn = await open();
  await load(torn, 1000n, { tear: 'beforeScript' });
  const tap = await torn.card.contact({ kind: has, tapped: true });
  assert.equal(tap.results, '');
  assert.deepEqual(await states(torn), ['delivered null']);
  const next = await torn.card.contact();
  assert.match(next.results, /^20/);
  assert.equal(torn.card.balanceMinor, 1500n);
});
