/** Shows the issuer's checks beside the cryptogram: its input, the envelope, the counter. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, Secret, TapError, toHex } from '../../bytes/index.ts';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
} from '../../crypto/index.ts';
import { AC_INPUT_CVN_01, EmvDataError } from '../data/index.ts';
import {
  type AtcHistory,
  assembleAcInput,
  checkCardVerificationResults,
  checkCryptogramEnvelope,
  EmvIssuerError,
  type EnvelopeFields,
  isAtcAccepted,
  judgeAtc,
  recordAtc,
} from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;

/** Field 55 as a map, from an already assembled AC input (its CVR goes into 9F10). */
function valuesOf(acInput: string): Map<string, Uint8Array> {
  const bytes = fromHex(acInput);
  const values = new Map<string, Uint8Array>();
  let offset = 0;
  for (const { tag, lengthBytes } of AC_INPUT_CVN_01) {
    values.set(tag, bytes.slice(offset, offset + lengthBytes));
    offset += lengthBytes;
  }
  return values.set('9F10', fromHex(`070001${toHex(bytes.slice(offset))}01`));
}

// vectors/pboc-unionpay.json pboc-cvn01-a and -b.
const V1 = '000000000001000000000000015600800460000156140701001E78EEBC7D00024003A04002';
const V2 = '0000000012340000000000340156D86004A800015612051601010101017C00000E03A4B904';

test('CVN 01, published vector V1: card key, session key, ARQC, ARPC (PBOC3 P5 §10)', () => {
  const imk = fromHex('F0C34A8124CEE0A91A0B034AA97D6EAC');
  const udk = deriveIccMasterKey(imk, '6228000100001', '01');
  const sessionKey = deriveSessionKey(udk, fromHex('0240'));
  const input = assembleAcInput(valuesOf(V1));
  assert.equal(toHex(input), V1);
  const arqc = applicationCryptogram(sessionKey, input);
  assert.equal(toHex(arqc), '5D016C91005E7CC2');
  assert.equal(toHex(arpcMethod1(sessionKey, arqc, fromHex('3031'))), '21415243527CE78F');
});

test('CVN 01, published vector V2: ARQC (PBOC3 P5 §10)', () => {
  const sessionKey = deriveSessionKey(fromHex('0D2E3CB0BC1F9E03AED58F663A2F9679'), fromHex('000E'));
  const input = assembleAcInput(valuesOf(V2));
  assert.equal(toHex(applicationCryptogram(sessionKey, input)), 'F294D7022FA9B058');
});

test('AC input: a missing or cut value is named', () => {
  for (const { tag } of [...AC_INPUT_CVN_01, { tag: '9F10' }]) {
    const missing = valuesOf(V1);
    missing.delete(tag);
    assert.throws(
      () => assembleAcInput(missing),
      (thrown) => code('ERR_EMV_AC_INPUT')(thrown) && (thrown as TapError).data['tag'] === tag,
    );
    const cut = valuesOf(V1).set(tag, new Uint8Array(1));
    if (tag !== '9C') assert.throws(() => assembleAcInput(cut), TapError);
  }
});

test('CVN 17: amount, unpredictable number, counter, byte 5 of 9F10, and nothing else', () => {
  const url = new URL('../../../../vectors/pboc/cvn17.json', import.meta.url);
  for (const vector of JSON.parse(readFileSync(url, 'utf8')).cases) {
    const values = new Map([
      ['9F02', fromHex(vector.amount)],
      ['9F37', fromHex(vector.unpredictableNumber)],
      ['9F36', fromHex(vector.atc)],
      ['9F10', fromHex(vector.issuerApplicationData)],
    ]);
    assert.equal(toHex(assembleAcInput(values)), vector.expected.acInput);
    for (const tag of values.keys()) {
      const missing = new Map(values);
      missing.delete(tag);
      assert.throws(() => assembleAcInput(missing), code('ERR_EMV_AC_INPUT'));
      const cut = new Map(values).set(tag, new Uint8Array(1));
      assert.throws(() => assembleAcInput(cut), TapError);
    }
  }
});

test('AC input: another cryptogram version or algorithm is refused', () => {
  const other = valuesOf(V1).set('9F10', fromHex('07001103A0400201'));
  assert.throws(() => assembleAcInput(other), code('ERR_EMV_AC_INPUT'));
  const unknown = valuesOf(V1).set('9F10', fromHex('07000103A0400202'));
  assert.throws(() => assembleAcInput(unknown), code('ERR_EMV_AC_INPUT'));
  const sm4 = valuesOf(V1).set('9F10', fromHex('07000103A0400204'));
  const tdes = valuesOf(V1).set('9F10', fromHex('07000103A0400201'));
  assert.deepEqual(assembleAcInput(sm4), assembleAcInput(tdes), 'SM4 covers the same bytes');
});

