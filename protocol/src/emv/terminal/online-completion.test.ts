/**
 * From the ARQC to the end beyond the plain way: referral, the card's advice, issuer authentication
 * in the second GENERATE AC, scripts of every shape, a card gone at each command.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { Iso7816Error, StatusWord } from '../../iso7816/index.ts';
import { answer, TEST_PAN, type TestCardOptions, testCard, testKeyOf } from './card.test-kit.ts';
import type { OnlineAnswer } from './index.ts';
import { APPROVAL, answering, type CaseRun, runCase, type TestCase } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const run = (what: TestCase): CaseRun => runCase({ ciphers: nodeCiphers, keys: KEYS }, what);
const answeredBy = (responseCode: string, scripts: readonly string[] = []): OnlineAnswer => ({
  ...APPROVAL,
  result: 'answered',
  responseCode,
  scripts: scripts.map(fromHex),
});
const object = (tag: string, body: string): string => {
  const length = body.length / 2;
  const head = length < 0x80 ? [length] : [0x81, length];
  return `${tag}${toHex(Uint8Array.from(head))}${body}`;
};

type Asked = { readonly pan: string; readonly responseCode: string };

/** The attendant's word at a referral, and what was asked. */
function refer(responseCode: string, word: unknown, more: TestCase = {}) {
  const asked: Asked[] = [];
  const result = run({
    ...more,
    online: answeredBy(responseCode),
    driver: {
      referral: (request) => {
        asked.push({ pan: request.pan.expose(), responseCode: request.responseCode });
        if (word instanceof Error) throw word;
        return word as 'approved';
      },
    },
  });
  const phase = result.phases.find(({ phase: name }) => name === 'onlineProcessing');
  return { ...result, asked, facts: phase?.facts };
}

test('EMV 4.3 B4 §6.5.2.2: a referral that is approved asks for a TC under the code as it came', () => {
  for (const code of ['01', '02']) {
    const { word, asked, wires, facts, outcome } = refer(code, 'approved');
    assert.deepEqual(word, ['approved', `referral:${code}`]);
    assert.deepEqual(asked, [{ pan: TEST_PAN, responseCode: code }]);
    const arc = `3${code[0]}3${code[1]}`;
    assert.match(wires.at(-1) ?? '', new RegExp(`^80AE40000D${arc}`));
    assert.deepEqual([outcome.responseCode, facts?.['referral']], [code, 'approved']);
    assert.equal(outcome.offlineApproval, null);
  }
});

test('EMV 4.3 B4 §6.5.2.2: a referral that is not approved is a decline, whatever kept it so', () => {
  const no = refer('01', 'declined', { card: { secondCid: 0x00 } });
  assert.deepEqual(no.word, ['declined', 'referral:01']);
  assert.match(no.wires.at(-1) ?? '', /^80AE0000/);
  assert.deepEqual(no.facts?.['fault'], null);
  for (const nonsense of [undefined, null, 'yes', true]) {
    const { word } = refer('02', nonsense, { card: { secondCid: 0x00 } });
    assert.deepEqual(word, ['declined', 'referral:02']);
  }
  const broken = refer('01', new TapError('ERR_CHANNEL_CLOSED', 'gone'), {
    card: { secondCid: 0x00 },
  });
  assert.deepEqual(broken.word, ['declined', 'referral:01']);
  assert.equal(broken.facts?.['fault'], 'ERR_CHANNEL_CLOSED');
  assert.equal(broken.outcome.second?.type, 'AAC');
});

test('EMV 4.3 B4 §6.5.2: an unattended terminal asks nobody; other codes are no referral', () => {
  const change = { terminal: { terminalType: 0x25 } };
  const alone = refer('01', 'approved', { change, card: { secondCid: 0x00 } });
  assert.deepEqual([alone.word, alone.asked], [['declined', 'issuer:01'], []]);
  for (const code of ['00', '03', '04', '05', '10', '11', '51', 'Z1', '21']) {
    const { asked, word } = refer(code, 'approved', { card: { secondCid: 0x00 } });
    assert.deepEqual(asked, [], code);
    assert.equal(word[0], 'declined', code);
  }
});

test('a card that declines an approved referral has the last word', () => {
  const { word } = refer('01', 'approved', { card: { secondCid: 0x00 } });
  assert.deepEqual(word, ['declined', 'card:AAC']);
});

