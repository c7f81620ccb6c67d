/**
 * Shows the card's contactless side: what it answers in a reader's field, its cryptogram and
 * signature bit by bit, one counter for both interfaces, and which commands it refuses.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import { applicationCryptogram, deriveSessionKey, rsaRaw } from '../../crypto/index.ts';
import { decodeTlv, flattenTlv } from '../../iso7816/index.ts';
import type { IccImage } from '../data/index.ts';
import { assembleAcInput } from '../issuer/index.ts';
import {
  AID,
  type Change,
  cardOf as cardBy,
  GPO,
  IMAGE,
  imageOf,
  KEYS,
  RANDOM,
  rsaKey,
  SELECT as SELECT_BY_CONTACT,
  send,
  stateOf,
} from './icc.test-kit.ts';
import { createVirtualIcc, type IccInterface, type VirtualIcc } from './index.ts';
import { sampleCard } from './sample.test-card.ts';

const PPSE = '00A404000E325041592E5359532E444446303100';
const SELECT = '00A4040008A00000033301010100';
const VALUES = '000000001234000000000000015600000000000156260701007863AFC6';
/** GPO with these reader's qualifiers. */
const gpo = (ttq = '37800080') => `80A80000238321${ttq}${VALUES}00`;

/** A card with a change, in a reader's field when nothing else is said. */
function cardOf(change: Change = {}, by: IccInterface = 'contactless'): VirtualIcc {
  return cardBy(imageOf(change), by);
}

const lab = (contactlessRefusal: IccImage['lab']['contactlessRefusal']): Partial<IccImage> => ({
  lab: { ...IMAGE.lab, contactlessRefusal },
});

/** Objects of GPO's answer and of the last record. */
function tapped(card: VirtualIcc, ttq?: string): ReadonlyMap<string, Uint8Array> {
  assert.equal(send(card, SELECT).sw, '9000');
  const { data, sw } = send(card, gpo(ttq));
  assert.equal(sw, '9000');
  const last = send(card, '00B2052400');
  assert.equal(last.sw, '9000');
  return new Map([
    ...flattenTlv(decodeTlv(fromHex(data))),
    ...flattenTlv(decodeTlv(fromHex(last.data))),
  ]);
}

/** Card key for cryptograms. */
const CARD_KEY_AC = fromHex(IMAGE.applications[0]?.dgis['8000'] ?? '').slice(0, 16);
const hexOf = (values: ReadonlyMap<string, Uint8Array>, tag: string): string =>
  toHex(values.get(tag) ?? new Uint8Array(0));

test('the PPSE names the application; there is no 1PAY in the field and no 2PAY on contacts', () => {
  const card = cardOf();
  const { data, sw } = send(card, PPSE);
  assert.equal(sw, '9000');
  const values = flattenTlv(decodeTlv(fromHex(data)));
  assert.equal(hexOf(values, '84'), '325041592E5359532E4444463031');
  assert.equal(hexOf(values, '4F'), AID);
  assert.equal(send(card, PPSE.replace('32504159', '31504159')).sw, '6A82');
  assert.equal(send(cardOf({}, 'contact'), PPSE).sw, '6A82');
  assert.equal(send(card, '00B2010C00').sw, '6985', 'the PPSE has no records');
});

test("the FCI asks for the reader's qualifiers (EMV C-7 §3.2)", () => {
  const values = flattenTlv(decodeTlv(fromHex(send(cardOf(), SELECT).data)));
  assert.equal(hexOf(values, '9F38'), '9F66049F02069F03069F1A0295055F2A029A039C019F3704');
  assert.equal(hexOf(values, '9F38').slice(0, 6), '9F6604');
});

test('GPO gives the cryptogram: each object, CVN 17 over amount, number, counter, CVR byte 2', () => {
  const card = cardOf({ state: { atc: 0x0102 } });
  const values = tapped(card);
  assert.equal(hexOf(values, '82'), '7C00');
  assert.equal(hexOf(values, '94'), '20010501');
  assert.equal(hexOf(values, '9F36'), '0103');
  // New card, and 0x103 transactions since one that was completed online: velocity exceeded.
  assert.equal(hexOf(values, '9F10'), '07011703A0300201');
  assert.equal(hexOf(values, '57'), '6299990000000009D311222000000F');
  assert.equal(hexOf(values, '5F34'), '01');
  assert.equal(hexOf(values, '9F6C'), '2800');
  assert.equal(values.has('9F27'), false);
  assert.equal(values.get('9F4B')?.length, 128);
  const last = send(card, '00B2052400').data;
  assert.equal(last, `700B9F6908${hexOf(values, '9F69')}`, 'the signature is in the answer only');
  const input = fromHex('0000000012347863AFC60103A0');
  const key = deriveSessionKey(CARD_KEY_AC, fromHex('0103'));
  assert.equal(hexOf(values, '9F26'), toHex(applicationCryptogram(key, input)));
  const field55 = new Map([
    ...values,
    ['9F02', fromHex('000000001234')],
    ['9F37', fromHex('7863AFC6')],
  ] as const);
  assert.deepEqual(assembleAcInput(field55), input);
});

