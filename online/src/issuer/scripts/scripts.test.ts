/**
 * Shows issuer scripts with a chip at the kernel: one goes with each online contact, oldest first,
 * until a notice or the card's own count shows what became of it; each does to the card what it
 * should, once, and what it changes in the books changes when it is confirmed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import { type ContactEnd, type ContactOptions, PurseCard } from '../ecash/purse-card.test-kit.ts';
import { IssuerWorld, NOW_MS, newPinOf } from '../issuer.test-kit.ts';
import { judgeDelivery } from './evidence.ts';
import type { Script } from './model.ts';
import { queuedScript, type ScriptWish } from './queue.ts';
import { scriptResultsOf } from './results.ts';

const ACCOUNT = 13;
type Desk = { readonly world: IssuerWorld; readonly card: PurseCard };
let acts = 0;
const act = () => {
  acts += 1;
  return { auditId: `act-${acts}`, actor: 'tester', note: 'why', atMs: NOW_MS };
};

async function open(...wishes: readonly ScriptWish[]): Promise<Desk> {
  const world = await IssuerWorld.open();
  const desk = { world, card: new PurseCard(world, { account: ACCOUNT }) };
  for (const wish of wishes) await queue(desk, wish);
  return desk;
}

async function queue({ world }: Desk, wish: ScriptWish): Promise<Script> {
  const { cardId } = await world.card(ACCOUNT);
  const script = queuedScript(cardId, wish, world.ports);
  assert.equal(await world.admin.change({ action: 'scriptQueued', cardId, script }, act()), true);
  return script;
}

const states = async ({ world }: Desk): Promise<readonly string[]> =>
  (await world.books()).scripts.map(({ kind, state, evidence }) => `${kind} ${state} ${evidence}`);
const contact = ({ card }: Desk, options: ContactOptions = {}): Promise<ContactEnd> =>
  card.contact(options);

async function tell(desk: Desk, end: ContactEnd): Promise<void> {
  const reply = await desk.world.send(desk.card.notice(end));
  assert.equal(reply?.code, '00');
}

const application = ({ card }: Desk) => {
  const [found] = card.image.applications;
  assert.ok(found);
  return found;
};

test('limits of the purse by PUT DATA; the ceiling of loads follows when it is confirmed', async () => {
  const desk = await open({ kind: 'putData', tag: '9F77', amountMinor: 200_000n });
  const end = await contact(desk);
  assert.match(end.results, /^20/);
  assert.match(JSON.stringify(application(desk).dgis), /9F7706000000200000/);
  assert.equal((await desk.world.card(ACCOUNT)).electronicCashLimitMinor, null);
  await tell(desk, end);
  assert.deepEqual(await states(desk), ['putData done notice']);
  assert.equal((await desk.world.card(ACCOUNT)).electronicCashLimitMinor, 200_000n);
  const load = await contact(desk, { kind: 'designatedLoad', amount: 150_000n });
  assert.equal(load.answer?.code, '00', 'above what the installation allows');
  assert.equal(desk.card.balanceMinor, 150_500n);
});

test('one script a contact, oldest first; a lost notice is made good by the card’s count', async () => {
  const desk = await open(
    { kind: 'putData', tag: '9F78', amountMinor: 1n },
    { kind: 'putData', tag: '9F6D', amountMinor: 2n },
  );
  assert.equal((await contact(desk)).results.length, 10);
  assert.deepEqual(await states(desk), ['putData delivered null', 'putData queued null']);
  const second = await contact(desk);
  assert.deepEqual(await states(desk), ['putData done counter', 'putData delivered null']);
  await tell(desk, second);
  assert.equal((await contact(desk)).results, '');
  assert.deepEqual(await states(desk), ['putData done counter', 'putData done notice']);
});

for (const tear of ['beforeCard', 'beforeSecond', 'beforeScript'] as const) {
  test(`torn ${tear}: it goes again, and once more no longer`, async () => {
    const desk = await open({ kind: 'putData', tag: '9F78', amountMinor: 777n });
    await contact(desk, { tear });
    const again = await contact(desk);
    assert.match(again.results, /^20/);
    await contact(desk);
    assert.deepEqual(await states(desk), ['putData done counter']);
    const [script] = (await desk.world.books()).scripts;
    assert.equal(script?.deliveries, 2);
  });
}

test('a PIN change: the old PIN counts until the card has the new one, then the new one alone', async () => {
  const desk = await open();
  const newPin = await newPinOf(desk.world, { pin: '246810', pan: desk.card.pan });
  await queue(desk, { kind: 'changePin', newPin });
  await contact(desk, { tear: 'beforeScript' });
  assert.equal((await contact(desk, { pin: '246810' })).answer?.reason, 'pinWrong');
  // The declined contact brought it all the same; the next one shows that and takes the new PIN.
  const next = await contact(desk, { pin: '246810' });
  assert.deepEqual([next.answer?.code, next.answer?.reason], ['00', null]);
  assert.deepEqual(await states(desk), ['changePin done counter']);
  assert.equal((await contact(desk)).answer?.reason, 'pinWrong', 'the old one is gone');
});

test('the card’s own PIN tries are given back', async () => {
  const desk = await open({ kind: 'unblockPin' });
  const end = await contact(desk);
  assert.match(end.results, /^20/);
  await tell(desk, end);
  assert.deepEqual(await states(desk), ['unblockPin done notice']);
});

test('a lost card hears with its refusal that it is blocked, and answers nothing any more', async () => {
  const desk = await open({ kind: 'blockCard' });
  const { cardId } = await desk.world.card(ACCOUNT);
  await desk.world.admin.change({ action: 'cardState', cardId, state: 'lost' }, act());
  const end = await contact(desk);
  assert.deepEqual([end.answer?.code, end.answer?.reason], ['41', 'cardLost']);
  assert.equal(end.answer?.arqcVerified, true);
  assert.match(end.results, /^20/);
  assert.equal(desk.card.image.cardBlocked, true);
  await assert.rejects(contact(desk), 'no request comes from it');
  await tell(desk, end);
  assert.deepEqual(await states(desk), ['blockCard done notice']);
});

test('a blocked application makes no cryptogram for a payment', async () => {
  const desk = await open({ kind: 'blockApplication' });
  await tell(desk, await contact(desk));
  assert.equal(application(desk).state.applicationBlocked, true);
  await assert.rejects(contact(desk));
});

test('an unblock of an application is done when the card makes an ARQC again', async () => {
  const desk = await open({ kind: 'unblockApplication' });
  const end = await contact(desk);
  assert.match(end.results, /^20/, 'before the final cryptogram, template 71');
  await contact(desk);
  assert.deepEqual(await states(desk), ['unblockApplication done cryptogram']);
});

test('a record is replaced; one that is not there is refused by the card, for a person', async () => {
  const desk = await open({ kind: 'updateRecord', sfi: 9, record: 200, data: '7000' });
  const end = await contact(desk);
  assert.match(end.results, /^11/, 'the first command failed');
  await tell(desk, end);
  assert.deepEqual(await states(desk), ['updateRecord failed notice']);
  const { workItems } = await desk.world.books();
  assert.deepEqual(
    workItems.map(({ kind }) => kind),
    ['scriptFailed'],
  );
  assert.equal((await contact(desk)).results, '');
});

test('a refusal whose notice is lost is told by the card', async () => {
  const desk = await open({ kind: 'updateRecord', sfi: 9, record: 200, data: '7000' });
  await contact(desk);
  await contact(desk);
  assert.deepEqual(await states(desk), ['updateRecord failed counter']);
});

test('a load goes before, and what went before it is counted anew', async () => {
  const desk = await open({ kind: 'putData', tag: '9F78', amountMinor: 5n });
  await contact(desk, { tear: 'beforeScript' });
  const load = await contact(desk, { kind: 'designatedLoad', amount: 1000n });
  assert.equal(load.results.length, 10);
  assert.deepEqual(await states(desk), ['putData queued null', 'load delivered null']);
  const next = await contact(desk);
  assert.deepEqual(await states(desk), ['putData delivered null', 'load done balance']);
  assert.match(next.results, /^20/);
  assert.equal(desk.card.balanceMinor, 1500n);
});

test('a tap brings none, an HSM that fails brings none, and both pay', async () => {
  const desk = await open({ kind: 'putData', tag: '9F78', amountMinor: 5n });
  const tap = await contact(desk, { tapped: true });
  assert.equal(tap.answer?.code, '00');
  desk.world.hsmFault = 'generateScriptMac';
  const silent = await desk.card.contact();
  assert.equal(silent.answer, null, 'no answer without what it must carry');
  desk.world.hsmFault = null;
  assert.match((await contact(desk)).results, /^20/);
});

test('a queued script is closed by its id, once; a delivered one is the card’s', async () => {
  const desk = await open();
  const one = await queue(desk, { kind: 'unblockPin' });
  const close = { action: 'scriptClosed', scriptId: one.scriptId } as const;
  assert.equal(await desk.world.admin.change(close, act()), true);
  assert.equal(await desk.world.admin.change(close, act()), false);
  const two = await queue(desk, { kind: 'unblockPin' });
  await contact(desk);
  const late = { action: 'scriptClosed', scriptId: two.scriptId } as const;
  assert.equal(await desk.world.admin.change(late, act()), false);
});

test('what no card would take is not queued', () => {
  const making = { clock: { nowMs: () => NOW_MS, startTimer: () => () => undefined } };
  const random = { bytes: (length: number) => new Uint8Array(length) };
  for (const wish of [
    { kind: 'putData', tag: '9F79', amountMinor: 1n },
    { kind: 'putData', tag: '9F77', amountMinor: -1n },
    { kind: 'putData', tag: '9F77', amountMinor: 1_000_000_000_000n },
    { kind: 'updateRecord', sfi: 0, record: 1, data: '7000' },
    { kind: 'updateRecord', sfi: 11, record: 1, data: '7000' },
    { kind: 'updateRecord', sfi: 1, record: 256, data: '7000' },
    { kind: 'updateRecord', sfi: 1, record: 1, data: '6F00' },
    { kind: 'updateRecord', sfi: 1, record: 1, data: `70${'00'.repeat(181)}` },
  ] as const) {
    assert.throws(() => queuedScript('c', wish, { ...making, random }), TapError);
  }
});

test('results: five bytes each, known outcomes, at most sixteen', () => {
  const parse = (hex: string) => scriptResultsOf(Uint8Array.from(Buffer.from(hex, 'hex')));
  assert.deepEqual(parse('2001020304'), [{ outcome: 'successful', identifier: '01020304' }]);
  assert.deepEqual(
    parse('1F0102030400AABBCCDD')?.map(({ outcome }) => outcome),
    ['failed', 'notPerformed'],
  );
  for (const wrong of ['', '20', '200102030405', '3001020304', '20'.repeat(85)]) {
    assert.equal(parse(wrong), null, wrong);
  }
});

const DELIVERY = {
  ...{ traceKey: 't', identifier: '00000000', atc: 10, balanceMinor: 500n },
  counterBefore: 0 as number | null,
};
/** Counter, "last online not completed", "script failed" as the CVR tells them. */
const cvr = (counter: number, more = { open: false, failed: false }): Uint8Array =>
  Uint8Array.of(0x03, 0xa0, more.open ? 0x80 : 0, (counter << 4) | (more.failed ? 0x08 : 0));
