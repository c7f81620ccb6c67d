/**
 * Shows data preparation of whole cards: several applications with their directories, the STORE
 * DATA commands that lead the virtual card to the same image, secrets only enciphered, what each
 * trouble changes and that it changes nothing else, and the refusals.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { decodeTlv, encodeCommand, findTlv } from '../../iso7816/index.ts';
import { imageObject } from '../data/icc-image.test-kit.ts';
import * as data from '../data/index.ts';
import { cardOf, commandOf, KEYS, RANDOM, send } from '../icc/icc.test-kit.ts';
import { sampleCard, smRequest } from '../icc/sample.test-card.ts';
import {
  blankCard,
  type CardKeys,
  type CardPreparation,
  personalisedImage,
  preparationOf,
  prepareCard,
  storeDataScripts,
} from './index.ts';

const SAMPLE = sampleCard(nodeCiphers, KEYS);
const SM = sampleCard(nodeCiphers, KEYS, smRequest(nodeCiphers, { isOnly: false }));
const ALL_KEYS: CardKeys = preparationOf(SM.request).keys;
const TRANSPORT_KEY = fromHex('00112233445566778899AABBCCDDEEFF');
const PAN = '6299990000000009';

/** Applications and troubles of a model, prepared with every key there is. */
function preparation(
  model: {
    readonly applications: readonly object[];
    readonly troubles?: readonly data.CardTrouble[];
  },
  keys: CardKeys = ALL_KEYS,
): CardPreparation {
  const validity = { from: '2501', to: '3112' };
  return {
    model: data.readCardModel({ pan: PAN, validity, ...model }),
    keys,
    certificateSerialNumber: Uint8Array.of(0, 0, 2),
    random: RANDOM,
  };
}

const SEVERAL = preparation({
  applications: [
    { product: 'debit', priority: 2, pin: { value: '123456' } },
    { product: 'credit', priority: 1, needsConfirmation: true, algorithms: ['RSA', 'SM2'] },
    { product: 'quasiCredit', interfaces: ['contact'] },
    { product: 'electronicCash', interfaces: ['contactless'], priority: 3 },
  ],
});

test('four applications: STORE DATA leads the card to the image of data preparation', () => {
  const prepared = prepareCard(nodeCiphers, SEVERAL);
  const card = cardOf(blankCard(prepared, TRANSPORT_KEY));
  for (const { name, commands } of storeDataScripts(prepared, TRANSPORT_KEY)) {
    assert.equal(send(card, commandOf('00A40400', toHex(name))).sw, '9000');
    for (const command of commands) {
      assert.equal(send(card, toHex(encodeCommand(command))).sw, '9000');
    }
  }
  const image = personalisedImage(prepared);
  assert.deepEqual(card.image(), image);
  assert.equal(image.life, 'operational');
  assert.deepEqual(
    image.applications.map((application) => data.iccInterfaces(application).join('+')),
    ['contact+contactless', 'contact+contactless', 'contact', 'contactless'],
  );
});

test('each directory lists the applications of its interface (EMV 4.3 B1 §12.2)', () => {
  const image = personalisedImage(prepareCard(nodeCiphers, SEVERAL));
  const aidsOf = (hex: string) =>
    [...hex.matchAll(/4F08(A0000003330101..)/g)].map(([, aid]) => aid);
  const [debit, credit, quasi, cash] = image.applications.map(({ aid }) => aid);
  const records = Object.values(image.pse?.records ?? {}).join('');
  assert.deepEqual(aidsOf(records), [debit, credit, quasi]);
  assert.deepEqual(aidsOf(image.ppse?.fci ?? ''), [debit, credit, cash]);
  assert.match(records, /870102.*870181.*870101/s);
});

test('a directory goes on in a second record when one is full', () => {
  const applications = Array.from({ length: 8 }, (_, index) => ({
    product: 'debit',
    aid: `A00000033301010${index}${'00'.repeat(8)}`,
    label: 'SIXTEEN LETTERS!',
    interfaces: ['contact'],
  }));
  const image = personalisedImage(prepareCard(nodeCiphers, preparation({ applications })));
  const records = Object.entries(image.pse?.records ?? {});
  assert.deepEqual(
    records.map(([id]) => id),
    ['0101', '0102'],
  );
  assert.ok(records.every(([, hex]) => hex.length <= 2 * 254));
  assert.equal(records.join('').match(/4F10/g)?.length, 8);
});

test('a contactless-only application has 57 and 5F34 for its GPO answer', () => {
  const image = personalisedImage(prepareCard(nodeCiphers, SEVERAL));
  const cash = image.applications[3];
  assert.ok(cash);
  assert.ok(data.internalDataObject(cash, '57'));
  assert.ok(data.internalDataObject(cash, '5F34'));
  assert.equal(cash.dgis[data.DGI_CONTACT_OPTIONS], undefined);
});

