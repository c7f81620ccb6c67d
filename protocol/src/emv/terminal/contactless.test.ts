/**
 * Shows the contactless kernel against a scripted card: the order of its phases, the exact TVR and
 * CVM results of each way a tap can go, and the coded fault of each wrong card.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, decodeTlv, flattenTlv } from '../../iso7816/index.ts';
import { answer, TEST_AID } from './card.test-kit.ts';
import { FIELD_55_TAGS, KernelError } from './index.ts';
import { LARGE, refusesTap, TAP_LIMITS, TAP_PDOL, type Tap, tap, tapCard } from './tap.test-kit.ts';

const flip = (at: number) => (bytes: Uint8Array) =>
  bytes.map((value, index) => (index === at ? value ^ 1 : value));
/** The reader's qualifiers in the GPO of a run. */
const ttqOf = (run: ReturnType<typeof tap>): string => run.wires[2]?.slice(14, 22) ?? '';

test('a small tap: eight commands, fDDA, no CVM, approved by the issuer (EMV C-7 §3)', () => {
  const run = tap();
  assert.deepEqual(run.word, ['approved', 'issuer:00']);
  assert.equal(run.wires.length, 8);
  assert.equal(
    run.wires[2],
    '80A8000023832136800080000000001234000000000000015600000000000156261201005A5A5A5A00',
  );
  assert.deepEqual(
    run.phases.map(({ phase, tvr }) => [phase, toHex(tvr)]),
    [
      ['preProcessing', '0000000000'],
      ['applicationSelection', '0000000000'],
      ['initiateApplication', '0000000000'],
      ['readApplicationData', '0000000000'],
      ['offlineDataAuthentication', '0000000000'],
      ['processingRestrictions', '0000000000'],
      ['transactionDecision', '0000000000'],
      ['cardholderVerification', '0000000000'],
      ['onlineProcessing', '0000000000'],
      ['completion', '0000000000'],
    ],
  );
  const { outcome } = run;
  assert.equal(outcome.dataAuthentication, 'fDDA');
  assert.equal(outcome.second, null);
  assert.equal(outcome.issuerAuthentication, 'notPerformed');
  assert.deepEqual([run.tvr, run.tsi, run.cvm], ['0000000000', 'C000', '1F0302']);
  assert.equal(toHex(outcome.arqc?.value ?? new Uint8Array(0)), '1111111111111111');
  assert.equal(outcome.panMasked, '629999******0009');
});

test('field 55 of a tap has the tags of a purchase in their order, 9F27 made of the CVR', () => {
  const [request] = tap().requests;
  const objects = decodeTlv(request?.field55 ?? new Uint8Array(0));
  assert.deepEqual(
    objects.map(({ tag }) => tag),
    FIELD_55_TAGS,
  );
  const values = flattenTlv(objects);
  const hex = (tag: string) => toHex(values.get(tag) ?? new Uint8Array(0));
  assert.equal(hex('9F27'), '80');
  assert.equal(hex('9F34'), '1F0302');
  assert.equal(request?.panSequenceNumber.expose(), '01');
  assert.equal(request?.expiryYymm.expose(), '3112');
  assert.equal(request?.track2?.expose(), '6299990000000009D31122010000000000000');
  assert.equal(request?.pinRequired, false);
});

test('the card is released after the last record and before anything else is asked', () => {
  const order: string[] = [];
  tap({
    card: { elements: { '9F6C': 'A800', '9F69': '01C0C1C2C3A80000' } },
    driver: {
      releaseCard: () => order.push('release'),
      enterPin: () => {
        order.push('pin');
        return 'entered';
      },
      onPhase: ({ phase }) => order.push(phase),
    },
  });
  assert.deepEqual(order.slice(3), [
    'readApplicationData',
    'release',
    'offlineDataAuthentication',
    'processingRestrictions',
    'transactionDecision',
    'pin',
    'cardholderVerification',
    'onlineProcessing',
    'completion',
  ]);
});

test('a driver that throws at the release ends the tap: nothing was charged', () => {
  const lost = new KernelError('ERR_CARD_STATUS', 'gone');
  const releaseCard = (): never => {
    throw lost;
  };
  refusesTap('ERR_CARD_STATUS', { driver: { releaseCard } });
});

