/**
 * A scope follows a payment's work through awaits and belongs to no other; what HSM commands and
 * messages show is masked: every secret of them is searched for in every form, and found where it
 * must be.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { concatBytes, fromHex } from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import { CUPS_DIALECT, encodeMessage, makeMessage } from '@tapnpay/protocol/iso8583';
import type { Hsm, HsmRequest, TraceEvent } from '@tapnpay/protocol/wire';
import { createLog } from './logging.ts';
import { runInTrace, Tracer, watched } from './trace.ts';
import { tracedHsm } from './trace-hsm.ts';
import { maskedHex, messageSeen, traceAnswer, traceExchange } from './trace-message.ts';

const PAN = '6299990000000000123';
const PIN_BLOCK = '0F1E2D3C4B5A6978';
const TRACK_2 = `${PAN}=31122200000`;
const KEY_BLOCK = `D0128P0TB00N0200${'8D3E1F'.repeat(18)}`;

/** A tracer, what it wrote, and the lines that its party's real log made of it. */
function traced(): { tracer: Tracer; events: TraceEvent[]; lines: string[] } {
  const events: TraceEvent[] = [];
  const lines: string[] = [];
  let nowMs = 1_000;
  const clock = { nowMs: () => ++nowMs, startTimer: () => () => undefined };
  const log = createLog({
    party: 'gateway',
    clock,
    destination: { write: (line: string) => void lines.push(line) },
  });
  const tracer = new Tracer({
    party: 'gateway',
    clock,
    log: (record) => {
      events.push(record as unknown as TraceEvent);
      log.info(record);
    },
  });
  return { tracer, events, lines };
}
const seen = (title: string) => ({ kind: 'channel', title, data: {} }) as const;

test('a scope follows its work through awaits, beside other payments', async () => {
  const { tracer, events } = traced();
  const work = (order: string) =>
    tracer.run({ references: [order, null, undefined], hop: 'seal' }, async () => {
      await nextTurn();
      tracer.trace(seen(`${order} first`));
      tracer.refer(`payment of ${order}`);
      tracer.reach('request');
      await nextTurn();
      tracer.trace(seen(`${order} second`));
    });
  await Promise.all([work('one'), work('two')]);
  for (const order of ['one', 'two']) {
    const own = events.filter(({ title }) => title.startsWith(order));
    assert.deepEqual(own[0]?.references, [order]);
    assert.deepEqual(own[1]?.references, [order, `payment of ${order}`]);
    assert.deepEqual([own[0]?.hop, own[1]?.hop], ['seal', 'request']);
  }
});

test('outside of a payment nothing is written, also by work that a payment started', () => {
  const { tracer, events } = traced();
  tracer.trace(seen('before'));
  tracer.run({ references: ['one'], hop: 'seal' }, () => {
    tracer.outside(() => tracer.trace(seen('worker')));
    tracer.trace(seen('inside'));
  });
  assert.deepEqual(
    events.map(({ title }) => title),
    ['inside'],
  );
});

test('a loop that went wrong fills no disk, and references are bounded', () => {
  const { tracer, events } = traced();
  tracer.run({ references: ['one'], hop: 'seal' }, () => {
    for (let count = 0; count < 2_000; count++) {
      tracer.refer(`reference ${count}`);
      tracer.trace(seen('again'));
    }
  });
  assert.equal(events.length, 512);
  assert.equal(events.at(-1)?.references.length, 8);
});

test('without a tracer the work is done and nothing else', () => {
  assert.equal(
    runInTrace(undefined, { references: ['one'], hop: 'seal' }, () => 7),
    7,
  );
});

test('a watched object works as before, private members included; faults are not told', async () => {
  class Store {
    #count = 0;
    async add(by: number): Promise<number> {
      if (by < 0) throw new RangeError('negative');
      this.#count += by;
      return this.#count;
    }
    async read(): Promise<number> {
      return this.#count;
    }
  }
  const told: unknown[] = [];
  const store = watched(new Store(), { add: (result, by) => void told.push([result, by]) });
  assert.equal(await store.add(2), 2);
  assert.equal(await store.add(3), 5);
  await assert.rejects(store.add(-1), RangeError);
  assert.equal(await store.read(), 5);
  assert.deepEqual(told, [
    [2, 2],
    [5, 3],
  ]);
});

