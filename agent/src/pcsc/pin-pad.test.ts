/** The PIN pad is asked for exactly one thing: a plaintext offline VERIFY of a format 2 block. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { ReaderError, type ReaderErrorCode } from '../readers/errors.ts';
import {
  PIN_PAD_TIMEOUT_MS,
  parseFeatures,
  pinPadOf,
  pinPadResult,
  pinVerifyStructure,
} from './pin-pad.ts';

const OPTIONS = { digitsMin: 4, digitsMax: 12, timeoutMs: 30_000, language: 'zh' } as const;

test('features: tag, length 4, control code, big-endian; what has another shape is left out', () => {
  const features = parseFeatures(fromHex('0604420000DB0B020000120442000DDE'));
  assert.deepEqual(
    [...features],
    [
      [0x06, 0x420000db],
      [0x12, 0x42000dde],
    ],
  );
  assert.equal(parseFeatures(fromHex('0604420000')).size, 0);
  assert.equal(parseFeatures(new Uint8Array(0)).size, 0);
});

test('the structure byte by byte: VERIFY 00 20 00 80 with an empty format 2 block (EMV 4.3 B3 §6.5.12)', () => {
  assert.equal(
    toHex(pinVerifyStructure(OPTIONS)),
    // Times; format, block and length strings; 4 to 12 digits; key ends it; one message; zh-CN;
    `1E1E${'894704'}${'0C04'}${'02'}${'01'}${'0408'}` +
      // first message, no prologue; 13 bytes of APDU.
      `00000000${'0D000000'}002000800820FFFFFFFFFFFFFF`,
  );
  const english = pinVerifyStructure({ ...OPTIONS, language: 'en', timeoutMs: 999_000 });
  assert.equal(toHex(english).slice(0, 4), 'FFFF');
  assert.equal(toHex(english).slice(18, 22), '0904');
});

test('an offline PIN has 4 to 12 digits', () => {
  for (const [digitsMin, digitsMax] of [
    [3, 12],
    [4, 13],
    [6, 5],
    [Number.NaN, 12],
  ] as const) {
    assert.throws(() => pinVerifyStructure({ ...OPTIONS, digitsMin, digitsMax }), {
      code: 'ERR_READER_UNSUPPORTED',
    });
  }
});

test("the pad's own status words are outcomes, all others are the card's answer", () => {
  assert.deepEqual(pinPadResult(fromHex('6400')), { result: 'timeout' });
  assert.deepEqual(pinPadResult(fromHex('6401')), { result: 'cancelled' });
  assert.deepEqual(pinPadResult(fromHex('6403')), { result: 'unusable' });
  for (const answer of ['9000', '63C2', '6983', '6984']) {
    assert.deepEqual(pinPadResult(fromHex(answer)), {
      result: 'verified',
      response: fromHex(answer),
    });
  }
});

test('no fault of a pad is "cancelled": of all status words only the one of its key', () => {
  const cancelled: string[] = [];
  for (let word = 0; word < 0x10000; word++) {
    const text = word.toString(16).toUpperCase().padStart(4, '0');
    if (pinPadResult(fromHex(text)).result === 'cancelled') cancelled.push(text);
  }
  assert.deepEqual(cancelled, ['6401']);
  for (const short of ['', '64']) {
    assert.deepEqual(pinPadResult(fromHex(short)), { result: 'unusable' }, 'no answer at all');
  }
});

/** A pad whose driver answers with this fault. */
function failing(code: ReaderErrorCode) {
  const pad = pinPadOf(new Map([[0x06, 1]]), () =>
    Promise.reject(new ReaderError(code, 'as a driver does')),
  );
  assert.ok(pad);
  return pad.verifyPlaintextPin(OPTIONS);
}

test('a driver that fails at the pad: unusable; a silent one: timeout; a pulled card: its own code', async () => {
  assert.deepEqual(await failing('ERR_READER_FAULT'), { result: 'unusable' });
  assert.deepEqual(await failing('ERR_CARD_TRANSPORT'), { result: 'unusable' });
  assert.deepEqual(await failing('ERR_READER_TIMEOUT'), { result: 'timeout' });
  for (const code of ['ERR_CARD_REMOVED', 'ERR_CARD_RESET', 'ERR_READER_GONE'] as const) {
    await assert.rejects(failing(code), { code });
  }
});

test('the pad is asked through its control code, for 90 s where nothing else is said', async () => {
  assert.equal(
    pinPadOf(new Map([[0x12, 1]]), () => assert.fail('asked')),
    null,
  );
  const asked: unknown[] = [];
  const pad = pinPadOf(new Map([[0x06, 0x420000db]]), async (request, timeoutMs) => {
    asked.push([request, timeoutMs]);
    return { data: '63C2' } as never;
  });
  assert.deepEqual(await pad?.verifyPlaintextPin(OPTIONS), {
    result: 'verified',
    response: fromHex('63C2'),
  });
  const data = toHex(pinVerifyStructure(OPTIONS));
  assert.deepEqual(asked.splice(0), [[{ op: 'control', code: 0x420000db, data }, 32_000]]);
  const { timeoutMs: _, ...usual } = OPTIONS;
  await pad?.verifyPlaintextPin(usual);
  const seconds = toHex(Uint8Array.of(PIN_PAD_TIMEOUT_MS / 1000)).repeat(2);
  const [[request, waitsMs] = []] = asked as [{ readonly data: string }, number][];
  assert.deepEqual([request?.data.slice(0, 4), waitsMs], [seconds, 92_000]);
  assert.equal(PIN_PAD_TIMEOUT_MS, 90_000);
});

test('any bytes as features end in a map', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => parseFeatures(data).size <= 32),
  );
});
