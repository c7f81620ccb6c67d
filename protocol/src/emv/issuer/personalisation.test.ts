/**
 * Shows what a bureau's card is made of: its records, directories, limits and state, each variant
 * of a card, and the refusals. Certificates and signatures are checked in certificates.test.ts, and
 * that a card takes the commands in emv/icc/personalisation.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateRsaKey, nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import { decodeTlv, findTlv, flattenTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { SAMPLE_PAN, type SampleKeys, sampleCard, smRequest } from '../icc/sample.test-card.ts';
import type { IccImageRequest } from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;

const KEYS: SampleKeys = {
  ca: generateRsaKey(1408),
  issuer: generateRsaKey(1152),
  icc: generateRsaKey(1024),
};

function imageOf(change: Partial<IccImageRequest> = {}): data.IccImage {
  return sampleCard(nodeCiphers, KEYS, change).image;
}

function applicationOf(change: Partial<IccImageRequest> = {}): data.IccApplication {
  const [application] = imageOf(change).applications;
  assert.ok(application);
  return application;
}

const IMAGE = imageOf();
const CARD = applicationOf();

const hexOf = (application: data.IccApplication, tag: string): string =>
  toHex(data.iccObject(application, tag) ?? new Uint8Array(0));

/** Records that an answer to GET PROCESSING OPTIONS names, decoded in its order. */
function recordsOf(application: data.IccApplication, options: string) {
  const value = data.iccDgi(application, options) ?? new Uint8Array(0);
  return data.decodeAfl(value.subarray(2)).flatMap(({ sfi, firstRecord, lastRecord }) =>
    Array.from({ length: lastRecord - firstRecord + 1 }, (_, index) => {
      const id = data.recordDgi(sfi, firstRecord + index);
      const record = data.iccDgi(application, id);
      assert.ok(record, id);
      return { id, record };
    }),
  );
}

test('the image survives its JSON text', () => {
  assert.deepEqual(data.parseIccImage(JSON.stringify(IMAGE)), IMAGE);
});

test('every record that an AFL names is there, a template 70 of at most 254 bytes', () => {
  const electronicCash = applicationOf({ electronicCash: {} });
  for (const [application, options] of [
    [CARD, data.DGI_CONTACT_OPTIONS],
    [CARD, data.DGI_CONTACTLESS_OPTIONS],
    [electronicCash, data.DGI_CONTACT_OPTIONS_EC],
    [electronicCash, data.DGI_CONTACTLESS_OPTIONS_EC],
  ] as const) {
    for (const { record } of recordsOf(application, options)) {
      assert.ok(record.length <= 254);
      assert.equal(decodeTlv(record).length, 1);
      assert.equal(record[0], 0x70);
    }
  }
});

test('the records hold what a kernel must find, each once (EMV 4.3 B3 §7.2)', () => {
  const tags = recordsOf(CARD, data.DGI_CONTACT_OPTIONS).flatMap(({ record }) =>
    (decodeTlv(record)[0]?.children ?? []).map(({ tag }) => tag),
  );
  assert.equal(new Set(tags).size, tags.length);
  for (const tag of ['5A', '5F24', '8C', '8D', '8E', '8F', '90', '9F32', '9F46', '9F47', '93']) {
    assert.ok(tags.includes(tag), tag);
  }
  assert.equal(hexOf(CARD, '5F24'), '311231');
  assert.equal(hexOf(CARD, '5A'), SAMPLE_PAN);
});

test('track 2 equivalent data: PAN, D, expiry, service code, F to whole bytes (ISO 7813)', () => {
  assert.equal(hexOf(CARD, '57'), `${SAMPLE_PAN}D31122200000 0F`.replace(' ', ''));
  const odd = applicationOf({ pan: '6299990000000000018' });
  assert.equal(hexOf(odd, '57'), '6299990000000000018D311222000000');
  assert.equal(hexOf(odd, '5A'), '6299990000000000018F');
});

test('February of a leap year ends on the 29th, April on the 30th (tag 5F24)', () => {
  assert.equal(hexOf(applicationOf({ expiryYymm: '2802' }), '5F24'), '280229');
  assert.equal(hexOf(applicationOf({ expiryYymm: '2702' }), '5F24'), '270228');
  assert.equal(hexOf(applicationOf({ expiryYymm: '2704' }), '5F24'), '270430');
});