test('the signature may stand in the last record instead of the GPO answer', () => {
  assert.equal(tap({ card: { signatureIn: 'record' } }).outcome.dataAuthentication, 'fDDA');
});

test('a published tap of a real card: GPO, its answer without files, field 55', () => {
  const url = new URL('../../../../vectors/pboc/qpboc-tap.json', import.meta.url);
  const vector = JSON.parse(readFileSync(url, 'utf8')).cases[0];
  const answers = [vector.ppse, vector.fci, vector.gpoAnswer].map((hex: string) => answer(hex));
  const run = tap({
    change: {
      input: { amountMinor: 1n, dateYymmdd: '170601' },
      terminal: { terminalTransactionQualifiers: fromHex('36000080') },
    },
    driver: {
      transmit: (_command, index) => answers[index] ?? answer('', 0x6f00),
      random: () => fromHex(vector.unpredictableNumber),
    },
  });
  // Our reader says "fDDA version 01" too, which the one in the field did not.
  assert.equal(run.wires[2], vector.expected.command.replace('36800000', '36800080'));
  assert.deepEqual(run.word, ['approved', 'issuer:00']);
  assert.equal(run.tvr, '8000000000', 'no files: data authentication was not performed');
  assert.equal(run.outcome.dataAuthentication, 'none');
  const values = flattenTlv(decodeTlv(run.requests[0]?.field55 ?? new Uint8Array(0)));
  for (const tag of ['9F26', '9F27', '9F10', '9F37', '9F36', '82', '84', '9A', '9C', '5F2A']) {
    assert.equal(toHex(values.get(tag) ?? new Uint8Array(0)), vector.field55[tag], tag);
  }
  assert.equal(run.requests[0]?.expiryYymm.expose(), '2011');
});

test('pre-processing: limits decide before a card is touched, the limit itself is allowed', () => {
  const at = (amountMinor: bigint, limits = TAP_LIMITS) =>
    tap({ change: { input: { amountMinor }, aid: { contactless: limits } } });
  const above = at(500_001n);
  assert.deepEqual(above.word, ['tryAnotherInterface', 'terminal:contactlessLimit']);
  assert.equal(above.commands.length, 0);
  const highCvm = { ...TAP_LIMITS, cvmLimitMinor: 500_000n };
  assert.deepEqual(at(500_000n, highCvm).word, ['approved', 'issuer:00']);
  assert.equal(ttqOf(at(30_000n)), '36800080');
  const none = tap({ change: { aid: { contactless: null } } });
  assert.deepEqual(none.word, ['tryAnotherInterface', 'terminal:contactlessNotTaken']);
});

test('above the CVM limit the qualifiers say so; transient bits of the profile do not count', () => {
  const pin = { elements: { '9F6C': 'A800', '9F69': '01C0C1C2C3A80000' } };
  assert.equal(ttqOf(tap({ card: pin, change: LARGE })), '37C00080');
  const terminal = { terminalTransactionQualifiers: fromHex('36C00080') };
  assert.equal(ttqOf(tap({ change: { terminal } })), '36800080');
});

const CTQ = (ctq: string) => ({ elements: { '9F6C': ctq, '9F69': `01C0C1C2C3${ctq}00` } });
const noPin = { terminal: { terminalTransactionQualifiers: fromHex('32000080') } };
const noContact = { terminal: { terminalTransactionQualifiers: fromHex('26000080') } };