test('no secret travels in clear', () => {
  const prepared = prepareCard(nodeCiphers, SEVERAL);
  const scripts = storeDataScripts(prepared, TRANSPORT_KEY);
  const wire = scripts.flatMap(({ commands }) => commands.map((one) => toHex(encodeCommand(one))));
  let secrets = 0;
  for (const { dgis } of prepared.applications) {
    for (const [id, value] of dgis) {
      if (!data.isSecretDgi(id)) continue;
      secrets += 1;
      assert.ok(!wire.join('').includes(toHex(value)), id);
    }
  }
  assert.ok(secrets >= 8, 'positive control');
  assert.ok(wire.join('').includes(toHex(KEYS.icc.modulus).slice(0, 100)), 'a modulus is public');
});

test('keys that an application needs and nobody brought are named', () => {
  const { tdes, rsa } = ALL_KEYS;
  assert.ok(tdes && rsa);
  for (const [application, keys] of [
    [{}, {}],
    [{}, { tdes }],
    [{ algorithms: ['SM2'] }, { tdes, rsa }],
    [{ hasPinKey: true }, { tdes, rsa }],
  ] as const) {
    const request = preparation({ applications: [{ product: 'debit', ...application }] }, keys);
    assert.throws(() => prepareCard(nodeCiphers, request), { code: 'ERR_EMV_PERSONALISATION' });
  }
  const unsigned = { product: 'debit', dataAuthentication: [] };
  const request = preparation({ applications: [unsigned] }, { tdes });
  assert.doesNotThrow(() => prepareCard(nodeCiphers, request));
});

test('a key of a wrong length is refused', () => {
  const { tdes, rsa, sm4, sm2 } = ALL_KEYS;
  assert.ok(tdes && rsa && sm4 && sm2);
  const short = new Uint8Array(15);
  for (const keys of [
    { ...ALL_KEYS, tdes: { ...tdes, udkMac: short } },
    { ...ALL_KEYS, sm4: { ...sm4, udkEnc: short } },
    { ...ALL_KEYS, sm2: { ...sm2, iccPrivateKey: short } },
  ]) {
    const applications = [{ product: 'debit', algorithms: ['RSA', 'SM2'] }];
    assert.throws(() => prepareCard(nodeCiphers, preparation({ applications }, keys)), TapError);
  }
});

test('an override replaces a grouping, null takes one out', () => {
  const overrides = { '0202': '7000', '0304': null };
  const applications = [{ product: 'debit', overrides }];
  const image = personalisedImage(prepareCard(nodeCiphers, preparation({ applications })));
  const [application] = image.applications;
  assert.equal(application?.dgis['0202'], '7000');
  assert.equal(application?.dgis['0304'], undefined);
});

const withTroubles = (...troubles: data.CardTrouble[]): data.IccImage =>
  sampleCard(nodeCiphers, KEYS, { troubles, electronicCash: {} }).image;
const SOUND = withTroubles();
const dgisOf = (image: data.IccImage) => image.applications[0]?.dgis ?? {};

/** Names of the groupings that a trouble changed, added or took out. */
function changedBy(...troubles: data.CardTrouble[]): readonly string[] {
  const [before, after] = [dgisOf(SOUND), dgisOf(withTroubles(...troubles))];
  const ids = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return ids.filter((id) => before[id] !== after[id]).sort();
}

/** Groupings by trouble; those that hold a certificate change with what it covers. */
const CERTIFIED = ['0303', '0304', '0404'];
for (const [trouble, groupings] of [
  ['expired', ['0101', '0201', '0401', ...CERTIFIED]],
  ['not-yet-effective', ['0101', '0201', '0401', ...CERTIFIED]],
  ['pin-blocked', ['9010']],
  ['fci-without-name', ['9102', '9103']],
  ['fci-unknown-tags', ['9102', '9103']],
  ['fci-long-lengths', ['9102', '9103']],
  ['fci-padding', ['9102', '9103']],
  // The same bytes are signed in another order of records: certificates stay.
  ['afl-several-signed', ['0201', '0202', '0203', '9104', '9105']],
  ['afl-high-sfi', ['0201', '0202', '0303', '0304', '0E01', '9104', '9105']],
  ['afl-zero-signed', ['0303', '0304', '9104', '9105']],
  ['afl-non-contiguous', ['0101', '0202', '0203', '0205', '9104', '9105']],
  ['afl-empty', ['9104', '9105', '9207', '9208']],
  ['afl-malformed', ['9104', '9105', '9207', '9208']],
  ['bad-issuer-certificate', ['0302', '0403']],
  ['bad-icc-certificate', ['0303', '0404']],
  ['wrong-sdad', ['8101']],
  ['wrong-ssad', ['0304']],
  ['low-balance', ['0D01']],
  ['atc-at-end', ['0D01']],
  ['needs-script', ['0D01']],
  ['missing-cdol1', ['0202']],
  ['missing-pan', ['0201', '0401', ...CERTIFIED]],
  ['duplicate-tag', ['0202', '0402']],
  ['track2-mismatch', ['0101']],
] as const) {
  test(`trouble ${trouble} changes ${groupings.join(' ')} and nothing else`, () => {
    assert.deepEqual(changedBy(trouble), [...groupings].sort());
  });
}

