/**
 * The whole system in its real processes: a contact payment through all hops, every fault that
 * `tap --fault` knows, and what the books and the order say afterwards.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TraceDocument } from '@tapnpay/protocol/wire';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
before(async () => {
  await system.up();
});
after(() => system.close());

test('a contact payment is approved through all 14 hops', async () => {
  const tap = await system.tap('--amount', '12.34');
  assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  assert.equal(tap.exitCode, 0);
  assert.equal(tap.responseCode, '00');
  assert.equal(tap.amountMinor, '1234');
  assert.equal(tap.orderStatus, 'paid');
  assert.equal(tap.issuer.arqcVerified, true);
  assert.match(tap.issuer.ledgerEntryId ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(tap.cryptogram.secondType, 'TC');
  assert.match(tap.cryptogram.arqc ?? '', /^[0-9A-F]{16}$/);
  assert.match(tap.cryptogram.arpc ?? '', /^[0-9A-F]{16}$/);
  assert.deepEqual([tap.channel?.protocol, tap.channel?.mutual], ['TLSv1.3', true]);
  assert.equal(tap.dataAuthentication, 'DDA');
  assert.equal(tap.cvmResults.slice(0, 2), '42');
  // Byte 3 bit 3: online PIN entered; byte 4 bits 8 and 4: above the floor limit, forced online.
  assert.deepEqual([tap.tvr, tap.tsi], ['0000048800', 'F800']);
  assert.deepEqual(
    tap.hops.map(({ n }) => n),
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
  assert.deepEqual(
    tap.hops.filter(({ ms }) => ms === null),
    [],
    'each hop was seen by its party',
  );
});

test('each party is ready, counts the payment, and logs it under one trace id', async () => {
  const tap = await system.tap('--amount', '3.21');
  const { ports } = JSON.parse(readFileSync(join(system.dataDir, 'system.json'), 'utf8'));
  for (const [party, port, sample] of [
    ['gateway', ports.opsGateway, /^tapnpay_payment_moves_total\{[^}]*to="captured"[^}]*\} [1-9]/m],
    ['switch', ports.opsSwitch, /^tapnpay_answers_total\{[^}]*response_code="00"[^}]*\} [1-9]/m],
    ['issuer', ports.opsIssuer, /^tapnpay_hops_total\{[^}]*hop="decide"[^}]*\} [1-9]/m],
  ] as const) {
    const ready = await fetch(`http://127.0.0.1:${port}/health/ready`);
    assert.equal(ready.status, 200, `${party}: ${await ready.clone().text()}`);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, sample, party);
    assert.match(metrics, /^tapnpay_queue_depth\{/m, party);
    assert.match(metrics, /^tapnpay_line\{[^}]*what="matched"/m, party);
  }
  const traces = ['gateway', 'switch', 'issuer'].map((party) => {
    const lines = readFileSync(join(system.dataDir, 'logs', `${party}.log`), 'utf8').split('\n');
    const records = lines.filter(Boolean).map((line) => JSON.parse(line));
    const ofPayment = records.filter((record) => record.traceId !== undefined);
    return new Set(ofPayment.map(({ traceId }) => traceId));
  });
  const [gateway, ...others] = traces;
  const shared = [...(gateway ?? [])].filter((id) => others.every((ids) => ids.has(id)));
  assert.ok(shared.length >= 1, `payment ${tap.orderId} has no trace in all three logs`);
});

test('a small tap is approved at the 0210 after three commands, hop 12 has no meaning for it', async () => {
  const tap = await system.tap('--amount', '0.01', '--interface', 'contactless');
  assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  assert.deepEqual([tap.interface, tap.dataAuthentication], ['contactless', 'none']);
  assert.deepEqual([tap.cryptogram.second, tap.cryptogram.secondType], [null, null]);
  assert.deepEqual([tap.issuer.arqcVerified, tap.orderStatus], [true, 'paid']);
  assert.deepEqual(
    tap.hops.filter(({ status }) => status !== 'passed').map(({ n, status }) => [n, status]),
    [[12, 'notApplicable']],
  );
});

test('a tap that may need a PIN is authenticated first: fDDA, then the PIN', async () => {
  const tap = await system.tap('--amount', '300.01', '--interface', 'contactless');
  assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  assert.deepEqual([tap.dataAuthentication, tap.tvr], ['fDDA', '0000040000']);
});

test('taps that end in insertion, or torn, charge nothing and say why', async () => {
  for (const [args, reason] of [
    [['--card', 'insert-only'], 'card:useContact'],
    [['--amount', '5000.01'], 'terminal:contactlessLimit'],
    [['--fault', 'card-removed@3'], 'ERR_CARD_REMOVED'],
  ] as const) {
    const tap = await system.tap('--interface', 'contactless', ...args);
    assert.deepEqual([tap.outcome, tap.charged, tap.reason], ['cancelled', 'no', reason]);
    assert.deepEqual([tap.orderStatus, tap.exitCode], ['open', 1]);
  }
});

test('a wrong PIN is declined with 55, a right one afterwards is approved', async () => {
  const wrong = await system.tap('--pin', '000000');
  assert.deepEqual([wrong.outcome, wrong.responseCode, wrong.exitCode], ['declined', '55', 1]);
  assert.equal(wrong.issuer.arqcVerified, true);
  assert.equal(wrong.cryptogram.secondType, 'AAC');
  assert.equal((await system.tap()).outcome, 'approved');
});

test('cards that really decline: low balance 51, expired 54, wrong issuer key 05', async () => {
  const poor = await system.tap('--card', 'low-balance', '--amount', '500.00');
  assert.deepEqual([poor.outcome, poor.responseCode], ['declined', '51']);
  const forged = await system.tap('--fault', 'wrong-issuer-key');
  assert.deepEqual([forged.outcome, forged.responseCode], ['declined', '05']);
  assert.equal(forged.issuer.arqcVerified, false);
  const expired = await system.tap('--card', 'expired');
  assert.equal(expired.outcome, 'declined');
  // EMV 4.3 B3 Annex C5: byte 2 bit 7, expired application.
  assert.equal(Number.parseInt(expired.tvr.slice(2, 4), 16) & 0x40, 0x40);
});

test('flip-arqc: the issuer refuses the cryptogram, and the books do not move', async () => {
  const tap = await system.tap('--fault', 'flip-arqc');
  assert.deepEqual([tap.outcome, tap.responseCode], ['declined', '05']);
  assert.equal(tap.issuer.arqcVerified, false);
  assert.equal(tap.issuer.ledgerEntryId, null);
});

test('flip-mac: refused with A0, which a bent copy gets as well: reversed, never failed', async () => {
  const tap = await system.tap('--fault', 'flip-mac');
  assert.deepEqual([tap.outcome, tap.responseCode], ['unknown', 'A0']);
  assert.deepEqual([tap.resolution, tap.orderStatus], ['reversed', 'open']);
  assert.equal(tap.issuer.ledgerEntryId, null);
});

test('drop-reply: unknown, then reversed; never failed, never paid', async () => {
  const tap = await system.tap('--fault', 'drop-reply');
  assert.deepEqual([tap.outcome, tap.charged, tap.resolution], ['unknown', 'unknown', 'reversed']);
  assert.equal(tap.orderStatus, 'open');
});

test('card-removed@N: before the cryptogram nothing is charged, after it the truth is found', async () => {
  for (const number of [1, 4, 8]) {
    const tap = await system.tap('--fault', `card-removed@${number}`);
    assert.deepEqual([tap.outcome, tap.charged, tap.orderStatus], ['cancelled', 'no', 'open']);
  }
  const whole = await tapnpay(['tap', '--json', '--trace', '--data', system.dataDir]);
  const { apduText } = (JSON.parse(whole.stdout) as { readonly trace: TraceDocument }).trace;
  const numbers = [...apduText.matchAll(/^=> (....)/gm)].map((match) => match[1]);
  assert.ok(numbers.includes('80AE'), apduText);
  // The APDU after GENERATE AC: the issuer has approved, the card cannot be told.
  const afterCryptogram = numbers.indexOf('80AE') + 2;
  const torn = await system.tap('--fault', `card-removed@${afterCryptogram}`);
  assert.deepEqual([torn.outcome, torn.resolution], ['unknown', 'reversed']);
  assert.equal(torn.orderStatus, 'open');
});

const KILLED: readonly (readonly [hop: string, resolution: string, orderStatus: string])[] = [
  ['seal', 'notSent', 'open'],
  ['request', 'reversed', 'open'],
  ['return', 'reversed', 'open'],
  ['finish', 'reversed', 'open'],
  ['confirm', 'reversed', 'open'],
  // The capture was durable: the payment stands, and only its payer was not told.
  ['tell', 'approved', 'paid'],
];
for (const [hop, resolution, orderStatus] of KILLED) {
  test(`kill-gateway@${hop}: the gateway comes back and no money is lost or doubled`, async () => {
    const tap = await system.tap('--fault', `kill-gateway@${hop}`);
    const ended = [tap.outcome, tap.resolution, tap.orderStatus];
    assert.deepEqual(ended, ['unknown', resolution, orderStatus]);
    assert.equal((await system.tap()).outcome, 'approved', 'and the next payment works');
  });
}

test('wrong usage is one line that says what to change, and exit code 2', async () => {
  for (const amount of ['0', '-1', '1.234', 'abc', '1e3', '99999999999']) {
    const result = await tapnpay(['tap', `--amount=${amount}`]);
    assert.equal(result.code, 2, amount);
    assert.equal(result.stderr.trim().split('\n').length, 1);
    assert.match(result.stderr, /amount/);
  }
  assert.equal((await tapnpay(['tap', '--fault', 'nonsense'])).code, 2);
  assert.equal((await tapnpay(['nonsense'])).code, 2);
});
