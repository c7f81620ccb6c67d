/**
 * Shows that every trouble of the lab makes a card that runs: each is personalised, then used to
 * the end by both interfaces, and answers with status words only.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../../bytes/index.ts';
import { CARD_TROUBLES, type CardTrouble, ICC_ATR_T0, type IccImage } from '../data/index.ts';
import {
  AID,
  CardSession,
  type Change,
  cardOf,
  commandOf,
  GPO,
  imageOf,
  SELECT,
  TERMINAL,
} from './icc.test-kit.ts';

const PSE = '00A404000E315041592E5359532E444446303100';
const PPSE = '00A404000E325041592E5359532E444446303100';
const PURSE_GPO = '80A800000B8309010000000012340156';
const CDOL = `${TERMINAL['9F02']}${'00'.repeat(6)}01560000000000015626070100${TERMINAL['9F37']}`;
const FIRST_AC = `80AE800034${CDOL}101112${'20'.repeat(20)}00`;
const PURSE_AC = `80AE400034${CDOL}101112${'20'.repeat(20)}00`;
const SECOND_AC = commandOf('80AE4000', `5933${CDOL}`, '00');
const TAP_GPO = `80A80000248322360000${'80'}${TERMINAL['9F02']}00000000000001560000000000015626070100${TERMINAL['9F37']}0100`;
const READS = [1, 2, 3, 4, 5, 6, 7, 14].flatMap((sfi) =>
  [1, 2, 3, 4, 5].map((record) => {
    const p2 = ((sfi << 3) | 4).toString(16).padStart(2, '0');
    return `00B20${record}${p2}00`;
  }),
);
/** All that a terminal might send, whether it makes sense for this card or not. */
const SESSION: readonly string[] = [
  ...[PSE, PPSE, SELECT, PURSE_GPO, GPO, TAP_GPO, ...READS],
  ...['80CA9F1700', '80CA9F7900', '0084000000', '002000800826123456FFFFFFFF'],
  ...['00880000047863AFC600', PURSE_AC, FIRST_AC, '008200000A00000000000000003030'],
  ...[SECOND_AC, '841E00000400000000', '04DA9F790A00000003000000000000', '00B2015C00'],
];

function assertRuns(image: IccImage): readonly string[] {
  return (['contact', 'contactless'] as const).flatMap((by) => {
    const card = cardOf(image, by);
    const words = SESSION.map((hex) => toHex(card.transmit(fromHex(hex)).slice(-2)));
    for (const word of words) assert.match(word, /^(9000|6[0-9A-E][0-9A-F]{2})$/);
    assert.deepEqual(cardOf(card.image(), by).image(), card.image(), 'it can be stored');
    return words;
  });
}

for (const trouble of CARD_TROUBLES) {
  test(`a card with trouble "${trouble}" runs on both interfaces`, () => {
    const request = { troubles: [trouble], electronicCash: {}, pin: '123456' };
    const words = assertRuns(imageOf({ request }));
    const isDead = trouble === 'card-blocked';
    assert.equal(words.includes('9000'), !isDead);
  });
}

/** First GENERATE AC of a card with a trouble: its CID, or the word that refuses. */
function firstAnswer(trouble: CardTrouble, change: Change = {}): string {
  const session = new CardSession({ request: { troubles: [trouble], ...change.request } });
  const selected = session.send(commandOf('00A40400', AID)).sw;
  if (!['9000', '6283'].includes(selected)) return selected;
  const { sw } = session.send(GPO);
  if (sw !== '9000') return sw;
  const { data, sw: word } = session.send(FIRST_AC);
  return word === '9000' ? data.slice(4, 6) : word;
}

for (const [trouble, answer] of [
  ['expired', '80'],
  ['application-blocked', '00'],
  ['card-blocked', '6A81'],
  ['declines-offline', '00'],
  ['afl-empty', '80'],
  ['afl-malformed', '80'],
  ['missing-cdol1', '6985'],
] as const) {
  test(`trouble "${trouble}" as the card shows it: ${answer}`, () => {
    assert.equal(firstAnswer(trouble), answer);
  });
}

test('the card at its last counter does one transaction more, then none', () => {
  const session = new CardSession({ request: { troubles: ['atc-at-end'] } }).start();
  assert.equal(session.state.atc, 0xffff);
  session.send(SELECT);
  assert.equal(session.send(GPO).sw, '6985');
});

const known = fc.constantFrom(...SESSION, '00C0000000', '8424000204AABBCCDD', '80E28800030D0100');
const bent = fc.tuple(known, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([hex, at, value]) => {
  const bytes = fromHex(hex);
  return toHex(bytes.with(at % bytes.length, value));
});
const wires = fc.array(fc.oneof(known, bent, fc.uint8Array({ maxLength: 300 }).map(toHex)), {
  maxLength: 30,
});
const CARDS: readonly IccImage[] = [
  imageOf({ request: { electronicCash: {}, pin: '123456', dataAuthentication: ['DDA', 'CDA'] } }),
  imageOf({ request: { electronicCash: {} }, image: { atr: ICC_ATR_T0 } }),
  imageOf({ image: { life: 'personalisation', transportKey: '00'.repeat(16) } }),
];

test('any bytes, any card, any interface: a response APDU, never an exception, money kept', () => {
  fc.assert(
    fc.property(fc.constantFrom(...CARDS), fc.boolean(), wires, (image, isContact, commands) => {
      const card = cardOf(image, isContact ? 'contact' : 'contactless');
      for (const hex of commands) {
        const cash = card.image().applications[0]?.state.electronicCash;
        const answer = card.transmit(fromHex(hex));
        assert.ok(answer.length >= 2 && answer.length <= 258);
        assert.match(toHex(answer.slice(-2)), /^(9000|6[0-9A-E][0-9A-F]{2})$/);
        const now = card.image().applications[0]?.state.electronicCash;
        if (cash && now) assert.ok(BigInt(now.balanceMinor) <= BigInt(cash.balanceMinor));
      }
      cardOf(card.image());
    }),
    { numRuns: 200 },
  );
});
