/** The in-memory readers keep the rules that PC/SC has: presence, sharing, resets, conversations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { ApduRecord } from '../apdu-trace.ts';
import {
  type CardEvent,
  type ChipCard,
  contactlessAtr,
  decorateReader,
  exchangeText,
  interfaceOf,
  isContactlessAtr,
  MemoryReader,
  observedChannel,
  paymentChannel,
  protocolOf,
  type RawExchange,
  ReaderError,
  ScriptedCard,
  scriptedReader,
  tracedSession,
} from './index.ts';

const SELECT = fromHex('00A4040007A0000003330101');
const ATR = fromHex('3B6700005441504E504159');

/** A card that answers with the number of commands since its last power. */
function countingCard(hold: () => Promise<void> = async () => {}): ChipCard {
  let count = 0;
  return {
    interface: 'contact',
    reset: () => {
      count = 0;
      return ATR;
    },
    transmit: async () => {
      await hold();
      count += 1;
      return Uint8Array.of(count, 0x90, 0x00);
    },
  };
}
function readerWith(card: ChipCard): MemoryReader {
  const reader = new MemoryReader({ name: 'Test reader', kind: 'virtual' });
  reader.insert(card);
  return reader;
}

test('a script answers in order and fails on any deviation, on one more and on one less', async () => {
  const steps = [
    { command: '00A4040007A0000003330101', response: '6A82' },
    { command: '00B2010C00', fault: 'ERR_CARD_REMOVED' },
  ] as const;
  const card = new ScriptedCard({ interface: 'contact', steps });
  const session = await readerWith(card).connect();
  await assert.rejects(session.transmit(fromHex('00B2010C00')), { code: 'ERR_CARD_SCRIPT' });
  assert.equal(toHex(await session.transmit(SELECT)), '6A82');
  assert.throws(() => card.assertFinished(), { code: 'ERR_CARD_SCRIPT' });
  await assert.rejects(session.transmit(fromHex('00B2010C00')), { code: 'ERR_CARD_REMOVED' });
  card.assertFinished();
  await assert.rejects(session.transmit(SELECT), { code: 'ERR_CARD_SCRIPT' });
});

test('a script by header takes other data, not another command', async () => {
  const steps = [{ command: '80A80000028300', response: '9000' }];
  const session = await scriptedReader({
    interface: 'contactless',
    steps,
    match: 'header',
  }).connect();
  assert.deepEqual([session.interface, session.protocol], ['contactless', 'T=1']);
  await assert.rejects(session.transmit(fromHex('80AE00000100')), { code: 'ERR_CARD_SCRIPT' });
  assert.equal(toHex(await session.transmit(fromHex('80A8000003830101'))), '9000');
});

