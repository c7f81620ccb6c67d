/**
 * The element's word over a store in memory: the counter is durable before there is a signature,
 * an application can neither choose nor repeat what the element says, and parameters never go back.
 */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import { statementOf, verifyP1363 } from '@tapnpay/protocol/node';
import type { ApplicationLifeCycle, PaymentClaim } from '@tapnpay/protocol/wire';
import { TEST_PARAMETER_KEY_SPKI, testParameters } from '../../protocol/node/gateway.test-peer.ts';
import { attestPayment } from './attestation.ts';
import { keepParameters, parametersVersion } from './parameters.ts';
import { type ElementIdentity, ElementState } from './state.ts';
import type { ElementStore } from './store.ts';

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const ELEMENT_ID = '0011223344556677';
const EXPORTER = 'E0'.repeat(32);
const claim: PaymentClaim = {
  order: {
    ...{ orderId: 'order-1', merchantId: '898110150001', merchantName: 'Test Shop' },
    ...{ terminalId: '00000001', amountMinor: '1234', currency: '156' },
    ...{ origin: 'https://shop.example', dateYymmdd: '260701', timeHhmmss: '101112' },
    ...{ transactionType: '00', signature: '5A'.repeat(64) },
  },
  ...{ parameterVersion: 1, field55: '9F2601AA', pinBlock: null },
  ...{ tvr: '0080008000', cvmResults: '020000' },
};

/** A store that can fail, and what it was given last. */
class TestStore {
  text = '';
  isFull = false;

  read(): string {
    return this.text;
  }

  write(text: string): void {
    if (this.isFull) throw new Error('no room');
    this.text = text;
  }
}

const stateOf = (store: TestStore) => new ElementState(store as unknown as ElementStore);
const attestBy = (
  state: ElementState,
  changes: { readonly lifeCycle?: ApplicationLifeCycle; readonly claim?: object } = {},
) => {
  const facts = { state, key, elementId: ELEMENT_ID, loadFileHash: '1F'.repeat(32) };
  const { lifeCycle = 'operable', claim: other } = changes;
  const ports = { ...facts, lifeCycle: () => lifeCycle, exporter: () => EXPORTER };
  return attestPayment(ports, { ...claim, ...other });
};
const isVerified = (signature: string, counter: number): boolean => {
  const element = { elementId: ELEMENT_ID, loadFileHash: '1F'.repeat(32), exporter: EXPORTER };
  const statement = statementOf({ ...element, lifeCycle: 'operable', counter }, claim);
  return verifyP1363(createPublicKey(key), statement, signature);
};

test('each attestation has a counter of its own, durable before its signature', () => {
  const store = new TestStore();
  const state = stateOf(store);
  for (const counter of [1, 2, 3]) {
    const attestation = attestBy(state);
    assert.equal(attestation.counter, counter);
    assert.ok(isVerified(attestation.signature, counter));
    assert.equal(stateOf(store).record.paymentCounter, counter, 'on the disk');
  }
  store.isFull = true;
  assert.throws(() => attestBy(state), /no room/);
  store.isFull = false;
  assert.equal(attestBy(stateOf(store)).counter, 4);
});

test('a store that is set back repeats a counter: that is what the gateway finds', () => {
  const store = new TestStore();
  attestBy(stateOf(store));
  const copy = store.text;
  const genuine = attestBy(stateOf(store));
  store.text = copy;
  const restored = attestBy(stateOf(store));
  assert.equal(restored.counter, genuine.counter);
  assert.notEqual(restored.signature, genuine.signature);
});

test('what the application adds or leaves out changes nothing that the element says', () => {
  const state = stateOf(new TestStore());
  const forged = {
    counter: 99,
    loadFileHash: 'AA'.repeat(32),
    lifeCycle: 'operable',
    exporter: '',
  };
  const attestation = attestBy(state, { claim: forged });
  assert.equal(attestation.counter, 1);
  assert.equal(attestation.loadFileHash, '1F'.repeat(32));
  for (const wrong of [
    { tvr: '00' },
    { cvmResults: 3 },
    { field55: 'zz' },
    { pinBlock: '00' },
    { order: { ...claim.order, amountMinor: '-1' } },
    { order: null },
    { parameterVersion: -1 },
  ]) {
    assert.throws(() => attestBy(state, { claim: wrong }), { code: 'ERR_MESSAGE_FIELD' });
  }
  assert.equal(state.record.paymentCounter, 1, 'a refused claim uses no counter up');
});

test('an application that is not operable gets no signature and no counter', () => {
  const state = stateOf(new TestStore());
  for (const lifeCycle of ['installed', 'locked'] as const) {
    assert.throws(() => attestBy(state, { lifeCycle }), { code: 'APP_LOCKED' });
  }
  assert.equal(state.record.paymentCounter, 0);
});

const terminal = {
  ...{ terminalTransactionQualifiers: '26000080', countryCode: '0156', terminalType: '22' },
  ...{ terminalCapabilities: 'E068C0', additionalTerminalCapabilities: 'F000F0A001' },
  ...{ aids: [], caPublicKeys: [] },
};
const first = testParameters(terminal);

function enrolled(store: TestStore): ElementIdentity {
  const identity: ElementIdentity = {
    ...{ elementId: ELEMENT_ID, certificatePem: '', caPem: '', initialKeyId: '00' },
    ...{ clientKeyPkcs8: new Secret('00'), initialKey: new Secret('00'), orderPublicKeySpki: '00' },
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: first,
  };
  stateOf(store).update({ identity });
  return identity;
}

test('a newer set is kept durably; an older, equal, unsigned or altered one changes nothing', () => {
  const store = new TestStore();
  const identity = enrolled(store);
  const newer = testParameters(terminal, { version: 5 });
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  keepParameters(stateOf(store), identity, newer);
  const state = stateOf(store);
  assert.deepEqual(state.record.identity?.parameters, newer);
  const before = store.text;
  for (const refused of [
    first,
    newer,
    testParameters(terminal, { version: 5, countryCode: '0344' }),
    testParameters(terminal, { version: 6 }, stranger),
    { ...newer, body: newer.body.replace('"version":5', '"version":6') },
    { body: '{}', signature: newer.signature },
  ]) {
    assert.throws(() => keepParameters(state, identity, refused), { code: 'ERR_PARAMETERS' });
  }
  assert.equal(store.text, before);
  assert.equal(parametersVersion(TEST_PARAMETER_KEY_SPKI, newer), 5);
  assert.throws(() => parametersVersion('00', newer), { code: 'ERR_PARAMETERS' });
});

test('a store of before: no counter, and an identity without the key of its parameters enrols anew', () => {
  const store = new TestStore();
  enrolled(store);
  const old = JSON.parse(store.text);
  old.paymentCounter = undefined;
  old.pinCounters = { AB: 7 };
  old.identity.parameterPublicKeySpki = undefined;
  store.text = JSON.stringify(old);
  const { record } = stateOf(store);
  assert.equal(record.paymentCounter, 0);
  assert.equal(record.identity, null);
  assert.deepEqual(record.pinCounters, { AB: 7 }, 'PIN keys go on counting');
});