test('the contactless side has its own certificate; nothing comes twice beside the GPO answer', () => {
  const values = flattenTlv(
    recordsOf(CARD, data.DGI_CONTACTLESS_OPTIONS).flatMap(({ record }) => decodeTlv(record)),
  );
  for (const tag of ['5A', '5F24', '8F', '90', '9F32', '9F46', '9F47', '9F69']) {
    assert.ok(values.has(tag), tag);
  }
  for (const tag of ['57', '5F34', '9F10', '82']) assert.equal(values.has(tag), false, tag);
  const contact = findTlv(decodeTlv(data.iccDgi(CARD, '0303') ?? new Uint8Array(0)), '9F46');
  assert.notDeepEqual(values.get('9F46'), contact?.value);
});

test('a signature too long for the GPO answer has its place in the last record (EMV C-7)', () => {
  const long = {
    ca: generateRsaKey(1984),
    issuer: generateRsaKey(1408),
    icc: generateRsaKey(1152),
  };
  const [application] = sampleCard(nodeCiphers, long).image.applications;
  assert.ok(application);
  const last = recordsOf(application, data.DGI_CONTACTLESS_OPTIONS).at(-1);
  const values = flattenTlv(decodeTlv(last?.record ?? new Uint8Array(0)));
  assert.deepEqual([...values.keys()], ['9F4B', '9F69']);
  assert.equal(values.get('9F4B')?.length, 144);
});

test('directories list the application by label and priority (EMV 4.3 B1 §12.2.3)', () => {
  const entry = `611${'9'}4F08A000000333010101500A${toHex(new TextEncoder().encode('PBOC DEBIT'))}870101`;
  assert.equal(IMAGE.pse?.records['0101'], `701B${entry}`);
  assert.ok(IMAGE.ppse?.fci.endsWith(`BF0C1B${entry}`));
  assert.ok(IMAGE.pse?.fci.startsWith('6F1C840E315041592E5359532E4444463031A5'));
});

test('contact-only, insert-only and foreign cards', () => {
  const contactOnly = imageOf({ contactless: null });
  assert.equal(contactOnly.ppse, null);
  assert.deepEqual(data.iccSummary(contactOnly).interfaces, ['contact']);
  assert.equal(imageOf({ contactlessRefusal: '6984' }).lab.contactlessRefusal, '6984');
  assert.equal(IMAGE.lab.contactlessRefusal, null);
  assert.equal(hexOf(applicationOf({ contactless: { ctq: '1000' } }), '9F6C'), '1000');
  assert.equal(applicationOf({ aid: 'A0000000041010' }).aid, 'A0000000041010');
});

test('the AIP says which data authentication there is (EMV 4.3 B3 §C1)', () => {
  for (const [kinds, aip] of [
    [['SDA'], '5C00'],
    [['DDA'], '3C00'],
    [['SDA', 'DDA', 'CDA'], '7D00'],
    [[], '1C00'],
  ] as const) {
    const application = applicationOf({ dataAuthentication: kinds });
    assert.equal(application.dgis[data.DGI_CONTACT_OPTIONS]?.slice(0, 4), aip);
    const hasStatic = application.dgis['0304'] !== undefined;
    assert.equal(
      hasStatic,
      kinds.some((kind) => kind === 'SDA'),
    );
  }
  const trial = applicationOf({ profile: { aip: '1C00' } });
  assert.equal(trial.dgis[data.DGI_CONTACT_OPTIONS]?.slice(0, 4), '1C00');
});

test('a separate PIN key has its certificate, over no static data (EMV 4.3 B2 §7.1)', () => {
  const pinKey = generateRsaKey(1024);
  const application = applicationOf({ pinKey, pin: '123456' });
  assert.equal(application.dgis[data.DGI_PIN_MODULUS], toHex(pinKey.modulus));
  const certificate = data.iccObject(application, '9F2D') ?? new Uint8Array(0);
  const recovered = rsaRaw(KEYS.issuer.modulus, KEYS.issuer.publicExponent, certificate);
  assert.equal(recovered[1], 0x04);
  const remainder = data.iccObject(application, '9F2F') ?? new Uint8Array(0);
  const hashed = [...recovered.slice(1, -21), ...remainder, 3];
  assert.deepEqual(recovered.slice(-21, -1), nodeCiphers.sha1(Uint8Array.from(hashed)));
  assert.ok(recordsOf(application, data.DGI_CONTACT_OPTIONS).some(({ id }) => id === '0305'));
  assert.equal(CARD.dgis[data.DGI_PIN_MODULUS], undefined);
});