test('EMV 4.3 B3 §6.5.5.4 table 14: advice and its reason are told of the last cryptogram', () => {
  const reasons = [
    'none',
    'serviceNotAllowed',
    'pinTryLimitExceeded',
    'issuerAuthenticationFailed',
    'reserved',
    'reserved',
    'reserved',
    'reserved',
  ];
  for (const [code, reason] of reasons.entries()) {
    for (const advice of [0x00, 0x08]) {
      // Bits 6 and 5 are the payment system's.
      const { outcome, phases } = run({ card: { firstCid: 0x30 | advice | code } });
      assert.deepEqual(outcome.cardAdvice, { isRequired: advice !== 0, reason });
      const first = phases.find(({ phase }) => phase === 'firstGenerateAc');
      assert.deepEqual(first?.facts, {
        type: 'AAC',
        adviceRequired: advice !== 0,
        adviceReason: reason,
        combined: null,
      });
    }
  }
  const second = run({ card: { firstCid: 0x81, secondCid: 0x0a } });
  assert.deepEqual(second.outcome.cardAdvice, { isRequired: true, reason: 'pinTryLimitExceeded' });
  assert.deepEqual(second.word, ['declined', 'card:AAC']);
  const none = run({ card: answering(0xa8, answer('', 0x6985)) });
  assert.equal(none.outcome.cardAdvice, null);
});

test('EMV 4.3 B4 §6.3.7 table 3: "service not allowed" with an AAC is not accepted', () => {
  const { word, outcome } = run({ card: { firstCid: 0x01 } });
  assert.deepEqual(word, ['notAccepted', 'card:serviceNotAllowed']);
  assert.equal(outcome.first?.type, 'AAC');
  // Beside an ARQC it says nothing.
  assert.deepEqual(run({ card: { firstCid: 0x81 } }).word, ['approved', 'issuer:00']);
});

test('EMV 4.3 B4 §6.3.6: a CDOL1 with 8A carries Y1 or Z1, and none on the way online', () => {
  const elements = { '8C': '8A0295059F3704' };
  const first = (what: TestCase): string =>
    run({ ...what, card: { ...what.card, elements } }).wires.find((wire) =>
      wire.startsWith('80AE'),
    ) ?? '';
  const below = { aid: { floorLimitMinor: 100_000n } };
  assert.match(first({ card: { firstCid: 0x40 }, change: below }), /^80AE40000B5931/);
  const denied = { aid: { tacDenial: fromHex('0000008000') } };
  assert.match(first({ card: { firstCid: 0x00 }, change: denied }), /^80AE00000B5A31/);
  assert.match(first({}), /^80AE80000B0000/);
  // A card that goes online although a TC was asked takes no Y1 to the issuer.
  const upgraded = run({ card: { firstCid: 0x80 }, change: below });
  assert.equal(upgraded.requests[0]?.values.has('8A'), false);
});

const IN_FINAL_AC: TestCardOptions = { aip: '7800', elements: { '8D': '910A8A0295059B02' } };

test('EMV 4.3 B3 §10.9: without EXTERNAL AUTHENTICATE tag 91 goes into the second GENERATE AC', () => {
  const { wires, outcome, phases } = run({ card: IN_FINAL_AC });
  assert.equal(wires.at(-1)?.slice(0, 40), '80AE400013AABBCCDDEEFF001130303030000000');
  assert.ok(!wires.some((wire) => wire.startsWith('0082')));
  const facts = phases.find(({ phase }) => phase === 'issuerAuthentication')?.facts;
  assert.deepEqual(facts, { result: 'inSecondGenerateAc' });
  assert.equal(outcome.issuerAuthentication, 'notPerformed');
  const nowhere = run({ card: { aip: '7800' } });
  const none = nowhere.phases.find(({ phase }) => phase === 'issuerAuthentication')?.facts;
  assert.deepEqual(none, { result: 'notSupportedByCard' });
  const absent = run({
    card: IN_FINAL_AC,
    online: { result: 'answered', responseCode: '00', scripts: [] },
  });
  assert.match(absent.wires.at(-1) ?? '', /^80AE400013000000000000000000003030/);
});

test('EMV 4.3 B3 §6.5.5.4: the card tells of a failed ARPC by its reason code', () => {
  const { word, outcome } = run({ card: { ...IN_FINAL_AC, secondCid: 0x03 } });
  assert.deepEqual(word, ['declined', 'card:AAC']);
  assert.equal(outcome.issuerAuthentication, 'failed');
});

test('EMV 4.3 B3 §6.5.4: 8 to 16 bytes go to EXTERNAL AUTHENTICATE as they are, once', () => {
  for (const length of [8, 10, 16]) {
    const issuerAuthenticationData = new Uint8Array(length).fill(0x77);
    const online = { ...answeredBy('00'), issuerAuthenticationData } as OnlineAnswer;
    const sent = run({ online }).wires.filter((wire) => wire.startsWith('0082'));
    const lc = toHex(Uint8Array.of(length));
    assert.deepEqual(sent, [`00820000${lc}${'77'.repeat(length)}`]);
  }
});