test('an empty reader has no card; a card that is taken out ends its sessions', async () => {
  const reader = new MemoryReader({ name: 'Test reader', kind: 'virtual' });
  await assert.rejects(reader.connect(), { code: 'ERR_CARD_ABSENT' });
  const events: CardEvent[] = [];
  const off = reader.onCard((event) => events.push(event));
  reader.insert(countingCard());
  const session = await reader.connect();
  await session.transmit(SELECT);
  reader.remove();
  await assert.rejects(session.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  await assert.rejects(session.reset(), { code: 'ERR_CARD_REMOVED' });
  reader.insert(countingCard());
  await assert.rejects(session.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  off();
  reader.remove();
  assert.deepEqual(
    events.map(({ type }) => type),
    ['cardInserted', 'cardRemoved', 'cardInserted'],
  );
  const late: CardEvent[] = [];
  reader.insert(countingCard());
  reader.onCard((event) => late.push(event));
  assert.equal(late.length, 1, 'a card that is there already is told');
  await reader.close();
});

test('a card pulled while it works: its answer reaches nobody', async () => {
  let pull = () => {};
  const card = countingCard(async () => pull());
  const reader = readerWith(card);
  const session = await reader.connect();
  pull = () => reader.remove();
  await assert.rejects(session.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
});

test('exclusive keeps others out, shared lets them in, and a disconnect frees the card', async () => {
  const reader = readerWith(countingCard());
  const one = await reader.connect({ sharing: 'exclusive' });
  await assert.rejects(reader.connect(), { code: 'ERR_READER_IN_USE' });
  await one.disconnect();
  await assert.rejects(one.transmit(SELECT), { code: 'ERR_READER_CLOSED' });
  const two = await reader.connect();
  await assert.rejects(reader.connect({ sharing: 'exclusive' }), { code: 'ERR_READER_IN_USE' });
  const three = await reader.connect();
  assert.deepEqual(three.atr, two.atr);
});

test('a reset by another session is told and never resumed; an own reset begins anew', async () => {
  const reader = readerWith(countingCard());
  const [one, two] = [await reader.connect(), await reader.connect()];
  await one.transmit(SELECT);
  await two.reset();
  await assert.rejects(one.transmit(SELECT), { code: 'ERR_CARD_RESET' });
  await assert.rejects(one.transmit(SELECT), { code: 'ERR_CARD_RESET' });
  await one.reset();
  assert.equal((await one.transmit(SELECT))[0], 1);
});

test('nothing comes between the commands of a conversation', async () => {
  const order: string[] = [];
  const reader = readerWith(countingCard());
  const [one, two] = [await reader.connect(), await reader.connect()];
  const first = one.exclusively(async (card) => {
    order.push('begin');
    await card.transmit(SELECT);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await card.transmit(SELECT);
    order.push('end');
  });
  const second = two.transmit(SELECT).then(() => order.push('other'));
  await Promise.all([first, second]);
  assert.deepEqual(order, ['begin', 'end', 'other']);
});

test('the first fault of a conversation is its end, whatever the card could still say', async () => {
  const reader = readerWith(countingCard());
  const [one, two] = [await reader.connect(), await reader.connect()];
  await two.reset();
  await one.exclusively(async (card) => {
    await assert.rejects(card.transmit(SELECT), { code: 'ERR_CARD_RESET' });
    await assert.rejects(card.transmit(SELECT), { code: 'ERR_CARD_RESET' });
    await assert.rejects(one.reset(), /does not reset it/);
  });
  await assert.rejects(
    one.exclusively(async () => {
      throw new RangeError('of the work');
    }),
    RangeError,
  );
});

test('decorators see every command, inside a conversation too; the trace is masked', async () => {
  const steps = [
    { command: '00B2011400', response: '700A5A0862999900000000099000' },
    { command: '00B2021400', response: '6A83' },
  ];
  const records: ApduRecord[] = [];
  const reader = decorateReader(scriptedReader({ interface: 'contact', steps }), (session) =>
    tracedSession(session, (record) => records.push(record)),
  );
  const session = await reader.connect();
  await session.transmit(fromHex('00B2011400'));
  await session.exclusively((card) => card.transmit(fromHex('00B2021400')));
  assert.deepEqual(
    records.map(({ number, response }) => [number, response]),
    [
      [1, '700A5A08629999******00099000'],
      [2, '6A83'],
    ],
  );
});

test('the raw observer times exchanges and faults; a payment knows two kinds of lost card', async () => {
  const seen: RawExchange[] = [];
  let now = 0;
  const faults = ['ERR_CARD_REMOVED', 'ERR_READER_GONE', 'ERR_CARD_RESET'] as const;
  let call = 0;
  const broken = {
    transmit: async () => {
      now += 7;
      const code = faults[call++];
      if (code) throw new ReaderError(code, 'gone');
      return fromHex('9000');
    },
  };
  const card = paymentChannel(
    observedChannel(
      broken,
      (exchange) => seen.push(exchange),
      () => now,
    ),
  );
  await assert.rejects(card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  for (const code of ['ERR_READER_GONE', 'ERR_CARD_RESET']) {
    await assert.rejects(card.transmit(SELECT), {
      code: 'ERR_CARD_TRANSPORT',
      data: { readerCode: code },
    });
  }
  await card.transmit(SELECT);
  assert.deepEqual(
    seen.map(({ fault, durationMs }) => [fault, durationMs]),
    [...faults.map((fault) => [fault, 7]), [null, 7]],
  );
  const [, , , last] = seen;
  assert.ok(last);
  assert.match(exchangeText(last), /^=> 00A404.*\n<= 9000 {2}7\.0 ms$/);
});

test('an ATR tells contactless and protocol; a name helps where it does not', () => {
  const contactless = contactlessAtr(fromHex('8073C021C057597562694B6579'));
  assert.equal(toHex(contactless).slice(0, 8), '3B8D8001');
  assert.equal(isContactlessAtr(contactless), true);
  assert.equal(isContactlessAtr(contactless.slice(0, -1)), false);
  assert.equal(toHex(contactlessAtr()), '3B80800101');
  assert.equal(contactlessAtr(new Uint8Array(40)).length, 20);
  assert.equal(isContactlessAtr(ATR), false);
  assert.equal(protocolOf(ATR), 'T=0');
  assert.equal(protocolOf(contactless), 'T=1');
  assert.equal(protocolOf(fromHex('3BE700008131FE455441504E504159AF')), 'T=1');
  assert.equal(interfaceOf(contactless, 'Any reader'), 'contactless');
  for (const [name, wanted] of [
    ['ACS ACR122U PICC Interface 00 00', 'contactless'],
    ['HID Global OMNIKEY 5022 Smart Card Reader [OMNIKEY Contactless] 00 00', 'contactless'],
    ['Gemalto PC Twin Reader 00 00', 'contact'],
    ['Clever Reader 00 00', 'contact'],
  ] as const) {
    assert.equal(interfaceOf(ATR, name), wanted, name);
  }
});
