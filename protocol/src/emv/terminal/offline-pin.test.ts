/**
 * Offline PIN: what drivers build (PIN block, encipherment, VERIFY), and how the kernel asks for it.
 * Every case states 9F34, the TVR, what the cardholder was asked and what the card was sent.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import {
  encodeCommand,
  Iso7816Error,
  type ResponseApdu,
  StatusWord,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import {
  answer,
  certify,
  TEST_PAN,
  type TestCardOptions,
  type TestKey,
  testKeyOf,
} from './card.test-kit.ts';
import {
  encipheredPinData,
  type PinEntry,
  type PinVerification,
  plaintextPinBlock,
  verifyCommand,
} from './index.ts';
import { APPROVAL, runCase, type TestCase } from './kernel.test-kit.ts';

const newKey = (): TestKey =>
  testKeyOf(
    generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
      format: 'jwk',
    }),
  );
const KEY = newKey();
const PIN_KEY = newKey();
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const CHALLENGE = 'A1B2C3D4E5F60718';
const fill = (length: number): Uint8Array => new Uint8Array(length).fill(0xc3);

test('EMV 4.3 B3 §6.5.12 table 24: the PIN block has control 2, length, digits, filler', () => {
  assert.equal(toHex(plaintextPinBlock('1234')), '241234FFFFFFFFFF');
  assert.equal(toHex(plaintextPinBlock('12345')), '2512345FFFFFFFFF');
  assert.equal(toHex(plaintextPinBlock('123456789012')), '2C123456789012FF');
  for (const pin of ['', '123', '1234567890123', '12a4', ' 1234', '１２３４']) {
    assert.throws(() => plaintextPinBlock(pin), { code: 'ERR_KERNEL_INPUT' }, pin);
  }
});

test('EMV 4.3 B2 §7.2: 7F, PIN block, challenge and padding under the key, as long as it', () => {
  const { modulus, exponent, privateExponent } = PIN_KEY;
  const challenge = fromHex(CHALLENGE);
  const input = { modulus, exponent, challenge, pin: '123456', random: fill };
  const enciphered = encipheredPinData(input);
  assert.equal(enciphered.length, modulus.length);
  const clear = toHex(rsaRaw(modulus, privateExponent, enciphered));
  assert.equal(clear, `7F26123456FFFFFFFF${CHALLENGE}${'C3'.repeat(modulus.length - 17)}`);
  const wrong = [
    { ...input, pin: '12' },
    { ...input, challenge: fromHex('A1B2') },
    { ...input, random: () => new Uint8Array(3) },
    { ...input, modulus: new Uint8Array(16).fill(0xff) },
  ];
  for (const bad of wrong) {
    assert.throws(() => encipheredPinData(bad), { code: 'ERR_KERNEL_INPUT' });
  }
});

test('EMV 4.3 B3 §6.5.12 table 23: VERIFY with P2 80 in clear, 88 enciphered', () => {
  const secret = { pin: '1234', random: fill };
  const plain = encodeCommand(verifyCommand({ form: 'plaintext' }, secret));
  assert.equal(toHex(plain), '0020008008241234FFFFFFFFFF');
  const { modulus, exponent, privateExponent } = PIN_KEY;
  const challenge = fromHex(CHALLENGE);
  const enciphered = verifyCommand({ form: 'enciphered', modulus, exponent, challenge }, secret);
  assert.deepEqual([enciphered.p1, enciphered.p2, enciphered.le], [0x00, 0x88, undefined]);
  const clear = rsaRaw(modulus, privateExponent, enciphered.data ?? new Uint8Array(0));
  assert.equal(toHex(clear).slice(0, 34), `7F241234FFFFFFFFFF${CHALLENGE}`);
});

/** A terminal with every PIN and signature. */
const ALL = { capabilities: fromHex('E0F8C0') };
const OFFLINE = { aid: { floorLimitMinor: 100_000n } };

type Scene = {
  readonly rules: string;
  readonly capabilities?: string;
  /** 9F17; null: GET DATA is refused. */
  readonly counter?: string | null;
  readonly entries?: readonly PinEntry[];
  /** Status words of VERIFY in order; the last one again and again. */
  readonly words?: readonly (number | 'removed')[];
  readonly challenge?: ResponseApdu;
  readonly card?: TestCardOptions;
};