test('AC input of junk throws nothing but its own errors', () => {
  const tags = fc.constantFrom(...AC_INPUT_CVN_01.map(({ tag }) => tag), '9F10');
  const pairs = fc.array(fc.tuple(tags, fc.uint8Array({ maxLength: 12 })), { maxLength: 14 });
  fc.assert(
    fc.property(pairs, (entries) => {
      try {
        assembleAcInput(new Map([...valuesOf(V1), ...entries]));
      } catch (thrown) {
        assert.ok(thrown instanceof EmvIssuerError || thrown instanceof EmvDataError);
      }
    }),
  );
});

const PAN = '6299990000000009';
/** A sound online purchase with online PIN. */
const VALUES: ReadonlyMap<string, Uint8Array> = new Map(
  Object.entries({
    '9F02': '000000001234',
    '9F03': '000000000000',
    '9F1A': '0156',
    '95': '0000048000',
    '5F2A': '0156',
    '9A': '260701',
    '9C': '00',
    '9F37': '01020304',
    '82': '7C00',
    '9F36': '0001',
    '9F10': '07010103A0100201',
    '9F27': '80',
    '9F34': '420300',
    '5F34': '01',
    '57': `${PAN}D31122200000000F`,
    '5A': PAN,
  }).map(([tag, hex]) => [tag, fromHex(hex)]),
);
const FIELDS: EnvelopeFields = {
  pan: new Secret(PAN),
  amount: '000000001234',
  posEntryMode: '051',
  panSequenceNumber: '001',
  track2: new Secret(`${PAN}=31122200000000`),
  currency: '156',
  hasPinData: true,
};
const findings = (tags: Record<string, string>, fields: Partial<EnvelopeFields> = {}) =>
  checkCryptogramEnvelope(
    new Map([...VALUES, ...Object.entries(tags).map(([tag, hex]) => [tag, fromHex(hex)] as const)]),
    { ...FIELDS, ...fields },
  );

test('a sound purchase has no findings, with PIN and without', () => {
  assert.deepEqual(findings({}), []);
  const withoutPin = findings(
    { '95': '0000008000', '9F34': '5E0300' },
    { posEntryMode: '052', hasPinData: false },
  );
  assert.deepEqual(withoutPin, []);
});

for (const [finding, tags, fields] of [
  ['amountDiffers', { '9F02': '000000001235' }, {}],
  ['amountDiffers', {}, { amount: '000000012340' }],
  ['otherAmountUnexpected', { '9F03': '000000000001' }, {}],
  ['currencyDiffers', { '5F2A': '0840' }, {}],
  ['panDiffers', { '5A': '6299990000000014' }, {}],
  ['track2Differs', { '57': `${PAN}D31112200000000F` }, {}],
  ['track2PanDiffers', {}, { track2: new Secret('6299990000000014=31122200000000') }],
  ['panSequenceDiffers', {}, { panSequenceNumber: '002' }],
  ['entryModeNotChip', {}, { posEntryMode: '021' }],
  ['pinEntryModeDiffers', { '95': '0000008000' }, {}],
  ['pinDataMissing', {}, { hasPinData: false }],
  ['pinDataUnexpected', {}, { posEntryMode: '052' }],
  ['cvmResultsDiffer', { '9F34': '5E0300' }, {}],
  ['offlinePinClaimFalse', { '9F34': '410302' }, {}],
  ['offlinePinUnclaimed', { '9F10': '07010103A4100201' }, {}],
  ['iadMalformed', { '9F10': '06010103A0100201' }, {}],
  ['cryptogramTypeDiffers', { '9F27': '40' }, {}],
  ['cvrTypeDiffers', { '9F10': '0701010390100201' }, {}],
  ['tokenShape', { '9F1A': '0000' }, {}],
  ['tokenShape', { '9A': '000000' }, {}],
] as const) {
  test(`envelope: ${finding} is found (${JSON.stringify(tags)})`, () => {
    assert.ok(findings(tags, fields as Partial<EnvelopeFields>).includes(finding));
  });
}

const CVN_17 = { '9F10': '07011703A0100201', '95': '0000000000', '9F34': '1F0302' };
const TAPPED = { posEntryMode: '072', hasPinData: false } as const;

test('envelope of a tap: CVN 17 under 07x is sound, with PIN too', () => {
  assert.deepEqual(findings(CVN_17, TAPPED), []);
  const pin = { ...CVN_17, '95': '0000040000', '9F34': '420300' };
  assert.deepEqual(findings(pin, { posEntryMode: '071', hasPinData: true }), []);
});