const REQUESTS: readonly HsmRequest[] = [
  {
    command: 'translatePin',
    from: { key: KEY_BLOCK, format: 4, ksn: '544150010059C86C00000001' },
    toKey: KEY_BLOCK,
    pan: PAN,
    pinBlock: PIN_BLOCK,
  },
  {
    command: 'verifyArqc',
    imkAc: KEY_BLOCK,
    card: { pan: PAN, panSequenceNumber: '01' },
    atc: '0001',
    data: '00000000123400000000000001560000048800015626112500209638E97C00000103A01002',
    arqc: '28AD9AB1A1A567DB',
  },
  {
    command: 'verifyPin',
    pinKey: KEY_BLOCK,
    pvk: KEY_BLOCK,
    pinBlock: PIN_BLOCK,
    pan: PAN,
    pvki: '1',
    pvv: '7391',
  },
  { command: 'generateMac', key: KEY_BLOCK, data: hexOfAscii(`0200${PAN}${TRACK_2}`) },
];

function hexOfAscii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').toUpperCase();
}

/** ASCII, UTF-16, BCD and its hex, and base64 of each at every alignment. */
function formsOf(digits: string): readonly string[] {
  const even = digits.length % 2 === 0 ? digits : `${digits}F`;
  const binary = [Buffer.from(digits, 'latin1'), Buffer.from(even, 'hex')];
  const utf16 = Buffer.from(digits, 'utf16le');
  const base64 = [...binary, utf16].flatMap((bytes) =>
    [0, 1, 2].map((shift) => {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
      return text.slice(shift === 0 ? 0 : 4, -4);
    }),
  );
  const hex = [...binary, utf16].map((bytes) => bytes.toString('hex').toUpperCase());
  return [
    digits,
    utf16.toString('latin1'),
    ...hex,
    ...hex.map((text) => text.toLowerCase()),
    ...base64,
  ];
}

function findings(text: string, secret: string): readonly string[] {
  return formsOf(secret).filter((form) => form.length >= 6 && text.includes(form));
}

const SECRETS = [PAN, PIN_BLOCK, TRACK_2, KEY_BLOCK.slice(16), '8D3E1F8D3E1F'];

test('positive control: the search finds each secret in requests as they are', () => {
  const clear = JSON.stringify(REQUESTS) + hexOfAscii(PAN) + Buffer.from(PAN).toString('base64');
  for (const secret of SECRETS.filter((text) => text !== TRACK_2)) {
    assert.notDeepEqual(findings(clear, secret), [], secret);
  }
  assert.notDeepEqual(findings(hexOfAscii(TRACK_2), TRACK_2), []);
  assert.ok(findings(hexOfAscii(PAN), PAN).length > 0);
  assert.ok(findings(Buffer.from(PAN, 'utf16le').toString('base64'), PAN).length > 0);
});

test('HSM commands show names, verdicts and key headers, no key, PIN block or card number', async () => {
  const { tracer, events, lines } = traced();
  const answers: Readonly<Record<string, object>> = {
    translatePin: { pinBlock: PIN_BLOCK },
    verifyArqc: { valid: true },
    verifyPin: { valid: false },
    generateMac: { mac: 'CEA1C82B13E0C36A' },
  };
  const hsm = { call: async (request: HsmRequest) => answers[request.command] } as Hsm;
  const watchedHsm = tracedHsm(hsm, tracer);
  await tracer.run({ references: ['one'], hop: 'decide' }, async () => {
    for (const request of REQUESTS) await watchedHsm.call(request);
  });
  assert.deepEqual(
    events.map(({ title }) => title),
    ['translatePin', 'verifyArqc', 'verifyPin', 'generateMac'],
  );
  const [translate, arqc, pin, mac] = events;
  assert.equal(translate?.data['in.from.key'], 'D0128P0TB00N0200… (124)');
  assert.equal(translate?.data['in.pan'], '629999*********0123');
  assert.equal(translate?.data['in.pinBlock'], '[8 bytes]');
  assert.equal(translate?.data['out.pinBlock'], '[8 bytes]');
  assert.equal(arqc?.data['in.arqc'], '28AD9AB1A1A567DB');
  assert.match(String(arqc?.data['in.data']), /^0000000012340000/);
  assert.equal(arqc?.data['out.valid'], true);
  assert.equal(pin?.data['in.pvv'], '[2 bytes]');
  assert.equal(mac?.data['in.data'], '[54 bytes]');
  assert.equal(mac?.data['out.mac'], 'CEA1C82B13E0C36A');
  for (const secret of SECRETS) assert.deepEqual(findings(lines.join(''), secret), [], secret);
});