/** What a scene comes to. */
function play(scene: Scene) {
  const asked: string[] = [];
  const verified: PinVerification[] = [];
  const { counter = '03', entries = [], words = [0x9000] } = scene;
  const elements = { '8E': `0000000000000000${scene.rules}`, ...scene.card?.elements };
  const what: TestCase = {
    card: {
      ...scene.card,
      elements,
      ...(counter === null ? {} : { getData: { '9F17': counter } }),
      override: (command, index) => {
        const own = scene.card?.override?.(command, index);
        if (own) return own;
        return command.ins === 0x84 ? (scene.challenge ?? answer(CHALLENGE)) : undefined;
      },
    },
    change: {
      ...OFFLINE,
      terminal: scene.capabilities ? { capabilities: fromHex(scene.capabilities) } : ALL,
    },
    online: APPROVAL,
    driver: {
      enterPin: ({ purpose, triesLeft, isRetry }) => {
        asked.push(`${purpose}:${triesLeft ?? '-'}${isRetry ? ':again' : ''}`);
        return entries[asked.length - 1] ?? 'entered';
      },
      verifyPin: (verification) => {
        verified.push(verification);
        const word = words[verified.length - 1] ?? words.at(-1) ?? 0x9000;
        if (word === 'removed') throw new Iso7816Error('ERR_CARD_REMOVED', 'the card was removed');
        return { data: new Uint8Array(0), statusWord: StatusWord(word) };
      },
    },
  };
  const run = runCase({ ciphers: nodeCiphers, keys: KEYS }, what);
  const decided = run.phases.find(({ phase }) => phase === 'terminalActionAnalysis');
  return {
    ...run,
    asked,
    verified,
    seen: `${toHex(run.outcome.cvmResults)} ${toHex(decided?.tvr ?? new Uint8Array(0))}`,
    forms: verified.map(({ form }) => form).join(' '),
  };
}

test('EMV 4.3 B3 §10.5.1: a right PIN is "successful", in clear and enciphered, no TVR bit', () => {
  const plain = play({ rules: '0100' });
  assert.equal(plain.seen, '010002 0000000000');
  assert.deepEqual([plain.forms, plain.asked], ['plaintext', ['offline:3']]);
  assert.equal(plain.requests[0]?.pinRequired ?? false, false);
  const enciphered = play({ rules: '4403' });
  assert.equal(enciphered.seen, '440302 0000000000');
  assert.deepEqual([enciphered.forms, enciphered.asked], ['enciphered', ['offline:3']]);
  assert.equal(toHex(enciphered.outcome.tsi), 'F800');
});

test('EMV 4.3 B4 table 2: with a signature the result is "unknown", a wrong PIN fails it', () => {
  assert.equal(play({ rules: '0300' }).seen, '030000 0000000000');
  assert.equal(play({ rules: '4500' }).seen, '450000 0000000000');
  assert.equal(play({ rules: '0300', words: [0x63c0] }).seen, '030001 0000A00000');
  assert.equal(play({ rules: '45001F00', words: [0x6983] }).seen, '1F0002 0000200000');
});

test('EMV 4.3 B3 §10.5.1: tries count down, are shown, and at the end the limit is exceeded', () => {
  const second = play({ rules: '0100', words: [0x63c2, 0x9000] });
  assert.deepEqual(
    [second.seen, second.asked],
    ['010002 0000000000', ['offline:3', 'offline:2:again']],
  );
  const none = play({ rules: '0100', words: [0x63c2, 0x63c1, 0x63c0] });
  assert.deepEqual(
    [none.seen, none.asked],
    ['010001 0000A00000', ['offline:3', 'offline:2:again', 'offline:1:again']],
  );
  const unknown = play({ rules: '0100', counter: null, words: [0x63c1, 0x9000] });
  assert.deepEqual(
    [unknown.seen, unknown.asked],
    ['010002 0000000000', ['offline:-', 'offline:1:again']],
  );
});

test('EMV 4.3 B4 §6.3.4.1: a counter of 0 asks for no PIN and goes on with the list', () => {
  const zero = play({ rules: '41001F00', counter: '00' });
  assert.deepEqual([zero.seen, zero.asked, zero.forms], ['1F0002 0000200000', [], '']);
  const last = play({ rules: '0100', counter: '00' });
  assert.equal(last.seen, '010001 0000A00000');
  // §6.3.4.2: the online PIN may still be entered, and no other offline PIN is.
  const online = play({ rules: '410044004200', counter: '00' });
  assert.deepEqual([online.seen, online.asked], ['420000 0000240000', ['online:-']]);
  assert.equal(online.commands.filter(({ ins }) => ins === 0xca).length, 1);
});

