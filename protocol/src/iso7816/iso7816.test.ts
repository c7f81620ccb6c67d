/** Shows APDU, TLV and DOL coding: round trips, the reports of the field, and junk that is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalBytes, fromHex, TapError, toHex } from '../bytes/index.ts';
import {
  buildDolValue,
  decodeCommand,
  decodeDol,
  decodeResponse,
  decodeTlv,
  encodeCommand,
  encodeResponse,
  encodeTlv,
  findTlv,
  flattenTlv,
  Iso7816Error,
  StatusWord,
  statusWordHex,
} from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;
const junk = fc.uint8Array({ maxLength: 300 });

/** A decoder may return or throw its own error, nothing else. */
function throwsOnlyItsOwn(decode: (bytes: Uint8Array) => unknown): void {
  fc.assert(
    fc.property(junk, (bytes) => {
      try {
        decode(bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof Iso7816Error, String(thrown));
      }
    }),
  );
}

test('command APDU: decode of encode is identity for all four cases, short and extended', () => {
  const apdu = fc.record({
    cla: fc.integer({ min: 0, max: 255 }),
    ins: fc.integer({ min: 0, max: 255 }),
    p1: fc.integer({ min: 0, max: 255 }),
    p2: fc.integer({ min: 0, max: 255 }),
    data: fc.uint8Array({ minLength: 0, maxLength: 400 }),
    le: fc.option(fc.integer({ min: 1, max: 65536 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(apdu, ({ le, data, ...header }) => {
      const extended = data.length > 255 || (le ?? 0) > 256;
      const command = {
        ...header,
        ...(data.length > 0 ? { data } : {}),
        ...(le === undefined ? {} : { le }),
      };
      const wire = encodeCommand(command);
      assert.equal(wire.length > 5 && wire[4] === 0 && extended, extended && wire.length > 5);
      assert.deepEqual(decodeCommand(wire), command);
    }),
  );
});

test('GPO with a PDOL carries its Le (proxmark3 #1094), READ RECORD no Lc (proxmark3 #171)', () => {
  const gpo = { cla: 0x80, ins: 0xa8, p1: 0, p2: 0, data: fromHex('8300'), le: 256 };
  assert.equal(toHex(encodeCommand(gpo)), '80A8000002830000');
  assert.equal(toHex(encodeCommand({ cla: 0, ins: 0xb2, p1: 1, p2: 0x0c, le: 256 })), '00B2010C00');
});

test('junk never makes a decoder throw anything but its coded error', () => {
  throwsOnlyItsOwn(decodeCommand);
  throwsOnlyItsOwn(decodeResponse);
  throwsOnlyItsOwn(decodeTlv);
  throwsOnlyItsOwn(decodeDol);
});

test('response APDU: the status word is checked', () => {
  assert.equal(statusWordHex(decodeResponse(fromHex('019000')).statusWord), '9000');
  assert.throws(() => decodeResponse(fromHex('90')), code('ERR_APDU_LENGTH'));
  assert.throws(() => decodeResponse(fromHex('1234')), code('ERR_APDU_STATUS'));
  const answer = { data: fromHex('0102'), statusWord: StatusWord(0x6283) };
  assert.deepEqual(decodeResponse(encodeResponse(answer)), answer);
});

test('TLV: FF and 00 between objects are filler (ber-tlv #11)', () => {
  const objects = decodeTlv(fromHex('700C5F340101FFFFFF9F57020001'));
  assert.deepEqual([...flattenTlv(objects).keys()], ['5F34', '9F57']);
});

test('TLV: length 91 is no length of an EMV object, and the byte is named (emv-bertlv #9)', () => {
  assert.throws(
    () => decodeTlv(fromHex('7091571347617390')),
    (thrown) =>
      thrown instanceof Iso7816Error &&
      thrown.code === 'ERR_TLV_LENGTH' &&
      thrown.data['offsetBytes'] === 1,
  );
});

test('TLV: an announced length beyond the end, indefinite length and deep nesting are refused', () => {
  assert.throws(() => decodeTlv(fromHex('5A20')), code('ERR_TLV_LENGTH'));
  assert.throws(() => decodeTlv(fromHex('5A81FF00')), code('ERR_TLV_LENGTH'));
  assert.throws(() => decodeTlv(fromHex('7080')), code('ERR_TLV_LENGTH'));
  assert.throws(() => decodeTlv(fromHex('9F')), code('ERR_TLV_TAG'));
  const deep = Array.from({ length: 9 }).reduce<Uint8Array>(
    (inner) => encodeTlv('70', inner),
    fromHex('5A0100'),
  );
  assert.throws(() => decodeTlv(deep), code('ERR_TLV_DEPTH'));
});

test('TLV: 82-length in a nested template keeps every byte (node-emv #4, #7)', () => {
  const value = new Uint8Array(300).fill(7);
  const found = findTlv(decodeTlv(encodeTlv('70', encodeTlv('9F46', value))), '9F46');
  assert.ok(found && equalBytes(found.value, value));
});

test('DOL: a doubled tag stays a list of two (python-emv #22), a cut entry is named', () => {
  const entries = decodeDol(fromHex('9A039F02069A03'));
  assert.deepEqual(
    entries.map(({ tag }) => tag),
    ['9A', '9F02', '9A'],
  );
  assert.throws(() => decodeDol(fromHex('9F02')), code('ERR_DOL'));
  assert.throws(() => decodeDol(fromHex('9FFF9F')), code('ERR_DOL'));
  assert.throws(() => decodeDol(fromHex('9F02FF')), code('ERR_DOL'));
});

test('DOL values are cut and padded by format; unknown tags are zeros (EMV 4.3 B3 §5.4)', () => {
  const value = (tag: string) => (tag === 'FF' ? undefined : fromHex('1234'));
  const build = (format: 'n' | 'cn' | 'other', lengthBytes: number, tag = '9A') =>
    toHex(buildDolValue([{ tag, lengthBytes }], value, () => format));
  assert.equal(build('n', 3), '001234');
  assert.equal(build('n', 1), '34');
  assert.equal(build('cn', 3), '1234FF');
  assert.equal(build('cn', 1), '12');
  assert.equal(build('other', 3), '123400');
  assert.equal(build('other', 1), '12');
  assert.equal(build('other', 2, 'FF'), '0000');
});
