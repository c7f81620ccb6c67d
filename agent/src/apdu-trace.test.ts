/** The trace shows what went over the contacts but for what identifies a cardholder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex } from '@tapnpay/protocol/bytes';
import { type CardChannel, encodeTlv, Iso7816Error } from '@tapnpay/protocol/iso7816';
import fc from 'fast-check';
import { type ApduRecord, maskCommand, maskResponse, traceCard } from './apdu-trace.ts';

const READ_RECORD = fromHex('00B2011400');
const OK = fromHex('9000');
const PAN = '6299990000000009';
const record = (...objects: Uint8Array[]) =>
  concatBytes(encodeTlv('70', concatBytes(...objects)), OK);
const tlv = (tag: string, hex: string) => encodeTlv(tag, fromHex(hex));

test('PAN keeps six and four digits, tracks and names nothing; the rest is as it was', () => {
  const answer = record(
    tlv('5A', PAN),
    tlv('57', `${PAN}D31122200000000F`),
    tlv('5F20', '5A48414E472F53414E'),
    tlv('5F24', '311231'),
  );
  assert.equal(
    maskResponse(READ_RECORD, answer),
    `702E` +
      `5A08629999******0009` +
      `5710${'*'.repeat(32)}` +
      `5F2009${'*'.repeat(18)}` +
      `5F2403311231` +
      `9000`,
  );
});

test('an odd PAN keeps its filler, a 19-digit PAN its ends', () => {
  const answer = record(tlv('5A', '6299990000000000123F'));
  assert.equal(maskResponse(READ_RECORD, answer), '700C5A0A629999*********0123F9000');
});

test("the card's certificate is hidden: whoever has the issuer key reads the PAN in it", () => {
  const certificate = 'AB'.repeat(144);
  const masked = maskResponse(READ_RECORD, record(tlv('9F46', certificate)));
  assert.equal(masked, `7081949F468190${'*'.repeat(288)}9000`);
});

test('a record that is no TLV is hidden whole; another answer is shown', () => {
  const answer = concatBytes(fromHex('5A20629999'), OK);
  assert.equal(maskResponse(READ_RECORD, answer), `${'*'.repeat(10)}9000`);
  const challenge = concatBytes(fromHex('0102030405060708'), OK);
  assert.equal(maskResponse(fromHex('0084000008'), challenge), '01020304050607089000');
});

test("a tap's GPO answer keeps its cryptogram and loses track 2, whole when it is cut", () => {
  const gpo = fromHex('80A8000002830000');
  const objects = concatBytes(tlv('57', `${PAN}D311222F`), tlv('9F26', '1122334455667788'));
  const answer = concatBytes(encodeTlv('77', objects), OK);
  const masked = maskResponse(gpo, answer);
  assert.equal(masked, `7719570C${'*'.repeat(24)}9F260811223344556677889000`);
  const cut = concatBytes(encodeTlv('77', objects).slice(0, 14), OK);
  assert.equal(maskResponse(gpo, cut), `${'*'.repeat(28)}9000`);
});

test('a cut answer, and one without status word, are shown as nothing', () => {
  assert.equal(maskResponse(READ_RECORD, Uint8Array.of(0x62)), '**');
  assert.equal(maskResponse(READ_RECORD, fromHex('1234')), '****');
});

test('PIN data of VERIFY and PIN CHANGE never shows', () => {
  assert.equal(maskCommand(fromHex('0020008008241234FFFFFFFFFF')), `0020008008${'*'.repeat(16)}`);
  assert.equal(maskCommand(fromHex('84240000081122334455667788')), `8424000008${'*'.repeat(16)}`);
  assert.equal(maskCommand(fromHex('00A4040005A000000333')), '00A4040005A000000333');
});

test('no answer with a PAN or track in any place of a record shows it', () => {
  const filler = fc.constantFrom(tlv('9F0D', '0000000000'), tlv('5F25', '250101'), OK.slice(0, 0));
  const nested = (bytes: Uint8Array) => encodeTlv('A5', bytes);
  fc.assert(
    fc.property(fc.array(filler, { maxLength: 4 }), fc.boolean(), fc.nat(4), (parts, deep, at) => {
      const secret = concatBytes(tlv('5A', PAN), tlv('57', `${PAN}D311222F`), tlv('56', '42'));
      const objects = parts.toSpliced(at, 0, deep ? nested(secret) : secret);
      const masked = maskResponse(READ_RECORD, record(...objects));
      assert.ok(!masked.includes(PAN));
    }),
  );
});

test('masking never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 60 }), (one, two) => {
      maskCommand(one);
      maskResponse(one, two);
    }),
  );
});

test('each exchange is reported once, a fault with its code', async () => {
  const seen: ApduRecord[] = [];
  let count = 0;
  const card: CardChannel = {
    transmit: async () => {
      count += 1;
      if (count === 2) throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
      return OK;
    },
  };
  const traced = traceCard(card, (entry) => seen.push(entry));
  await traced.transmit(READ_RECORD);
  await assert.rejects(traced.transmit(READ_RECORD), { code: 'ERR_CARD_REMOVED' });
  assert.deepEqual(seen, [
    { number: 1, command: '00B2011400', response: '9000' },
    { number: 2, command: '00B2011400', response: 'ERR_CARD_REMOVED' },
  ]);
});