for (const trouble of [
  ...['application-blocked', 'card-blocked', 'no-pse', 'no-ppse', 'refused-pse'],
  ...['declines-offline', 'contactless-refusal', 't0-protocol'],
].filter(data.isCardTrouble)) {
  test(`trouble ${trouble} leaves every grouping as it is and changes the card`, () => {
    assert.deepEqual(changedBy(trouble), []);
    assert.notDeepEqual(withTroubles(trouble), SOUND);
  });
}

test('a card without data authentication has no certificate at all', () => {
  for (const trouble of ['no-data-authentication', 'afl-single-record'] as const) {
    const image = withTroubles(trouble);
    for (const tag of ['90', '93', '9F46', '8F', '9F4A'])
      assert.equal(imageObject(image, tag), '', tag);
    assert.equal(dgisOf(image)[data.DGI_CONTACT_OPTIONS]?.slice(0, 4), '1C00');
    assert.equal(dgisOf(image)[data.DGI_ICC_PRIVATE_EXPONENT], undefined);
  }
  const single = dgisOf(withTroubles('afl-single-record'));
  assert.equal(single[data.DGI_CONTACT_OPTIONS], '1C0008010100');
  const record = decodeTlv(fromHex(single['0101'] ?? ''));
  for (const tag of ['57', '5A', '8C', '8E', '5F24']) assert.ok(findTlv(record, tag), tag);
});

test('AFLs of every shape (EMV 4.3 B3 §10.2)', () => {
  for (const [trouble, afl] of [
    ['afl-several-signed', '08010100100103021801040 0'],
    ['afl-high-sfi', '0801010010010100700101011801040 0'],
    ['afl-zero-signed', '080101001001020018010400'],
    ['afl-non-contiguous', '10010101100303001005050018010400'],
    ['afl-empty', ''],
    ['afl-malformed', '0001010010010201'],
  ] as const) {
    const options = dgisOf(withTroubles(trouble))[data.DGI_CONTACT_OPTIONS];
    assert.equal(options, `7C00${afl.replace(' ', '')}`, trouble);
  }
});

test('odd FCIs: no 84, unknown tags, long lengths, padding', () => {
  const answer = (trouble: data.CardTrouble): string => {
    const card = cardOf(withTroubles(trouble));
    return send(card, commandOf('00A40400', 'A000000333010101')).data;
  };
  assert.match(answer('fci-without-name'), /^6F..A5/);
  assert.match(answer('fci-unknown-tags'), /A5..DF7D020102C30050/);
  assert.match(answer('fci-long-lengths'), /A58200..50/);
  assert.match(answer('fci-padding'), /A5..000050.*FFFF$/);
});

test('blocks, refusals and the end of the counter', () => {
  const state = (...troubles: data.CardTrouble[]) =>
    withTroubles(...troubles).applications[0]?.state;
  assert.equal(state('application-blocked')?.applicationBlocked, true);
  assert.equal(state('pin-blocked')?.pinTryCounter, 0);
  assert.deepEqual([state('atc-at-end')?.atc, state('atc-at-end')?.lastOnlineAtc], [65534, 65533]);
  assert.equal(state('low-balance')?.electronicCash?.balanceMinor, '1');
  assert.equal(withTroubles('no-pse').pse, null);
  assert.equal(withTroubles('no-ppse').ppse, null);
  assert.equal(withTroubles('t0-protocol').atr, data.ICC_ATR_T0);
  const both = withTroubles('refused-pse', 'declines-offline');
  assert.deepEqual(Object.values(both.lab.selectStatusWords), ['6984']);
  assert.equal(both.lab.declinesOffline, true);
});

test('a low balance needs a purse', () => {
  assert.throws(() => sampleCard(nodeCiphers, KEYS, { troubles: ['low-balance'] }), {
    code: 'ERR_CARD_MODEL',
  });
});

test('an old limit sends a payment online and refuses it when nobody answers', () => {
  assert.equal(imageObject(withTroubles('needs-script'), '9F54'), '000000000001');
  assert.equal(imageObject(withTroubles('needs-script'), '9F78'), '000000000001');
  assert.equal(imageObject(SAMPLE.image, '9F54'), '000000100000');
});