/** Scripts of an approval, with the card's status words to them in order. */
function scripted(scripts: readonly string[], words: readonly number[] = [0x9000]) {
  let used = 0;
  const sent: string[] = [];
  const result = run({
    online: answeredBy('00', scripts),
    card: {
      override: ({ cla }) => {
        if (cla !== 0x84 && cla !== 0x04) return undefined;
        used += 1;
        return answer('', words[used - 1] ?? words.at(-1) ?? 0x9000);
      },
    },
  });
  for (const wire of result.wires) if (/^(84|04)/.test(wire)) sent.push(wire);
  return {
    ...result,
    sent,
    results: result.outcome.scriptResults.map(toHex),
  };
}
const BLOCK = '841E000004A1B2C3D4';

test('EMV 4.3 B3 §10.10: 62xx and 63xx are warnings, any other first byte stops the script', () => {
  const three = object('71', object('86', BLOCK).repeat(3));
  for (const word of [0x9000, 0x9001, 0x6200, 0x6283, 0x62ff, 0x6300, 0x63c0, 0x63cf]) {
    const { sent, results, tvr } = scripted([three], [word]);
    assert.deepEqual([sent.length, results, tvr], [3, ['2000000000'], '0000008000'], `${word}`);
  }
  for (const word of [0x6400, 0x6581, 0x6700, 0x6982, 0x6987, 0x6988, 0x6a80, 0x6d00, 0x9100]) {
    const { sent, results, tvr } = scripted([three], [0x9000, word]);
    assert.deepEqual([sent.length, results, tvr], [2, ['1200000000'], '0000008020'], `${word}`);
  }
});

test('EMV 4.3 B4 §A5: the number of the failing command, F from the fifteenth on', () => {
  for (const [failing, nibble] of [
    [1, '1'],
    [14, 'E'],
    [15, 'F'],
    [16, 'F'],
    [20, 'F'],
  ] as const) {
    const long = object('72', `9F180401020304${object('86', '84180000').repeat(20)}`);
    const words = [...new Array<number>(failing - 1).fill(0x9000), 0x6985];
    const { results, sent } = scripted([long], words);
    assert.deepEqual([results, sent.length], [[`1${nibble}01020304`], failing]);
  }
});

test('EMV 4.3 B4 §6.3.9: a script of more than 128 bytes is run, one command as long as it can be', () => {
  const long = object('86', `8424000078${'5A'.repeat(120)}`);
  const script = object('72', `9F180401020304${long}`);
  assert.ok(script.length / 2 > 128);
  const { sent, results, tvr, tsi } = scripted([script]);
  assert.deepEqual([sent, results], [[`8424000078${'5A'.repeat(120)}`], ['2001020304']]);
  assert.deepEqual([tvr, tsi], ['0000008000', 'FC00']);
});

test('EMV 4.3 B3 §10.10: commands of every case go to the card byte for byte', () => {
  const commands = ['84180000', '8418000010', '8418000000', BLOCK, `${BLOCK}00`, `${BLOCK}08`];
  const { sent, results } = scripted([
    object('71', commands.map((command) => object('86', command)).join('')),
  ]);
  assert.deepEqual([sent, results], [commands, ['2000000000']]);
});

test('EMV 4.3 B3 §10.10: unknown objects between the commands are passed over', () => {
  const body = `9F180401020304${object('5F50', '31')}${object('86', BLOCK)}${object('DF01', '00')}`;
  const { sent, results } = scripted([object('72', body)]);
  assert.deepEqual([sent, results], [[BLOCK], ['2001020304']]);
  const second = object('72', object('86', BLOCK) + object('9F18', '01020304'));
  assert.deepEqual(scripted([second]).results, ['2001020304']);
  // An identifier of another length is none.
  const short = object('72', object('9F18', '0102') + object('86', BLOCK));
  assert.deepEqual(scripted([short]).results, ['2000000000']);
});

test('a script with one command that is none is not performed: nothing of it is sent', () => {
  for (const odd of ['', '84', '841E00', '841E000005A1B2C3D4', '841E000002A1B2C3D4']) {
    const body = object('86', BLOCK) + object('86', odd);
    const { sent, results, tvr } = scripted([object('71', body)]);
    assert.deepEqual([sent, results, tvr], [[], ['0000000000'], '0000008020'], odd);
  }
});

