/** Shows that evidence proves what was signed and nothing else: each alteration has its fault. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import { attest, statementOf } from '@tapnpay/protocol/node';
import { EVIDENCE_FORMAT, type SignedOrder } from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../../protocol/node/certificates.test-pki.ts';
import { checkEvidence } from './evidence.ts';

const ELEMENT_ID = '0011223344556677';
const authority = new TestAuthority();
const { certPem, keyPem } = authority.issue({ name: ELEMENT_ID });
const key = createPrivateKey(keyPem);
const now = new Date(Date.now() + 8 * 3_600_000).toISOString();

const order: SignedOrder = {
  ...{ orderId: 'order-1', merchantId: '898110150001', merchantName: '测试商户' },
  ...{ terminalId: '00000001', amountMinor: '1234', currency: '156' },
  ...{ origin: 'https://shop.example', transactionType: '00', signature: '5A'.repeat(64) },
  dateYymmdd: now.slice(2, 10).replaceAll('-', ''),
  timeHhmmss: now.slice(11, 19).replaceAll(':', ''),
};
const element = {
  ...{ elementId: ELEMENT_ID, loadFileHash: '1F'.repeat(32), lifeCycle: 'operable' as const },
  ...{ counter: 3, exporter: 'E0'.repeat(32) },
};
const claim = {
  ...{ order, parameterVersion: 2, field55: '9F2601AA', pinBlock: null },
  ...{ tvr: '0080008000', cvmResults: '020000' },
};

function evidence(changes: object = {}, facts = element, told = claim): string {
  const { signature } = attest(key, facts, told);
  const statement = statementOf(facts, told);
  const head = { format: EVIDENCE_FORMAT, paymentId: 'payment-1' };
  const chain = { certificatePem: certPem, caPem: authority.certPem };
  return JSON.stringify({ ...head, statement, signature, ...chain, ...changes });
}

const faultOf = (text: string, ca = authority.certPem) => checkEvidence(text, ca).fault;

test('genuine evidence is proved, and says what was signed', () => {
  const report = checkEvidence(evidence(), authority.certPem);
  assert.equal(report.fault, null);
  assert.equal(report.paymentId, 'payment-1');
  assert.equal(report.facts?.order.amountMinor, '1234');
  assert.equal(report.facts?.counter, 3);
  assert.equal(report.facts?.tvr, '0080008000');
  assert.match(report.authority, /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/);
});

test('each alteration has its own fault', () => {
  const genuine = statementOf(element, claim);
  const { certPem: other } = authority.issue({ name: 'FFFFFFFFFFFFFFFF' });
  const foreign = new TestAuthority();
  assert.equal(faultOf('no JSON'), 'form');
  assert.equal(faultOf('{}'), 'form');
  assert.equal(faultOf(evidence({ format: 'other' })), 'form');
  assert.equal(faultOf(evidence({ statement: '[]' })), 'statement');
  assert.equal(faultOf(evidence({ statement: `${genuine} ` })), 'statement');
  assert.equal(faultOf(evidence({ certificatePem: 'none' })), 'certificate');
  assert.equal(faultOf(evidence(), foreign.certPem), 'issuer');
  assert.equal(faultOf(evidence({ caPem: foreign.certPem })), null, 'only the given CA counts');
  assert.equal(faultOf(evidence({ certificatePem: other })), 'element');
  for (const [from, to] of [
    ['"1234"', '"1235"'],
    ['0080008000', '0000000000'],
    ['020000', '1F0302'],
    ['https://shop.example', 'https://evil.example'],
  ] as const) {
    const statement = genuine.replace(from, to);
    assert.notEqual(statement, genuine);
    assert.equal(faultOf(evidence({ statement })), 'signature', to);
  }
  assert.equal(faultOf(evidence({ signature: '00'.repeat(64) })), 'signature');
  const before = { ...claim, order: { ...order, dateYymmdd: '200101' } };
  assert.equal(faultOf(evidence({}, element, before)), 'term');
  const locked = { ...element, lifeCycle: 'locked' as never };
  assert.equal(faultOf(evidence({}, locked)), 'lifeCycle');
});