test('a refused HSM command is written with its code and thrown as it was', async () => {
  const { tracer, events } = traced();
  const fault = new TypeError('no');
  const hsm = tracedHsm({ call: () => Promise.reject(fault) }, tracer);
  await tracer.run({ references: ['one'], hop: 'decide' }, () =>
    assert.rejects(hsm.call({ command: 'status' }), (thrown) => thrown === fault),
  );
  assert.equal(events[0]?.data['error'], 'ERR_INTERNAL');
});

const icc = concatBytes(
  encodeTlv('9F26', fromHex('28AD9AB1A1A567DB')),
  encodeTlv('57', fromHex(`${PAN}D3112220F`)),
  encodeTlv('5A', fromHex(`${PAN}F`)),
);
const request = makeMessage('0200', [
  [2, PAN],
  [3, '000000'],
  [4, '000000001234'],
  [14, '3112'],
  [35, TRACK_2],
  [37, '632923000001'],
  [52, fromHex(PIN_BLOCK)],
  [55, icc],
  [128, fromHex('0011223344556677')],
]);

test('masked hex has the length and every harmless byte of the real message', () => {
  const header = { destination: '00010000000', source: '49990000001' };
  const real = encodeMessage(CUPS_DIALECT, header, request).slice(CUPS_DIALECT.headerBytes);
  const shown = maskedHex(request);
  assert.equal(shown.length, 2 * real.length);
  let hidden = 0;
  for (const [index, byte] of real.entries()) {
    const pair = shown.slice(2 * index, 2 * index + 2);
    if (pair === '**') hidden += 1;
    else assert.equal(Number.parseInt(pair, 16), byte, `byte ${index}`);
  }
  // PAN 9, expiry 4, track 31, PIN block 8, MAC 8, tags 57 and 5A in field 55.
  assert.equal(hidden, 9 + 4 + 31 + 8 + 8 + 14 + 10);
});

test('messages and their answers are written masked, under the retrieval reference', async () => {
  const { tracer, events, lines } = traced();
  const answer = makeMessage('0210', [
    [37, '632923000001'],
    [39, '00'],
  ]);
  const reply = await traceAnswer(tracer, { message: request, peer: 'gateway', hop: 'route' }, () =>
    traceExchange(tracer, { message: request, peer: 'issuer' }, async () => answer),
  );
  assert.equal(reply, answer);
  assert.deepEqual(
    events.map(({ title, hop, data }) => [title, hop, data['peer']]),
    [
      ['0200 received', 'route', 'gateway'],
      ['0200 sent', 'route', 'issuer'],
      ['0210 received', 'return', 'issuer'],
      ['0210 sent', 'return', 'gateway'],
    ],
  );
  for (const { references } of events) assert.deepEqual(references, ['632923000001']);
  assert.equal(events[0]?.data['F2'], '629999*********0123');
  assert.equal(events[0]?.data['F52'], '[8 bytes]');
  assert.match(String(events[0]?.data['F55.tlv']), /^9F260828AD9AB1A1A567DB/);
  for (const secret of SECRETS) assert.deepEqual(findings(lines.join(''), secret), [], secret);
});

test('a time-out, a reversal, and silence have their own places', async () => {
  const { tracer, events } = traced();
  const facts = { message: request, peer: 'gateway', hop: 'route' } as const;
  await traceAnswer(tracer, facts, async () => {
    await traceExchange(tracer, { message: request, peer: 'issuer' }, async () => 'timeout');
    return null;
  });
  assert.deepEqual(
    events.map(({ title }) => title),
    ['0200 received', '0200 sent', '0200 timeout'],
  );
  const reversal = makeMessage('0420', [[37, '632923000001']]);
  await traceAnswer(tracer, { ...facts, message: reversal }, async () => reversal);
  assert.deepEqual(
    events.slice(3).map(({ hop }) => hop),
    ['confirm', 'confirm'],
  );
});

test('chip data that is no TLV is hidden whole', () => {
  const message = makeMessage('0200', [[55, fromHex(`9F${PAN}F`)]]);
  const { data } = messageSeen('sent', message, 'switch');
  assert.equal(data['F55.tlv'], '**'.repeat(11));
});