test('the PIN stands in the card as a block of format 2, with its tries (ISO 9564-1)', () => {
  const application = applicationOf({ pin: '123456' });
  assert.equal(application.dgis[data.DGI_PIN_REFERENCE], '26123456FFFFFFFF');
  assert.equal(application.dgis[data.DGI_PIN_TRIES], '0303');
  assert.equal(application.state.pinTryCounter, 3);
  assert.equal(CARD.dgis[data.DGI_PIN_REFERENCE], undefined);
});

test('electronic cash: limits, balances and 9F74, which only the purse AFL names (PBOC P13)', () => {
  const second = { currencyCode: '0344', balanceMinor: '777' };
  const application = applicationOf({
    product: 'electronicCash',
    electronicCash: { balanceMinor: '12345', second },
  });
  assert.equal(application.aid, data.AID_PBOC_ELECTRONIC_CASH);
  assert.deepEqual(application.state.electronicCash, {
    balanceMinor: '12345',
    secondBalanceMinor: '777',
  });
  assert.equal(hexOf(application, '9F79'), '000000012345');
  assert.equal(hexOf(application, '9F77'), '000000100000');
  assert.equal(hexOf(application, '9F51'), '0156');
  assert.equal(hexOf(application, 'DF71'), '0344');
  assert.match(hexOf(application, '9F38'), /^9F7A01/);
  const has9f74 = (options: string) =>
    recordsOf(application, options).some(
      ({ record }) => findTlv(decodeTlv(record), '9F74') !== undefined,
    );
  assert.equal(has9f74(data.DGI_CONTACT_OPTIONS), false);
  assert.equal(has9f74(data.DGI_CONTACT_OPTIONS_EC), true);
  assert.equal(CARD.state.electronicCash, null);
});

test('SM beside RSA: both sides, DF69 in the PDOLs; SM alone: no RSA grouping at all (PBOC P17)', () => {
  const both = applicationOf(smRequest(nodeCiphers, { isOnly: false }));
  assert.match(hexOf(both, '9F38'), /DF6901$/);
  assert.notEqual(both.dgis[data.DGI_CONTACT_OPTIONS], both.dgis[data.DGI_CONTACT_OPTIONS_SM]);
  const alone = applicationOf(smRequest(nodeCiphers, { isOnly: true }));
  for (const id of [data.DGI_UDK_3DES, data.DGI_ICC_MODULUS, data.DGI_ICC_PRIVATE_EXPONENT]) {
    assert.equal(alone.dgis[id], undefined, id);
  }
  assert.equal(alone.dgis[data.DGI_CONTACT_OPTIONS], alone.dgis[data.DGI_CONTACT_OPTIONS_SM]);
  const certificate = data.iccObject(alone, '90');
  assert.ok(certificate && data.looksLikeSmCertificate(certificate));
});

for (const [field, change] of [
  ['PAN', { pan: '62' }],
  ['PAN sequence number', { panSequenceNumber: '1' }],
  ['expiry', { expiryYymm: '3113' }],
  ['cardholder name', { cardholderName: 'Z' }],
  ['label', { label: 'A LABEL OF TOO MANY CHARACTERS' }],
  ['CA key index', { caIndex: 'F' }],
  ['AID', { aid: 'A000' }],
  ['PIN', { pin: '123' }],
  ['CDOL1', { profile: { cdol1: '9F02' } }],
  ['CVM list', { profile: { cvmList: '00' } }],
  ['purse', { electronicCash: { balanceMinor: '999999' } }],
  ['card key', { keys: { udkAc: fromHex('00'), udkMac: fromHex('00'), udkEnc: fromHex('00') } }],
] as const) {
  test(`personalisation refuses a wrong ${field}`, () => {
    assert.throws(() => imageOf(change), code('ERR_EMV_PERSONALISATION'));
  });
}

test('a record that no short answer carries is refused with its grouping', () => {
  const cvmList = `0000000000000000${'1F03'.repeat(100)}`;
  assert.throws(
    () => imageOf({ profile: { cvmList } }),
    (thrown) => code('ERR_EMV_PERSONALISATION')(thrown),
  );
});

test('SM2 without random numbers is refused', () => {
  const { random: _none, ...change } = smRequest(nodeCiphers, { isOnly: true });
  assert.throws(() => imageOf(change), code('ERR_EMV_KEY'));
});