test('EMV 4.3 B4 §6.3.4.1: a counter that cannot be read is no obstacle', () => {
  const malformed: readonly (readonly [string, ResponseApdu])[] = [
    ['refused', answer('', 0x6a88)],
    ['other tag', answer('9F13020001')],
    ['two bytes', answer('9F17020003')],
    ['empty', answer('')],
    ['cut off', answer('9F17')],
    ['an absurd 6F00', answer('9F170100', 0x6f00)],
  ];
  for (const [what, response] of malformed) {
    const override: TestCardOptions['override'] = ({ ins, p2 }) =>
      ins === 0xca && p2 === 0x17 ? response : undefined;
    const { seen, asked } = play({ rules: '0100', card: { override } });
    assert.deepEqual([seen, asked], ['010002 0000000000', ['offline:-']], what);
  }
});

test('EMV 4.3 B3 §10.5.1: 6983 and 6984 are the limit, any other word only a failure', () => {
  for (const word of [0x6983, 0x6984]) {
    assert.equal(play({ rules: '0100', words: [word] }).seen, '010001 0000A00000');
    assert.equal(play({ rules: '0100', words: [0x63c2, word] }).seen, '010001 0000A00000');
  }
  for (const word of [0x6300, 0x6700, 0x6982, 0x6985, 0x6a86, 0x6d00, 0x6f00, 0x9100, 0x6100]) {
    const { seen, asked } = play({ rules: '41001F00', words: [word] });
    assert.deepEqual([seen, asked.length], ['1F0002 0000000000', 1], word.toString(16));
    assert.equal(play({ rules: '0100', words: [word] }).seen, '010001 0000800000');
  }
});

test('a card whose number of tries does not fall asks no cardholder for ever', () => {
  const endless = play({ rules: '0100', words: [0x63cf] });
  assert.deepEqual([endless.seen, endless.asked.length], ['010001 0000800000', 1]);
  const unknown = play({ rules: '0100', counter: null, words: [0x63cf] });
  assert.deepEqual([unknown.seen, unknown.asked.length], ['010001 0000800000', 2]);
  const rising = play({ rules: '0100', counter: 'FF', words: [0x63c1, 0x63c2] });
  assert.deepEqual([rising.seen, rising.asked.length], ['010001 0000800000', 2]);
  const falling = Array.from({ length: 16 }, (_, step) => 0x63cf - step);
  const longest = play({ rules: '0100', counter: 'FF', words: falling });
  assert.deepEqual([longest.seen, longest.asked.length], ['010001 0000A00000', 16]);
});

test('EMV 4.3 B4 §6.3.4.3: bypass is "PIN not entered" and counts for every later PIN', () => {
  const first = play({ rules: '410044004200', entries: ['bypassed'] });
  assert.deepEqual([first.seen, first.asked], ['420001 0000880000', ['offline:3']]);
  const afterWrong = play({ rules: '41001E00', words: [0x63c1], entries: ['entered', 'bypassed'] });
  assert.equal(afterWrong.seen, '1E0000 0000080000');
  const broken = play({ rules: '41004200', entries: ['unavailable'] });
  assert.deepEqual([broken.seen, broken.asked.length], ['420001 0000900000', 1]);
});

test('a card pulled at its PIN is a removed card and no wrong PIN; its tries are read anew', () => {
  const removed = { code: 'ERR_CARD_REMOVED' };
  for (const words of [['removed'], [0x63c2, 'removed']] as const) {
    assert.throws(() => play({ rules: '01001F00', words }), removed);
    assert.throws(() => play({ rules: '44001F00', words }), removed);
  }
  // What the card has left is the card's word, whatever was asked before.
  for (const [counter, asked] of [
    ['03', 'offline:3'],
    ['02', 'offline:2'],
  ] as const) {
    const again = play({ rules: '0100', counter });
    assert.deepEqual([again.asked, again.seen], [[asked], '010002 0000000000']);
    assert.equal(again.commands.filter(({ ins, p2 }) => ins === 0xca && p2 === 0x17).length, 1);
  }
});

test("the cardholder's cancel at an offline PIN ends it, at a later try too", () => {
  for (const entries of [['cancelled'], ['entered', 'cancelled']] as const) {
    const { word, commands } = play({ rules: '41001F00', words: [0x63c1], entries });
    assert.deepEqual(word, ['cancelled', 'cardholder:pin']);
    assert.ok(!commands.some(({ ins }) => ins === 0xae));
  }
});

