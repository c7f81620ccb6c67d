/**
 * A traced issuer, with a real HSM behind it: the same answers and books, each step an event, and
 * no card number, PIN, track or key in any form in what it writes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesField, textField } from '@tapnpay/protocol/iso8583';
import type { TraceEvent } from '@tapnpay/protocol/wire';
import { createLog, Tracer } from '../runtime/index.ts';
import { EXPIRY, IssuerWorld, PIN, panOf, textOf } from './issuer.test-kit.ts';
import { issuerCore } from './tracing.ts';

async function tracedIssuer() {
  const world = await IssuerWorld.open();
  const events: TraceEvent[] = [];
  const lines: string[] = [];
  const { clock } = world;
  const log = createLog({
    party: 'issuer',
    clock,
    destination: { write: (line: string) => void lines.push(line) },
  });
  const tracer = new Tracer({
    party: 'issuer',
    clock,
    log: (record) => {
      events.push(record as unknown as TraceEvent);
      log.info(record);
    },
  });
  return { world, core: issuerCore(world.ports, tracer), events, lines };
}

const told = (events: readonly TraceEvent[]): string[] =>
  events.map(({ hop, title }) => `${hop} ${title}`);

test('without a tracer the core is the plain one', async () => {
  const world = await IssuerWorld.open();
  const core = issuerCore(world.ports, undefined);
  const reply = await core.handle(world.purchase(), world.keys);
  assert.equal(reply && textField(reply, 39), '00');
});

test('a purchase: MAC, cryptogram, PIN, ARPC, two ledger rows, and its answer', async () => {
  const { world, core, events } = await tracedIssuer();
  const request = world.purchase();
  const reply = await core.handle(request, world.keys);
  assert.equal(reply && textField(reply, 39), '00');
  assert.deepEqual(told(events), [
    'decide 0200 received',
    'decide verifyMac',
    'decide verifyArqc',
    'decide verifyPin',
    'decide generateArpc',
    'decide posting',
    'decide posting',
    'decide generateMac',
    'return 0210 sent',
  ]);
  for (const { references } of events) assert.deepEqual(references, [textOf(request, 37)]);
  const rows = events
    .filter(({ kind }) => kind === 'ledger')
    .map(({ data }) => data['amountMinor']);
  assert.deepEqual(rows, ['-1234', '1234']);
});

test('a refusal and a repeat move no money and show no rows', async () => {
  const { world, core, events } = await tracedIssuer();
  const wrong = world.purchase({ pin: '654321' });
  await core.handle(wrong, world.keys);
  const pin = events.find(({ title }) => title === 'verifyPin');
  assert.equal(pin?.data['out.valid'], false);
  await core.handle(wrong, world.keys);
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'ledger'),
    [],
  );
});

/** ASCII, UTF-16, BCD in binary and hex, base64 of each at every alignment. */
function formsOf(digits: string): readonly string[] {
  const even = digits.length % 2 === 0 ? digits : `${digits}F`;
  const all = [
    Buffer.from(digits, 'latin1'),
    Buffer.from(digits, 'utf16le'),
    Buffer.from(even, 'hex'),
  ];
  const base64 = all.flatMap((bytes) =>
    [0, 1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
  );
  const hex = all.map((bytes) => bytes.toString('hex'));
  const plain = all.map((bytes) => bytes.toString('latin1'));
  const forms = [...plain, ...hex, ...hex.map((text) => text.toUpperCase()), ...base64];
  // Shorter ones are found everywhere by chance.
  return forms.filter((form) => form.length >= 6);
}
const found = (text: string, digits: string): readonly string[] =>
  formsOf(digits).filter((form) => text.includes(form));

test('nothing secret of a payment is in the log, in any form; the search finds each form', async () => {
  const { world, core, lines } = await tracedIssuer();
  const request = world.purchase({ amount: 777n });
  await core.handle(request, world.keys);
  await core.handle(world.reversal(request), world.keys);
  const text = lines.join('');
  assert.ok(text.includes('verifyPin') && text.includes('0430 sent'), 'the payment was logged');
  const pan = panOf(1);
  const pinBlock = Buffer.from(bytesField(request, 52) ?? [])
    .toString('hex')
    .toUpperCase();
  const track2 = `${pan}=${EXPIRY}22`;
  for (const secret of [pan, PIN, pinBlock, track2, `${pan}D${EXPIRY}`]) {
    assert.deepEqual(found(text, secret), [], `${secret} in the log`);
  }
  const keyBlocks = [world.keys.pin, world.keys.mac, world.ports.keys.imkAc, world.ports.keys.pvk];
  for (const block of keyBlocks) assert.ok(!text.includes(block.slice(16, 40)), 'key block');
  for (const form of formsOf(pan)) {
    assert.ok(found(`before ${form} after`, pan).includes(form), 'positive control');
  }
  assert.ok(JSON.stringify([...request.fields]).includes(pan), 'positive control: the request');
});
