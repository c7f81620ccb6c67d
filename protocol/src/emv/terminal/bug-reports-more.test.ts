/**
 * Public bug reports, continued: those that show only over a whole transaction, or on the way from
 * the card to the issuer's message. Restated as the kind of fault they stand for, with own bytes.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { explain } from '../../explain/index.ts';
import { type CommandApdu, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { CUPS_DIALECT, decodeMessage, encodeMessage, makeMessage } from '../../iso8583/index.ts';
import { testCard, testKeyOf } from './card.test-kit.ts';
import { runCase } from './kernel.test-kit.ts';

type Card = (command: CommandApdu, index: number) => ResponseApdu;

/** How a reader and its card hand over an answer. */
const HANDOVERS: Readonly<Record<string, (card: Card) => Card>> = {
  'at once (T=1, or a driver that fetches)': (card) => card,
  'waiting under 61xx': (card) => waiting(card, 255),
  'in parts of 50 bytes under 61xx': (card) => waiting(card, 50),
  'for the right length only, 6Cxx': (card) => (command, index) => {
    const response = card(command, index);
    const { length } = response.data;
    if (command.data !== undefined || length === 0 || command.le === length) return response;
    return { data: new Uint8Array(0), statusWord: StatusWord(0x6c00 | (length & 0xff)) };
  },
};

/** Keeps an answer until GET RESPONSE asks for what was announced. */
function waiting(card: Card, partBytesMax: number): Card {
  let left: ResponseApdu | null = null;
  const announced = (): number => Math.min(left?.data.length ?? 0, partBytesMax);
  const more = (data: Uint8Array): ResponseApdu => ({
    data,
    statusWord: StatusWord(0x6100 | announced()),
  });
  return (command, index) => {
    if (command.ins !== 0xc0) {
      const response = card(command, index);
      if (response.data.length === 0) return response;
      left = response;
      return more(new Uint8Array(0));
    }
    assert.ok(left, 'GET RESPONSE with nothing waiting');
    const wanted = announced();
    assert.equal(command.le, wanted, 'asks for what was announced');
    const part = left.data.slice(0, wanted);
    const rest = left.data.slice(wanted);
    if (rest.length === 0) return { data: part, statusWord: left.statusWord };
    left = { data: rest, statusWord: left.statusWord };
    return more(part);
  };
}

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const CHAIN = { ciphers: nodeCiphers, keys: { ca: KEY, issuer: KEY, icc: KEY } };
const NO_CVM = { '8E': '00000000000000001F00' };

test('python-emv #8, tomkp/emv #82, IsoApplet #12: however an answer is handed over, one outcome', () => {
  const plain = runCase(CHAIN, { card: { elements: NO_CVM } });
  const counts = Object.entries(HANDOVERS).map(([how, handover]) => {
    const card = testCard(nodeCiphers, CHAIN.keys, { elements: NO_CVM });
    const result = runCase(CHAIN, { driver: { transmit: handover(card) } });
    assert.deepEqual([...result.word, result.tvr], ['approved', 'issuer:00', '0000008000'], how);
    assert.equal(result.outcome.dataAuthentication, 'DDA', how);
    assert.deepEqual(result.requests[0]?.field55, plain.requests[0]?.field55, how);
    return result.commands.length;
  });
  const [direct = 0, whole = 0, inParts = 0, corrected = 0] = counts;
  assert.equal(direct, plain.commands.length);
  assert.ok(direct < corrected && corrected < whole && whole < inParts, counts.join(' '));
});

const TRACKS = [
  '6299990000000009D30122010000000000000',
  '6299990000000009D3012201000000000000',
  '62999900000009D3012201000',
];

test('moov-io/iso8583 #351, #327: a track 2 of odd or even length stands whole in field 35', () => {
  const header = { destination: '00010000000', source: '49990000001' };
  for (const track of TRACKS) {
    const message = makeMessage('0200', [
      [11, '000123'],
      [35, track],
    ]);
    const decoded = decodeMessage(CUPS_DIALECT, encodeMessage(CUPS_DIALECT, header, message));
    assert.equal(decoded.fields.get(35), track);
    // Packed by a POS, the digit that fills the last byte is F or 0 and no part of it.
    for (const filler of ['F', '0']) {
      const packed = track.length % 2 === 0 ? track : `${track}${filler}`;
      const body = `000000000123${String(track.length)}${packed}${'31'.repeat(8)}`;
      const { facts } = explain(nodeCiphers, `02002020000020800000${body}`);
      assert.equal((facts['fields'] as Record<string, string>)['35'], track, packed);
    }
  }
});