test('EMV 4.3 B3 §10.5, B4 §6.3.4: what the terminal lacks is a missing PIN pad, by method', () => {
  const cases: readonly (readonly [rules: string, capabilities: string, seen: string])[] = [
    ['0100', 'E028C0', '3F0001 0000900000'],
    ['41001F00', 'E078C0', '1F0002 0000100000'],
    ['44001F00', 'E0E8C0', '1F0002 0000100000'],
    // Both halves of a combination are needed; a missing signature is no missing pad.
    ['43001F00', 'E088C0', '1F0002 0000000000'],
    ['45001F00', 'E018C0', '1F0002 0000000000'],
    ['43001F00', 'E038C0', '1F0002 0000100000'],
    ['45001F00', 'E0A8C0', '1F0002 0000100000'],
    ['43001F00', 'E0A8C0', '430000 0000000000'],
    // Condition 03 skips what cannot be done.
    ['41031F00', 'E078C0', '1F0002 0000000000'],
    ['45031F00', 'E018C0', '1F0002 0000000000'],
  ];
  for (const [rules, capabilities, seen] of cases) {
    assert.equal(play({ rules, capabilities }).seen, seen, `${rules} ${capabilities}`);
  }
});

/** Objects of a PIN encipherment key that the issuer certified. */
function pinKeyElements(): Record<string, string | null> {
  const { certificate, remainder } = certify(nodeCiphers, KEY, {
    head: `04${TEST_PAN.padEnd(20, 'F')}1231000003`,
    key: PIN_KEY,
    staticData: new Uint8Array(0),
  });
  return { '9F2D': certificate, '9F2E': toHex(PIN_KEY.exponent), '9F2F': remainder };
}

/** Modulus that the driver was given for the only VERIFY; null when there was none. */
function keyOf(elements: Record<string, string | null>, more: Partial<Scene> = {}) {
  const { verified, seen, asked } = play({ rules: '44001F00', card: { elements }, ...more });
  const [verification] = verified;
  const key = verification?.form === 'enciphered' ? toHex(verification.modulus) : null;
  return { key, seen, asked };
}

test('EMV 4.3 B2 §7.1: the PIN key where its objects are all there, else the card key', () => {
  const own = pinKeyElements();
  assert.equal(keyOf(own).key, toHex(PIN_KEY.modulus));
  assert.equal(keyOf({}).key, toHex(KEY.modulus));
  for (const tag of ['9F2D', '9F2E', '9F2F']) {
    const { key, seen } = keyOf({ ...own, [tag]: null });
    assert.deepEqual([key, seen], [toHex(KEY.modulus), '440002 0000000000'], tag);
  }
});

test('EMV 4.3 B2 §7.1: a key that cannot be recovered fails the method; nobody is asked', () => {
  const own = pinKeyElements();
  const forged = `00${own['9F2D']?.slice(2)}`;
  const bad = keyOf({ ...own, '9F2D': forged });
  assert.deepEqual([bad.key, bad.seen, bad.asked], [null, '1F0002 0000000000', []]);
  // Neither key: no "ICC data missing" either, for SDA is what was done.
  const sda = { aip: '5C00', forged: { '9F46': null } };
  const none = play({ rules: '44001F00', card: sda });
  assert.deepEqual([none.seen, none.asked], ['1F0002 0200000000', []]);
  const alone = play({ rules: '0400', card: sda });
  assert.equal(alone.seen, '040001 0200800000');
});

test('EMV 4.3 B2 §7.2: a fresh challenge of 8 bytes a try, anything else fails the method', () => {
  const challenges = ['0102030405060708', '1112131415161718'];
  const override: TestCardOptions['override'] = ({ ins }) =>
    ins === 0x84 ? answer(challenges.shift() ?? '') : undefined;
  const { verified, commands } = play({
    rules: '0400',
    words: [0x63c2, 0x9000],
    card: { override },
  });
  assert.deepEqual(
    verified.map((one) => (one.form === 'enciphered' ? toHex(one.challenge) : one.form)),
    ['0102030405060708', '1112131415161718'],
  );
  assert.equal(commands.filter(({ ins }) => ins === 0x84).length, 2);
  for (const challenge of [
    answer('01020304050607'),
    answer('010203040506070809'),
    answer(''),
    answer(CHALLENGE, 0x6985),
    answer(CHALLENGE, 0x6283),
    answer('', 0x6d00),
  ]) {
    const { seen, verified: sent } = play({ rules: '44001F00', challenge });
    assert.deepEqual([seen, sent.length], ['1F0002 0000000000', 0]);
    assert.equal(play({ rules: '0400', challenge }).seen, '040001 0000800000');
  }
});

test('a driver that answers nonsense to verifyPin is told so', () => {
  const elements = { '8E': '00000000000000000100' };
  const change = { ...OFFLINE, terminal: ALL };
  for (const nonsense of [undefined, { statusWord: SW_9000_OK }, 'yes']) {
    const verifyPin = (): ResponseApdu => nonsense as unknown as ResponseApdu;
    assert.throws(
      () =>
        runCase(
          { ciphers: nodeCiphers, keys: KEYS },
          { card: { elements }, change, driver: { verifyPin } },
        ),
      { code: 'ERR_KERNEL_ANSWER' },
    );
  }
});