test('envelope of a tap: real qPBOC cards with CVN 01 are sound too', () => {
  assert.deepEqual(findings({ ...CVN_17, '9F10': '07010103A0100201' }, TAPPED), []);
});

test('envelope of a tap: 95 and 9F34 may be absent, and must agree when present', () => {
  const values = new Map([
    ...VALUES,
    ...Object.entries(CVN_17).map(([tag, hex]) => [tag, fromHex(hex)] as const),
  ]);
  for (const tag of ['95', '9F34']) {
    values.delete(tag);
    assert.deepEqual(checkCryptogramEnvelope(values, { ...FIELDS, ...TAPPED }), []);
    const contact = checkCryptogramEnvelope(values, {
      ...FIELDS,
      posEntryMode: '052',
      hasPinData: false,
    });
    assert.ok(contact.includes('dataMissing'));
  }
  assert.ok(findings({ ...CVN_17, '9F34': '420300' }, TAPPED).includes('cvmResultsDiffer'));
  values.delete('9F27');
  assert.ok(checkCryptogramEnvelope(values, { ...FIELDS, ...TAPPED }).includes('dataMissing'));
});

test('envelope: a cryptogram of a tap in a message of the contact interface is found', () => {
  const found = findings(CVN_17, { posEntryMode: '052', hasPinData: false });
  assert.deepEqual(found, ['cryptogramVersionDiffers']);
  assert.deepEqual(findings({ ...CVN_17, '9F10': '0701170390100201' }, TAPPED), ['cvrTypeDiffers']);
});

test('envelope: field 55 without its values is dataMissing', () => {
  assert.ok(checkCryptogramEnvelope(new Map(), FIELDS).includes('dataMissing'));
});

test('envelope: an offline PIN that card and terminal agree on is no finding', () => {
  const values = new Map([
    ...VALUES,
    ['9F34', fromHex('410302')],
    ['9F10', fromHex('07010103A4100201')],
  ] as const);
  assert.deepEqual(checkCardVerificationResults(values, 'ARQC'), []);
});

test('envelope: a completed TC agrees with its CVR', () => {
  const values = new Map([
    ...VALUES,
    ['9F27', fromHex('40')],
    ['9F10', fromHex('0701010360100201')],
  ] as const);
  assert.deepEqual(checkCardVerificationResults(values, 'TC'), []);
  assert.deepEqual(checkCardVerificationResults(values, 'AAC'), ['cryptogramTypeDiffers']);
});

test('envelope: junk values give findings and no exception', () => {
  const tags = fc.constantFrom(...VALUES.keys());
  const pairs = fc.array(fc.tuple(tags, fc.uint8Array({ maxLength: 12 })), { maxLength: 16 });
  fc.assert(
    fc.property(pairs, fc.string(), fc.string(), (entries, amount, posEntryMode) => {
      const fields = { ...FIELDS, amount, posEntryMode };
      assert.ok(Array.isArray(checkCryptogramEnvelope(new Map([...VALUES, ...entries]), fields)));
    }),
  );
});

const HISTORY: AtcHistory = { used: new Set([1, 2, 5]), highest: 5 };

test('ATC: a counter counts once, and only upwards in requests', () => {
  assert.equal(judgeAtc(6, HISTORY, 'request'), 'fresh');
  assert.equal(judgeAtc(5, HISTORY, 'request'), 'replayed');
  assert.equal(judgeAtc(3, HISTORY, 'request'), 'behind');
  assert.equal(judgeAtc(3, HISTORY, 'advice'), 'lateAdvice');
  assert.equal(judgeAtc(2, HISTORY, 'advice'), 'replayed');
  for (const atc of [0, -1, 65536, 1.5, Number.NaN]) {
    assert.equal(judgeAtc(atc, HISTORY, 'advice'), 'impossible');
  }
});

test('ATC: no counter is ever accepted twice', () => {
  const kinds = fc.constantFrom('request', 'advice');
  const tries = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), kinds), { maxLength: 60 });
  fc.assert(
    fc.property(tries, (messages) => {
      const accepted: number[] = [];
      let history: AtcHistory = { used: new Set(), highest: 0 };
      for (const [atc, kind] of messages) {
        if (!isAtcAccepted(judgeAtc(atc, history, kind))) continue;
        accepted.push(atc);
        history = recordAtc(history, atc);
      }
      assert.equal(new Set(accepted).size, accepted.length);
      assert.equal(history.highest, Math.max(0, ...accepted));
    }),
  );
});