const OPEN = { open: true, failed: false };
const FAILED = { open: false, failed: true };

/** What a later contact makes of a load: [before, ATC, balance, CVR or null, purse] -> result. */
const JUDGEMENTS: readonly (readonly [
  number | null,
  number,
  bigint | null,
  Uint8Array | null,
  string,
])[] = [
  [0, 11, 1500n, cvr(0), 'executed'],
  [0, 11, 1500n, null, 'executed'],
  [0, 11, 500n, cvr(0), 'notExecuted'],
  [0, 11, 500n, cvr(1), 'executed'],
  [0, 11, 500n, cvr(0, OPEN), 'notExecuted'],
  [0, 12, 500n, cvr(1, OPEN), 'executed'],
  [1, 11, 500n, cvr(1, OPEN), 'notExecuted'],
  [1, 12, 500n, cvr(1, OPEN), 'undecided'],
  [1, 12, 500n, cvr(2, OPEN), 'executed'],
  [2, 12, 500n, cvr(2, OPEN), 'notExecuted'],
  [2, 12, 500n, cvr(1, OPEN), 'executed'],
  [0, 11, 500n, cvr(0, FAILED), 'refused'],
  [0, 11, 500n, cvr(1, FAILED), 'refused'],
  [0, 12, 500n, cvr(1, { open: true, failed: true }), 'undecided'],
  [0, 11, null, cvr(1), 'undecided'],
  [0, 11, 500n, null, 'undecided'],
  [null, 11, 500n, cvr(1), 'undecided'],
  [null, 11, 501n, cvr(1), 'executed'],
  [0, 10, 1500n, cvr(1), 'undecided'],
  [0, 9, 1500n, cvr(1), 'undecided'],
];
for (const [before, atc, balanceMinor, results, wanted] of JUDGEMENTS) {
  const told = results === null ? 'a tap' : toHex(results);
  test(`ATC ${atc} with ${balanceMinor} and ${told} after ${before}: ${wanted}`, () => {
    const delivery = { ...DELIVERY, counterBefore: before };
    const script = { kind: 'load', delivery, state: 'delivered' } as Script;
    const seen = { atc, cvr: results, isPurse: false, balanceMinor };
    assert.equal(judgeDelivery(script, seen).result, wanted);
  });
}
