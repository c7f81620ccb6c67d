/**
 * Shows the card model: defaults per product, what may be written, and for every wrong word the
 * path, what is wrong and how to put it right.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as data from './index.ts';

const PAN = '6299990000000009';
const CARD = { pan: PAN, validity: { from: '2501', to: '3112' } };
const read = (application: object = {}, card: object = {}): data.CardModel =>
  data.readCardModel({ ...CARD, applications: [{ product: 'debit', ...application }], ...card });
function first(application: object = {}, card: object = {}): data.ApplicationModel {
  const [found] = read(application, card).applications;
  assert.ok(found);
  return found;
}

test('a PAN, a validity and a product are enough', () => {
  const model = read();
  assert.equal(model.cardholderName, 'LAB/CARDHOLDER');
  assert.deepEqual(model.troubles, []);
  const [application] = model.applications;
  assert.equal(application?.aid, 'A000000333010101');
  assert.deepEqual(application?.interfaces, ['contact', 'contactless']);
  assert.deepEqual(application?.algorithms, ['RSA']);
  assert.equal(application?.pdol, '9F1A025F2A02');
  assert.equal(application?.electronicCash, null);
  assert.deepEqual(
    data.parseCardModel(JSON.stringify({ ...CARD, applications: [{ product: 'debit' }] })),
    model,
  );
});

for (const [product, aid, hasElectronicCash] of [
  ['debit', 'A000000333010101', false],
  ['credit', 'A000000333010102', false],
  ['quasiCredit', 'A000000333010103', false],
  ['electronicCash', 'A000000333010106', true],
] as const) {
  test(`product ${product}: its AID, a label of at most 16 characters, e-cash ${hasElectronicCash} (PBOC P5)`, () => {
    const application = first({ product });
    assert.equal(application.aid, aid);
    assert.ok(application.label.length <= 16 && application.label.startsWith('PBOC'));
    assert.equal(application.electronicCash !== null, hasElectronicCash);
    assert.doesNotThrow(() => data.decodeCvmList(Buffer.from(application.cvmList, 'hex')));
  });
}

test('the PDOL asks for what the card needs: 9F7A for e-cash, DF69 for SM, 9F66 in the field', () => {
  const cash = first({ electronicCash: {}, algorithms: ['RSA', 'SM2'] });
  assert.equal(cash.pdol, '9F7A019F02065F2A02DF6901');
  assert.match(cash.contactlessPdol, /^9F6604.*9F7A01DF6901$/);
  assert.equal(first({ pdol: '9F3704' }).pdol, '9F3704');
  assert.equal(first({ product: 'electronicCash', electronicCash: null }).electronicCash, null);
});

test('two purses have two currencies', () => {
  const cash = first({ electronicCash: { second: { currencyCode: '0344', balanceMinor: '5' } } });
  assert.equal(cash.electronicCash?.currencyCode, '0156');
  assert.equal(cash.electronicCash?.second?.currencyCode, '0344');
  assert.equal(cash.electronicCash?.second?.balanceMinor, '5');
});

test('an offline PIN brings the CVM list that asks for it', () => {
  assert.equal(first({ pin: { value: '123456' } }).cvmList, data.CVM_LIST_ONLINE_PIN);
  const offline = first({ pin: { value: '123456', offline: true } });
  assert.equal(offline.cvmList, data.CVM_LIST_OFFLINE_PIN);
  assert.equal(offline.pin.tryLimit, 3);
});

test('several applications with priorities and confirmation', () => {
  const model = data.readCardModel({
    ...CARD,
    applications: [
      { product: 'debit', priority: 2 },
      { product: 'credit', priority: 1, needsConfirmation: true },
    ],
  });
  assert.deepEqual(
    model.applications.map(({ priority, needsConfirmation }) => [priority, needsConfirmation]),
    [
      [2, false],
      [1, true],
    ],
  );
});

for (const [path, application, card] of [
  ['applications[0].product', { product: 'gold' }, {}],
  ['applications[0].product', { product: undefined }, {}],
  ['applications[0].aid', { aid: 'A000' }, {}],
  ['applications[0].aid', { aid: 'a000000333010101' }, {}],
  ['applications[0].label', { label: '借记卡' }, {}],
  ['applications[0].label', { label: 'SEVENTEEN LETTERS' }, {}],
  ['applications[0].priority', { priority: 16 }, {}],
  ['applications[0].priority', { priority: '1' }, {}],
  ['applications[0].needsConfirmation', { needsConfirmation: 'yes' }, {}],
  ['applications[0].interfaces', { interfaces: [] }, {}],
  ['applications[0].interfaces[1]', { interfaces: ['contact', 'contact'] }, {}],
  ['applications[0].algorithms[0]', { algorithms: ['DSA'] }, {}],
  ['applications[0].dataAuthentication[0]', { dataAuthentication: ['XDA'] }, {}],
  ['applications[0].pin.value', { pin: { value: '123' } }, {}],
  ['applications[0].pin.value', { pin: { value: 123456 } }, {}],
  ['applications[0].pin.tryLimit', { pin: { tryLimit: 0 } }, {}],
  ['applications[0].pin.offline', { pin: { offline: true } }, {}],
  ['applications[0].pin.code', { pin: { code: '1234' } }, {}],
  ['applications[0].cvmList', { cvmList: '00' }, {}],
  ['applications[0].cvmList', { cvmList: '0000000000000000420' }, {}],
  ['applications[0].cvmList', { cvmList: '00000000000000004203FF' }, {}],
  ['applications[0].cdol1', { cdol1: '9F02' }, {}],
  ['applications[0].actionCodes.denial', { actionCodes: { denial: '00' } }, {}],
  ['applications[0].actionCodes.deny', { actionCodes: { deny: '0000000000' } }, {}],
  [
    'applications[0].riskPolicy.lowerConsecutiveOfflineLimit',
    { riskPolicy: { lowerConsecutiveOfflineLimit: 256 } },
    {},
  ],
  [
    'applications[0].riskPolicy.cumulativeAmountLimitMinor',
    { riskPolicy: { cumulativeAmountLimitMinor: '1.00' } },
    {},
  ],
  ['applications[0].electronicCash', { electronicCash: true }, {}],
  ['applications[0].electronicCash.balanceMinor', { electronicCash: { balanceMinor: 100 } }, {}],
  [
    'applications[0].electronicCash.balanceMinor',
    { electronicCash: { balanceMinor: '100001' } },
    {},
  ],
  [
    'applications[0].electronicCash.authorisationCode',
    { electronicCash: { authorisationCode: 'E' } },
    {},
  ],
  ['applications[0].electronicCash.second.currencyCode', { electronicCash: { second: {} } }, {}],
  [
    'applications[0].electronicCash.second.currencyCode',
    { electronicCash: { second: { currencyCode: '0156' } } },
    {},
  ],
  ['applications[0].overrides.201', { overrides: { 201: '70' } }, {}],
  ['applications[0].overrides.0201', { overrides: { '0201': '7' } }, {}],
  ['applications[0].colour', { colour: 'gold' }, {}],
  ['applications[1].aid', {}, { applications: [{ product: 'debit' }, { product: 'debit' }] }],
  ['applications', {}, { applications: [] }],
  ['applications', {}, { applications: {} }],
  ['applications[0]', {}, { applications: [7] }],
  ['pan', {}, { pan: '6299990000000000' }],
  ['pan', {}, { pan: 6299990000000009 }],
  ['pan', {}, { pan: undefined }],
  ['panSequenceNumber', {}, { panSequenceNumber: '1' }],
  ['validity', {}, { validity: undefined }],
  ['validity.to', {}, { validity: { from: '2501', to: '3113' } }],
  ['validity.from', {}, { validity: { from: '3201', to: '3112' } }],
  ['holder.name', {}, { holder: { name: '张三' } }],
  ['holder.names', {}, { holder: { names: 'ZHANG/SAN' } }],
  ['serviceCode', {}, { serviceCode: '22' }],
  ['currencyCode', {}, { currencyCode: '156' }],
  ['troubles[0]', {}, { troubles: ['rust'] }],
  ['troubles', {}, { troubles: 'expired' }],
] as const) {
  test(`a model with a wrong ${path} is refused there: ${JSON.stringify({ ...application, ...card }).slice(0, 60)}`, () => {
    assert.throws(
      () => read(application, card),
      (thrown) => {
        assert.ok(thrown instanceof data.EmvDataError);
        assert.equal(thrown.code, 'ERR_CARD_MODEL');
        assert.equal(thrown.data['path'], path);
        assert.ok(String(thrown.data['what']).length > 3 && String(thrown.data['fix']).length > 3);
        return true;
      },
    );
  });
}

test('the wrong check digit is told, no value is quoted', () => {
  assert.throws(
    () => read({}, { pan: '6299990000000000' }),
    (thrown) =>
      thrown instanceof Error &&
      thrown.message === 'card model: pan has a wrong check digit; end it with 9',
  );
});

test('any JSON value ends in a model or in ERR_CARD_MODEL', () => {
  const assertCoded = (run: () => unknown): void => {
    try {
      run();
    } catch (thrown) {
      if (!(thrown instanceof data.EmvDataError && thrown.code === 'ERR_CARD_MODEL')) throw thrown;
    }
  };
  fc.assert(fc.property(fc.string(), (text) => assertCoded(() => data.parseCardModel(text))));
  fc.assert(fc.property(fc.jsonValue(), (value) => assertCoded(() => data.readCardModel(value))));
  const names = Object.keys(first());
  const application = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
  fc.assert(fc.property(application, (wrong) => assertCoded(() => read(wrong))));
  assertCoded(() => data.parseCardModel('['.repeat(200_000)));
});

test('every trouble has a name and says what a terminal meets', () => {
  assert.ok(data.CARD_TROUBLES.length >= 30);
  for (const name of data.CARD_TROUBLES) assert.ok(data.describeCardTrouble(name).length > 10);
  assert.equal(data.isCardTrouble('toString'), false);
});