test('the signature covers 9F37, 9F02, 5F2A and 9F69 of version 01 (fDDA)', () => {
  const values = tapped(cardOf());
  assert.equal(hexOf(values, '9F69'), '015A5A5A5A280000');
  const { modulus, publicExponent } = KEYS.icc;
  const signed = values.get('9F4B') ?? new Uint8Array(0);
  const plain = rsaRaw(modulus, publicExponent, signed);
  assert.equal(toHex(plain.subarray(0, 5)), '6A05010908');
  assert.equal(plain.at(-1), 0xbc);
  const hashed = concatBytes(
    plain.subarray(1, plain.length - 21),
    fromHex('7863AFC6' + '000000001234' + '0156'),
    fromHex('015A5A5A5A280000'),
  );
  assert.deepEqual(nodeCiphers.sha1(hashed), plain.slice(plain.length - 21, -1));
});

test('a key above 1024 bits has its signature in the last record', () => {
  const { image } = sampleCard(nodeCiphers, { ...KEYS, icc: rsaKey(1152) });
  const card = createVirtualIcc({
    image,
    ciphers: nodeCiphers,
    random: RANDOM,
    interface: 'contactless',
  });
  send(card, SELECT);
  const answer = flattenTlv(decodeTlv(fromHex(send(card, gpo()).data)));
  assert.equal(answer.has('9F4B'), false);
  const record = flattenTlv(decodeTlv(fromHex(send(card, '00B2052400').data)));
  assert.equal(record.get('9F4B')?.length, 144);
  assert.equal(record.get('9F69')?.length, 8);
});

for (const [what, ttq, ctq, wanted] of [
  ['no CVM wanted', '37800080', '2800', '2800'],
  ['CVM wanted: online PIN', '37C00080', '2800', 'A800'],
  ['CVM wanted, no PIN at the reader: signature', '33C00080', '2800', '6800'],
  ['CVM wanted, nothing in common', '31C00080', '2800', '2800'],
  ['verified by the device', '37C00080', '2880', '2880'],
] as const) {
  test(`${what}: CTQ ${wanted}, in 9F69 too`, () => {
    const values = tapped(cardOf({ objects: { '9F6C': ctq } }), ttq);
    assert.equal(hexOf(values, '9F6C'), wanted);
    assert.equal(hexOf(values, '9F69').slice(10, 14), wanted);
  });
}

test('the counter of both interfaces is one, and is in the image before the answer is out', () => {
  const card = cardOf();
  tapped(card);
  assert.equal(stateOf(card.image()).atc, 1);
  const inserted = cardBy(card.image());
  send(inserted, SELECT_BY_CONTACT);
  assert.equal(send(inserted, GPO).sw, '9000');
  assert.equal(stateOf(inserted.image()).atc, 2);
  const again = cardBy(inserted.image(), 'contactless');
  assert.equal(hexOf(tapped(again), '9F36'), '0003');
});

test('a tap changes nothing but the counter: no completion is awaited', () => {
  const card = cardOf();
  tapped(card);
  assert.deepEqual(stateOf(card.image()), { ...IMAGE.applications[0]?.state, atc: 1 });
});

for (const [what, change] of [
  ['application blocked', { state: { applicationBlocked: true } }],
  ['PIN tries used up, issuer declines', { state: { pinTryCounter: 0 } }],
] as const) {
  test(`${what}: AAC in the CVR`, () => {
    const card = cardOf({ ...change, objects: { '9F52': '0040' } });
    send(card, SELECT);
    const values = flattenTlv(decodeTlv(fromHex(send(card, gpo()).data)));
    assert.equal(hexOf(values, '9F10').slice(8, 10), '80');
  });
}

test('a card that asks for insertion says 6984 and keeps its counter', () => {
  const card = cardOf({ image: lab('6984') });
  assert.equal(send(card, PPSE).sw, '9000');
  assert.equal(send(card, SELECT).sw, '9000');
  assert.equal(send(card, gpo()).sw, '6984');
  assert.equal(stateOf(card.image()).atc, 0);
  const inserted = cardOf({ image: lab('6984') }, 'contact');
  send(inserted, SELECT_BY_CONTACT);
  assert.equal(send(inserted, GPO).sw, '9000');
});

test('a contact-only card has nothing for a reader', () => {
  const { image } = sampleCard(nodeCiphers, KEYS, { contactless: null });
  assert.equal(image.ppse, null);
  const card = createVirtualIcc({
    image,
    ciphers: nodeCiphers,
    random: RANDOM,
    interface: 'contactless',
  });
  assert.equal(send(card, PPSE).sw, '6A82');
  assert.equal(send(card, SELECT).sw, '6A82');
  assert.equal(send(card, gpo()).sw, '6985');
  assert.equal(send(card, '00B2012400').sw, '6985');
});