/** What becomes of a card: word, TVR, CVM results. */
const ENDS: readonly (readonly [string, Tap, string, string, string])[] = [
  ['online PIN', { card: CTQ('8000') }, 'approved issuer:00', '0000040000', '420300'],
  [
    'online PIN, large',
    { card: CTQ('8000'), change: LARGE },
    'approved issuer:00',
    '0000040000',
    '420300',
  ],
  ['PIN before device', { card: CTQ('8080') }, 'approved issuer:00', '0000040000', '420300'],
  ['signature', { card: CTQ('4000') }, 'approved issuer:00', '0000000000', '1E0300'],
  [
    'PIN wanted, reader has signature only',
    { card: CTQ('C000'), change: noPin },
    'approved issuer:00',
    '0000000000',
    '1E0300',
  ],
  ['CDCVM', { card: CTQ('0080'), change: LARGE }, 'approved issuer:00', '0000000000', '1F0302'],
  [
    'CDCVM of a card without files, that nobody signed',
    { card: { elements: { '9F6C': '0080', '94': null } }, change: LARGE },
    'tryAnotherInterface terminal:noCommonCvm',
    '8000800000',
    '3F0000',
  ],
  [
    'CDCVM beside a broken signature',
    { card: { ...CTQ('2080'), signature: flip(40) }, change: LARGE },
    'tryAnotherInterface terminal:noCommonCvm',
    '0800800000',
    '3F0000',
  ],
  [
    'CDCVM that nobody signed, small',
    { card: { elements: { '9F6C': '0080', '94': null } } },
    'approved issuer:00',
    '8000000000',
    '1F0302',
  ],
  [
    'CDCVM that the signed data denies',
    { card: { elements: { '9F6C': '0080' } }, change: LARGE },
    'declined terminal:consumerDeviceCvm',
    '0000800000',
    '3F0000',
  ],
  [
    'no CVM above the limit',
    { change: LARGE },
    'tryAnotherInterface terminal:noCommonCvm',
    '0000800000',
    '3F0000',
  ],
  [
    'no CVM above the limit, no contact reader',
    { change: { ...LARGE, ...noContact } },
    'declined terminal:noCommonCvm',
    '0000800000',
    '3F0000',
  ],
  [
    'no qualifiers above the limit',
    { card: { elements: { '9F6C': null } }, change: LARGE },
    'tryAnotherInterface terminal:noCommonCvm',
    '0000800000',
    '3F0000',
  ],
  [
    'no qualifiers',
    { card: { elements: { '9F6C': null } } },
    'approved issuer:00',
    '0000000000',
    '1F0302',
  ],
  [
    'AAC',
    { card: { elements: { '9F10': '0701170380000201' } } },
    'declined card:AAC',
    '0000000000',
    '3F0000',
  ],
  [
    'TC: nothing is taken offline',
    { card: { elements: { '9F10': '0701170390000201' } } },
    'declined terminal:offlineNotTaken',
    '0000000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ goes online',
    { card: { signature: flip(40) } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    'flipped SDAD, CTQ silent',
    { card: { ...CTQ('0000'), signature: flip(40) } },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ switches',
    { card: { ...CTQ('1000'), signature: flip(40) } },
    'tryAnotherInterface card:useContact',
    '0800000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ switches, no contact reader',
    { card: { ...CTQ('1000'), signature: flip(40) }, change: noContact },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'online wins over switch',
    { card: { ...CTQ('3000'), signature: flip(40) } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    '9F69 version 00',
    { card: { elements: { '9F69': '00C0C1C2C3280000' } } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    '9F69 too short',
    { card: { elements: { '9F69': '01C0C1C2C32800' } } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    '9F69 changed after signing',
    { card: { forged: { '9F69': '01C0C1C2C4280000' } } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  ['no 9F69', { card: { forged: { '9F69': null } } }, 'approved issuer:00', '2800000000', '1F0302'],
  ['no 9F4B', { card: { signatureIn: 'nowhere' } }, 'approved issuer:00', '2800000000', '1F0302'],
  ['no 90', { card: { forged: { '90': null } } }, 'approved issuer:00', '2800000000', '1F0302'],
  [
    'forged 5F25',
    { card: { forged: { '5F25': '240101' } } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    'unknown CA key',
    { card: { elements: { '8F': 'F1' } } },
    'approved issuer:00',
    '0800000000',
    '1F0302',
  ],
  [
    'expired, CTQ goes online',
    { card: { elements: { '5F24': '260630' } } },
    'approved issuer:00',
    '0040000000',
    '1F0302',
  ],
  [
    'expired, CTQ silent',
    { card: { elements: { '5F24': '260630', ...CTQ('2000').elements } } },
    'declined terminal:expired',
    '0040000000',
    '3F0000',
  ],
  [
    'not yet effective',
    { card: { elements: { '5F25': '270101' } } },
    'declined terminal:notYetEffective',
    '0020000000',
    '3F0000',
  ],
  [
    'usage control',
    { card: { elements: { '9F07': '0000' } } },
    'declined terminal:serviceNotAllowed',
    '0010000000',
    '3F0000',
  ],
  [
    'another version',
    { card: { elements: { '9F08': '0020' } } },
    'approved issuer:00',
    '0080000000',
    '1F0302',
  ],
  [
    'exception file',
    { change: { terminal: { isOnExceptionFile: () => true } } },
    'declined terminal:exceptionFile',
    '1000000000',
    '3F0000',
  ],
  [
    'cash, CTQ switches',
    { card: CTQ('0400'), change: { input: { transactionType: 0x01 } } },
    'tryAnotherInterface card:useContact',
    '0000000000',
    '3F0000',
  ],
  [
    'cashback, CTQ switches',
    {
      card: { elements: { ...CTQ('0200').elements, '9F07': 'FFC0' } },
      change: { input: { transactionType: 0x09 } },
    },
    'tryAnotherInterface card:useContact',
    '0000000000',
    '3F0000',
  ],
  [
    'PIN bypassed',
    { card: CTQ('8000'), driver: { enterPin: () => 'bypassed' } },
    'declined terminal:pinNotEntered',
    '0000880000',
    '420301',
  ],
  [
    'no PIN pad',
    { card: CTQ('8000'), driver: { enterPin: () => 'unavailable' } },
    'declined terminal:pinNotEntered',
    '0000900000',
    '420301',
  ],
  [
    'PIN cancelled',
    { card: CTQ('8000'), driver: { enterPin: () => 'cancelled' } },
    'cancelled cardholder:pin',
    '0000000000',
    '3F0000',
  ],
  [
    'refused by the issuer',
    { online: { result: 'answered', responseCode: '51', scripts: [] } },
    'declined issuer:51',
    '0000000000',
    '1F0302',
  ],
  [
    'issuer not reached',
    { online: { result: 'unable' } },
    'declined terminal:unableOnline',
    '0000000000',
    '1F0302',
  ],
  [
    'issuer not heard',
    { online: { result: 'unknown' } },
    'unknown online:unknown',
    '0000000000',
    '1F0302',
  ],
];
for (const [what, how, word, tvr, cvm] of ENDS) {
  test(`${what}: ${word}, TVR ${tvr}, 9F34 ${cvm}`, () => {
    const run = tap(how);
    assert.equal(run.word.join(' '), word);
    assert.deepEqual([run.tvr, run.cvm], [tvr, cvm]);
    const isAsked = /^(approved|declined) issuer|unableOnline|^unknown/.test(word);
    assert.equal(run.requests.length, isAsked ? 1 : 0);
    assert.equal(run.requests[0]?.pinRequired ?? false, cvm === '420300');
  });
}

test('9F69 may have up to 16 bytes', () => {
  const of = (reserved: string) =>
    tap({ card: { elements: { '9F69': `01C0C1C2C32800${reserved}` } } }).outcome.dataAuthentication;
  assert.equal(of('00'.repeat(9)), 'fDDA');
  assert.equal(of('00'.repeat(10)), 'failed');
});

test('tag 8A: Z1 of a decline here, Z3 without the issuer, its code with it (EMV 4.3 B4 §A6)', () => {
  const arc = (how: Tap): string =>
    String.fromCharCode(...(tap(how).outcome.values.get('8A') ?? new Uint8Array(0)));
  assert.equal(arc({ card: { elements: { '9F10': '0701170380000201' } } }), 'Z1');
  assert.equal(arc({ online: { result: 'unable' } }), 'Z3');
  assert.equal(arc({ online: { result: 'answered', responseCode: '51', scripts: [] } }), '51');
  assert.equal(arc({ card: CTQ('8000'), driver: { enterPin: () => 'cancelled' } }), '');
  const { phases } = tap({ online: { result: 'answered', responseCode: '51', scripts: [] } });
  const online = phases.find(({ phase }) => phase === 'onlineProcessing');
  assert.deepEqual(online?.facts, { result: 'answered', responseCode: '51', fault: null });
});

test('what is asked at the issuer must be readable: an answer of nonsense stays unknown', () => {
  const driver = { authorise: () => ({ result: 'answered', responseCode: 7 }) as never };
  assert.deepEqual(tap({ driver }).word, ['unknown', 'ERR_KERNEL_ANSWER']);
  const thrown = {
    authorise: (): never => {
      throw new KernelError('ERR_CARD_LIMIT', 'line lost');
    },
  };
  assert.deepEqual(tap({ driver: thrown }).word, ['unknown', 'ERR_CARD_LIMIT']);
});

test('a driver that fails after the answer does not change the outcome', () => {
  const onPhase = ({ phase }: { phase: string }): void => {
    if (phase === 'onlineProcessing') throw new KernelError('ERR_KERNEL_ANSWER', 'no more');
  };
  assert.deepEqual(tap({ driver: { onPhase } }).word, ['approved', 'issuer:00']);
});

/** Endings at selection and GPO: index of the command and its status word. */
for (const [what, index, statusWord, word, commands] of [
  ['no PPSE', 0, 0x6a82, 'notAccepted terminal:noApplication', 1],
  ['SELECT 6984', 1, 0x6984, 'tryAnotherInterface card:useContact', 2],
  ['SELECT 6A82', 1, 0x6a82, 'notAccepted terminal:noApplication', 2],
  ['application blocked', 1, 0x6283, 'notAccepted terminal:noApplication', 2],
  ['GPO 6984', 2, 0x6984, 'tryAnotherInterface card:useContact', 3],
  ['GPO 6985', 2, 0x6985, 'notAccepted terminal:noApplication', 3],
  ['GPO 6986', 2, 0x6986, 'notAccepted card:seeDevice', 3],
  ['GPO 6D00', 2, 0x6d00, 'notAccepted card:GPO:6D00', 3],
] as const) {
  test(`${what}: ${word}`, () => {
    const override = (at: number) => (at === index ? answer('', statusWord) : undefined);
    const run = tap({ card: { override } });
    assert.equal(run.word.join(' '), word);
    assert.equal(run.commands.length, commands);
    assert.equal(run.requests.length, 0);
  });
}

test('candidates go by priority; one that is refused or says 6985 gives way to the next', () => {
  const other = 'A000000333010102';
  const directory = [
    [TEST_AID, 2],
    ['A0000000041010', 1],
    [other, 1],
  ] as const;
  const plain = tapCard({ directory });
  for (const [refused, skipped] of [
    [answer('', 0x6a82), 1],
    [answer('', 0x6985), 2],
  ] as const) {
    const transmit = (command: CommandApdu, index: number) => {
      if (index === 0) return plain(command, 0);
      if (index < skipped) {
        const fci = toHex(plain({ ...command, data: fromHex(TEST_AID) }, 1).data);
        return answer(fci.replace(TEST_AID, other));
      }
      return index === skipped ? refused : plain(command, index - skipped);
    };
    const run = tap({ change: { aid: { aid: fromHex('A000000333') } }, driver: { transmit } });
    assert.equal(run.wires[1], `00A4040008${other}00`);
    assert.equal(run.wires[1 + skipped], `00A4040008${TEST_AID}00`);
    assert.deepEqual(run.word, ['approved', 'issuer:00']);
    assert.equal(run.offers.length, 0, 'nobody is asked which application');
  }
});

test('magnetic stripe cards are refused: no cryptogram, or no DDA in the AIP', () => {
  const word = 'notAccepted terminal:magneticStripe';
  const stripe = tap({ card: { elements: { '9F26': null, '9F36': null, '9F10': null } } });
  assert.equal(stripe.word.join(' '), word);
  assert.equal(tap({ card: { elements: { '82': '4C80' } } }).word.join(' '), word);
  const override = (at: number) => (at === 2 ? answer('80060080' + '08010100') : undefined);
  assert.equal(tap({ card: { override } }).word.join(' '), word);
});

test('an answer of format 1 has no room for a cryptogram: debit/credit in the field, refused', () => {
  const override = (at: number) => (at === 2 ? answer('80067C00' + '08010100') : undefined);
  const run = tap({ card: { override } });
  assert.deepEqual(run.word, ['notAccepted', 'terminal:contactlessDebitCredit']);
  assert.equal(run.commands.length, 3, 'no record is read');
});

for (const [what, code, card] of [
  ['no PDOL', 'ERR_CARD_MISSING_DATA', { pdol: null }],
  ['PDOL without 9F66', 'ERR_CARD_MISSING_DATA', { pdol: '9F02069F3704' }],
  ['PDOL cut', 'ERR_CARD_DATA', { pdol: TAP_PDOL.slice(0, -2) }],
  ['no AIP', 'ERR_CARD_MISSING_DATA', { elements: { '82': null } }],
  ['no 9F36', 'ERR_CARD_MISSING_DATA', { elements: { '9F36': null } }],
  ['no 9F26', 'ERR_CARD_MISSING_DATA', { elements: { '9F26': null } }],
  ['9F26 of 7 bytes', 'ERR_CARD_DATA', { elements: { '9F26': '11111111111111' } }],
  ['no 9F10', 'ERR_CARD_MISSING_DATA', { elements: { '9F10': null } }],
  ['9F10 of another layout', 'ERR_CARD_DATA', { elements: { '9F10': '06011703A0000201' } }],
  ['CVR of no kind', 'ERR_CARD_CRYPTOGRAM', { elements: { '9F10': '07011703B0000201' } }],
  ['9F27 against the CVR', 'ERR_CARD_CRYPTOGRAM', { elements: { '9F27': '40' } }],
  ['no track 2', 'ERR_CARD_MISSING_DATA', { elements: { '57': null } }],
  ['track 2 without separator', 'ERR_CARD_DATA', { elements: { '57': '6299990000000009' } }],
  [
    'track 2 of month 13',
    'ERR_CARD_DATA',
    { elements: { '57': '6299990000000009D3113201F' + '0' } },
  ],
  ['another PAN in 5A', 'ERR_CARD_DATA', { elements: { '5A': '6299990000000017' } }],
  ['a longer PAN in 5A', 'ERR_CARD_DATA', { elements: { '5A': '62999900000000090F' } }],
  ['empty AFL', 'ERR_CARD_DATA', { elements: { '94': '' } }],
  ['AFL of 3 bytes', 'ERR_CARD_DATA', { elements: { '94': '200105' } }],
  ['AFL of file 31', 'ERR_CARD_DATA', { elements: { '94': 'F8010101' } }],
  ['AFL of 255 records', 'ERR_CARD_LIMIT', { elements: { '94': '2001FF01' } }],
  ['5F34 in a record too', 'ERR_CARD_REDUNDANT_DATA', { again: '5F340101' }],
  [
    '57 in a record too',
    'ERR_CARD_REDUNDANT_DATA',
    { again: '5710' + '6299990000000009D311220100000000' },
  ],
  ['malformed expiry date', 'ERR_CARD_DATA', { elements: { '5F24': '311331' } }],
] as const) {
  test(`${what}: ${code}, nothing is asked of the issuer`, () => {
    const { again = undefined, ...rest } = card as { again?: string };
    const doubled = (at: number) =>
      at === 3 && again !== undefined
        ? answer(`70${(again.length / 2).toString(16).padStart(2, '0')}${again}`.toUpperCase())
        : undefined;
    refusesTap(code, { card: { ...rest, override: doubled } });
  });
}

test('an object twice in the GPO answer is ERR_CARD_REDUNDANT_DATA', () => {
  const override = (at: number) =>
    at === 2 ? answer('7708' + '82027C00' + '82027C00') : undefined;
  refusesTap('ERR_CARD_REDUNDANT_DATA', { card: { override } });
});

test('a record that is refused is ERR_CARD_STATUS', () => {
  for (let index = 3; index <= 7; index++) {
    const override = (at: number) => (at === index ? answer('', 0x6a83) : undefined);
    refusesTap('ERR_CARD_STATUS', { card: { override } });
  }
});

test('a card torn away at any command is thrown: nothing was charged', () => {
  for (let index = 0; index < 8; index++) {
    const override = (at: number) => {
      if (at === index) throw new KernelError('ERR_CARD_STATUS', 'torn');
      return undefined;
    };
    refusesTap('ERR_CARD_STATUS', { card: { override } });
  }
});

test('terminal objects in card data are ignored: the reader keeps its own amount', () => {
  const run = tap({ card: { elements: { '9F6C': '2800' }, forged: {} } });
  const own = run.outcome.values.get('9F02');
  assert.equal(toHex(own ?? new Uint8Array(0)), '000000001234');
  assert.equal(toHex(run.outcome.values.get('9F39') ?? new Uint8Array(0)), '07');
});