test('EMV 4.3 B3 §10.10: several scripts run in order, one that fails stops only itself', () => {
  const one = (tag: string, id: string): string =>
    object(tag, object('9F18', id) + object('86', BLOCK).repeat(2));
  const { sent, results, tvr, phases } = scripted(
    [one('72', '00000003') + one('71', '00000001'), one('71', '00000002'), one('72', '00000004')],
    [0x6988, 0x9000, 0x9000, 0x9000, 0x9000, 0x6a80],
  );
  assert.deepEqual(results, ['1100000001', '2000000002', '2000000003', '1100000004']);
  assert.equal(sent.length, 6);
  assert.equal(tvr, '0000008030');
  const counts = phases.filter(({ phase }) => phase.startsWith('scripts'));
  assert.deepEqual(
    counts.map(({ facts }) => facts['scripts']),
    [2, 2],
  );
});

test('more scripts or commands than the limits allow are "not performed", and marked', () => {
  const tooMany = object('71', object('86', '84180000').repeat(41));
  assert.deepEqual(scripted([tooMany]).results, ['0000000000']);
  const { results, tvr } = scripted(new Array<string>(20).fill(object('71', object('86', BLOCK))));
  assert.deepEqual(results, [...new Array<string>(8).fill('2000000000'), '0000000000']);
  assert.equal(tvr, '0000008020');
});

test('scripts run after a decline too, and change nothing of it', () => {
  const result = run({
    online: answeredBy('51', [object('72', object('86', BLOCK))]),
    card: {
      secondCid: 0x00,
      override: ({ cla }) => (cla === 0x84 ? answer('') : undefined),
    },
  });
  assert.deepEqual(result.word, ['declined', 'issuer:51']);
  assert.deepEqual(result.outcome.scriptResults.map(toHex), ['2000000000']);
});

const COMPLETE: OnlineAnswer = answeredBy('00', [
  object('71', object('86', BLOCK).repeat(2)),
  object('72', object('86', BLOCK).repeat(2)),
]);

/** Pulls the card at its n-th command after the issuer's answer. */
function pulledAfter(online: OnlineAnswer, nth: number, secondCid = 0x40): CaseRun {
  const card = testCard(nodeCiphers, KEYS, {
    elements: { '8E': '00000000000000001F00', '9F0D': '0000000000' },
    secondCid,
    override: ({ cla }) => (cla === 0x84 ? answer('') : undefined),
  });
  let after = -1;
  return run({
    change: { aid: { tacDefault: new Uint8Array(5) } },
    driver: {
      authorise: () => {
        after = 0;
        return online;
      },
      transmit: (command, index) => {
        if (after >= 0) after += 1;
        if (after === nth) throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
        return card(command, index);
      },
    },
  });
}

test('a card gone at each command after the answer: open until its TC is seen, paid after', () => {
  const words = [1, 2, 3, 4, 5, 6, 7].map((nth) => pulledAfter(COMPLETE, nth).word.join(' '));
  assert.deepEqual(words, [
    'unknown ERR_CARD_REMOVED', // EXTERNAL AUTHENTICATE
    'unknown ERR_CARD_REMOVED', // first command of script 71
    'unknown ERR_CARD_REMOVED',
    'unknown ERR_CARD_REMOVED', // second GENERATE AC
    'approved issuer:00', // script 72
    'approved issuer:00',
    'approved issuer:00', // never pulled
  ]);
  const refused: OnlineAnswer = { ...COMPLETE, responseCode: '51' } as OnlineAnswer;
  for (const nth of [1, 2, 3, 4, 5, 6]) {
    assert.deepEqual(pulledAfter(refused, nth, 0x00).word, ['declined', 'issuer:51']);
  }
  assert.deepEqual(pulledAfter({ result: 'unable' }, 1).word, ['declined', 'ERR_CARD_REMOVED']);
  assert.deepEqual(pulledAfter({ result: 'unknown' }, 1).word, ['unknown', 'online:unknown']);
});

test('a card that answers nonsense at each command after the answer gives no approval but its TC', () => {
  const junk = { data: fromHex('FFFF'), statusWord: StatusWord(0x6f00) };
  const at = (ins: number): readonly [string, string] =>
    run({ online: COMPLETE, card: answering(ins, junk, ins === 0xae ? 2 : 1) }).word;
  assert.deepEqual(at(0x82), ['approved', 'issuer:00']);
  assert.deepEqual(at(0x1e), ['approved', 'issuer:00']);
  assert.deepEqual(at(0xae), ['declined', 'card:ERR_CARD_STATUS']);
});