test('GPO in the field: each wrong command has its status word and counts nothing', () => {
  const card = cardOf();
  assert.equal(send(card, gpo()).sw, '6985', 'nothing is selected');
  send(card, SELECT);
  for (const [wire, sw] of [
    [gpo().replace('80A80000', '80A80100'), '6A86'],
    ['80A8000002830000', '6700'],
    [gpo().replace('238321', '238121'), '6A80'],
    [gpo('16800080'), '6985'],
  ] as const) {
    assert.equal(send(card, wire).sw, sw, wire);
  }
  assert.equal(stateOf(card.image()).atc, 0);
  assert.equal(send(card, gpo()).sw, '9000');
  assert.equal(send(card, gpo()).sw, '6985', 'once a selection');
  assert.equal(stateOf(card.image()).atc, 1);
  const used = cardOf({ state: { atc: 0xffff } });
  send(used, SELECT);
  assert.equal(send(used, gpo()).sw, '6985');
});

test('in the field the commands of a contact transaction are refused: 6985', () => {
  const card = cardOf();
  tapped(card);
  for (const wire of [
    `80AE800034${'00'.repeat(52)}`,
    '0088000004AABBCCDD',
    '008200000AAABBCCDDEEFF00113030',
    '841E000004AABBCCDD',
    '04DA9F5805AABBCCDDEE',
  ]) {
    assert.equal(send(card, wire).sw, '6985', wire);
  }
  assert.equal(send(card, '80B0000000').sw, '6D00');
  assert.equal(send(card, '90AE000000').sw, '6E00');
  assert.equal(stateOf(card.image()).atc, 1);
});

test('records of the contactless file only, and only after GPO', () => {
  const card = cardOf();
  send(card, SELECT);
  assert.equal(send(card, '00B2012400').sw, '6985');
  send(card, gpo());
  for (let record = 1; record <= 5; record++) {
    assert.equal(send(card, `00B20${record}2400`).sw, '9000');
  }
  assert.equal(send(card, '00B2062400').sw, '6A83');
  assert.equal(send(card, '00B2010C00').sw, '6A82', 'the contact file');
  card.reset();
  assert.equal(send(card, '00B2052400').sw, '6985');
});

test('a blocked card answers 6A81 to everything', () => {
  assert.equal(send(cardOf({ image: { cardBlocked: true } }), PPSE).sw, '6A81');
});

for (const [what, change] of [
  ['CVN 02', { dgis: { '0D02': '0101020100' } }],
  ['refusal of another kind', { image: lab('6985' as never) }],
  ['record too long', { dgis: { '0404': '00'.repeat(255) } }],
  ['no hex', { dgis: { '9103': '28zz' } }],
] as const) {
  test(`an image with ${what} does not run`, () => {
    assert.throws(
      () => cardOf(change),
      (thrown) => thrown instanceof TapError && thrown.code === 'ERR_EMV_IMAGE',
    );
  });
}

for (const [what, change] of [
  ['PDOL without 9F66', { request: { contactless: { pdol: '9F0206' } } }],
  ['9F66 of 3 bytes', { request: { contactless: { pdol: '9F6603' } } }],
  ['a PDOL that is cut', { dgis: { '9103': 'A5059F38029F66' } }],
  ['no AIP', { dgis: { '9207': '7C' } }],
] as const) {
  test(`a card with ${what} is selected, and its GPO refused: 6985`, () => {
    const card = cardOf(change);
    const fci = flattenTlv(decodeTlv(fromHex(send(card, SELECT).data)));
    assert.equal(hexOf(fci, '84'), AID);
    const list = hexOf(fci, '9F38');
    const length = { '9F0206': 6, '9F6603': 3 }[list] ?? 33;
    const zeros = list.length === 6 ? '20'.repeat(length) : gpo().slice(14, -2);
    const hex = (bytes: number) => bytes.toString(16).padStart(2, '0');
    const command = `80A80000${hex(length + 2)}83${hex(length)}${zeros}00`;
    assert.equal(send(card, command).sw, '6985');
    assert.equal(stateOf(card.image()).atc, 0);
  });
}

test('any bytes in any order: a status word, one count a GPO at most, no exception', () => {
  const known = fc.constantFrom(
    PPSE,
    SELECT,
    gpo(),
    gpo('00000000'),
    '00B2012400',
    '00B2052400',
    '80CA9F3600',
  );
  const junk = fc.uint8Array({ maxLength: 60 }).map(toHex);
  fc.assert(
    fc.property(fc.array(fc.oneof(known, junk), { maxLength: 12 }), (wires) => {
      const card = cardOf();
      for (const wire of wires) {
        const before = stateOf(card.image()).atc;
        const answer = card.transmit(fromHex(wire));
        assert.ok(answer.length >= 2 && answer.length <= 258);
        const counted = stateOf(card.image()).atc - before;
        assert.equal(counted, answer[0] === 0x77 ? 1 : 0);
      }
    }),
    { numRuns: 200 },
  );
});
