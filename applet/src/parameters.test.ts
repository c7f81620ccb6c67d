/**
 * Parameter sets in the application: which is taken at a contact, which is refused and by what
 * code, and that its days and revocations reach the kernel.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  encodeParameterSet,
  type ParameterSet,
  readParameterSet,
  type SignedParameterSet,
} from '@tapnpay/protocol/wire';
import { testParameters } from '../../protocol/node/gateway.test-peer.ts';
import { isSandboxCa } from './parameters.ts';
import { caKey, callsOf, parameters, pay, type Run } from './payment.test-kit.ts';

const first = testParameters(parameters);
const DAY_MS = 86_400_000;
const set = (changes: Partial<ParameterSet>): SignedParameterSet =>
  testParameters(parameters, changes);
const endOf = ({ result }: Run) => [result.outcome, result.reason, result.charged];

/** Pays with the first set kept while the gateway has this one. */
function contact(newer: SignedParameterSet, minimum = 0): Run {
  const { version } = JSON.parse(newer.body) as ParameterSet;
  return pay({ versions: { newest: Math.max(version, 2), minimum }, parameters: newer });
}

test('a newer set is taken at the contact, kept and used; gaps in the numbers are allowed', () => {
  for (const version of [2, 7, 1_000_000]) {
    const newer = set({ version });
    const run = contact(newer);
    assert.deepEqual(endOf(run), ['approved', null, 'yes']);
    assert.deepEqual(run.host.stored, [newer]);
    assert.equal(run.gateway.payment?.attestation.parameterVersion, version);
  }
});

test('the newest set is asked for once and not again', () => {
  const run = pay();
  assert.equal(run.gateway.payment?.attestation.parameterVersion, 1);
  assert.deepEqual(run.host.stored, []);
  assert.ok(!run.gateway.received.some(({ type }) => type === 'parametersRequest'));
});

test('rollback, wrong key, altered, future-dated and expired sets are refused and not kept', () => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const newer = set({ version: 2 });
  const nowMs = (JSON.parse(first.body) as ParameterSet).validFromMs + DAY_MS;
  const refused: readonly (readonly [string, SignedParameterSet])[] = [
    ['ERR_PARAMETERS_ROLLBACK', first],
    ['ERR_PARAMETERS', testParameters(parameters, { version: 2 }, stranger)],
    ['ERR_PARAMETERS', { ...newer, body: newer.body.replace('"version":2', '"version":3') }],
    ['ERR_PARAMETERS', { ...newer, signature: '00'.repeat(64) }],
    ['ERR_PARAMETERS', set({ version: 2, validFromMs: nowMs + 1 })],
    ['ERR_PARAMETERS', set({ version: 2, validFromMs: 1, validUntilMs: nowMs })],
  ];
  for (const [code, offered] of refused) {
    const run = contact(offered);
    assert.deepEqual(endOf(run), ['cancelled', code, 'no'], offered.body.slice(0, 120));
    assert.deepEqual(run.host.stored, []);
    assert.equal(callsOf(run, 'presentCard'), 0, 'no card is asked for');
  }
});

test('a set that says what is not understood is refused, whoever signed it', () => {
  const body = set({ version: 2 }).body;
  const strange = [
    body.replace('"format":"1"', '"format":"2"'),
    body.replace('"token":{', '"token":{"more":1,'),
    body.replace('{"format"', '{"new":true,"format"'),
    `${body} `,
    body.replace('"version":2', '"version":"2"'),
    body.replace(/"aid":"[0-9A-F]+"/, '"aid":"A0"'),
    '{}',
    'null',
    'no JSON',
  ];
  for (const text of strange) {
    assert.throws(() => readParameterSet(text), { code: 'ERR_MESSAGE_FIELD' }, text.slice(0, 60));
  }
  const { signature } = first;
  const wrong = { body: strange[1] ?? '', signature };
  const run = pay({ versions: { newest: 2, minimum: 0 }, parameters: wrong });
  assert.equal(run.result.reason, 'ERR_PARAMETERS');
  assert.throws(() => encodeParameterSet({} as ParameterSet), { code: 'ERR_MESSAGE_FIELD' });
  assert.throws(() => readParameterSet(set({ version: 0 }).body), { code: 'ERR_MESSAGE_FIELD' });
});

test('an expired or too old set without a newer one is PARAMS_OUTDATED, before any card', () => {
  const expired = set({ validFromMs: 1, validUntilMs: 2 });
  assert.deepEqual(endOf(pay({}, {}, { set: expired })), ['cancelled', 'PARAMS_OUTDATED', 'no']);
  const old = pay({ versions: { newest: 1, minimum: 2 } });
  assert.deepEqual(endOf(old), ['cancelled', 'PARAMS_OUTDATED', 'no']);
  const kept = pay({}, {}, { set: { ...first, signature: '11'.repeat(64) } });
  assert.equal(kept.result.reason, 'ERR_PARAMETERS', 'the store is believed no more than a peer');
  assert.equal(callsOf(old, 'presentCard'), 0);
});

test('refused for its parameters: the new set is fetched and the same order paid with the card', () => {
  const newer = set({ version: 2 });
  const script = { isOutdatedOnce: true, parameters: newer };
  for (const presented of ['contact', 'contactless'] as const) {
    const presentation = { interface: presented };
    const run = pay(script, { presentations: [presentation, presentation] });
    assert.deepEqual(endOf(run), ['approved', null, 'yes']);
    const asked = run.host.requests.map(({ attempt, reason }) => [attempt, reason]);
    assert.deepEqual(asked, [
      [1, null],
      [2, 'PARAMS_OUTDATED'],
    ]);
    assert.deepEqual(run.host.stored, [newer]);
    assert.equal(run.gateway.payment?.attestation.parameterVersion, 2);
    const orders = run.gateway.received.filter(({ type }) => type === 'orderRequest');
    assert.equal(orders.length, 1, 'the order is not asked for again');
  }
});

test('the days of an application and of a CA key decide, and a revoked certificate is known', () => {
  const [aid] = (JSON.parse(first.body) as ParameterSet).aids;
  assert.ok(aid);
  // The order's day is 260701.
  for (const [fromYymmdd, untilYymmdd, isTaken] of [
    ['200101', '260630', false],
    ['260702', '491231', false],
    ['260701', '260701', true],
  ] as const) {
    const dated = set({ aids: [{ ...aid, fromYymmdd, untilYymmdd }] });
    const run = pay({}, {}, { set: dated });
    assert.equal(run.result.outcome === 'approved', isTaken, `${fromYymmdd} ${untilYymmdd}`);
  }
  const early = set({ caPublicKeys: [{ ...caKey, fromYymmdd: '260702' }] });
  const withoutKey = pay({}, {}, { set: early });
  assert.equal(withoutKey.result.dataAuthentication, 'failed');
  const { rid, index } = caKey;
  const others = set({ revokedCertificates: [{ rid, index, serialNumber: 'FFFFFF' }] });
  assert.deepEqual(endOf(pay({}, {}, { set: others })), ['approved', null, 'yes']);
});

test('only keys of the sandbox CA open the way to an online PIN', () => {
  assert.ok(isSandboxCa('A000000333', 0xf0));
  assert.ok(!isSandboxCa('A000000333', 0xef));
  assert.ok(!isSandboxCa('A000000003', 0xf1));
});
