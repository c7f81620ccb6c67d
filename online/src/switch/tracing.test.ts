/** A traced switch answers as a plain one, and its events are tied to the retrieval reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireText } from '@tapnpay/protocol/iso8583';
import type { TraceEvent } from '@tapnpay/protocol/wire';
import { type LogRecord, Tracer } from '../runtime/index.ts';
import type { SwitchCore } from './core.ts';
import {
  approving,
  codeOf,
  GATEWAY,
  type MemberScript,
  reversalOf,
  saleRequest,
  TEST_PAN,
  testSwitch,
} from './switch.test-kit.ts';
import { switchCore } from './tracing.ts';

function tracedSwitch(script: MemberScript = approving): {
  readonly core: SwitchCore;
  readonly events: TraceEvent[];
} {
  const { ports, clock } = testSwitch({ script });
  const events: TraceEvent[] = [];
  const log = (record: LogRecord): void => void events.push(record as unknown as TraceEvent);
  const tracer = new Tracer({ party: 'switch', clock, log });
  return { core: switchCore(ports, tracer), events };
}

const told = (events: readonly TraceEvent[]): string[] =>
  events.map(({ hop, title, data }) => [hop, title, data['peer']].filter(Boolean).join(' '));

test('without a tracer the core is the plain one', () => {
  const { ports } = testSwitch();
  const { store, hsm, lines } = switchCore(ports, undefined).ports;
  assert.ok(store === ports.store && hsm === ports.hsm && lines === ports.lines);
});

test('a sale: received, checked, translated, sent, answered', async () => {
  const { core, events } = tracedSwitch();
  const sale = saleRequest();
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '00');
  assert.deepEqual(told(events), [
    'route 0200 received gateway',
    'route verifyMac',
    'route translatePin',
    'route generateMac',
    'route 0200 sent issuer',
    'return 0210 received issuer',
    'return verifyMac',
    'return generateMac',
    'return 0210 sent gateway',
  ]);
  for (const { references } of events) assert.deepEqual(references, [requireText(sale, 37)]);
  assert.ok(!JSON.stringify(events).includes(TEST_PAN));
});

test('two sales at once keep their own references', async () => {
  const { core, events } = tracedSwitch();
  const sales = [saleRequest(), saleRequest()];
  await Promise.all(sales.map((sale) => core.handle(GATEWAY, sale)));
  for (const sale of sales) {
    const own = events.filter(({ references }) => references.includes(requireText(sale, 37)));
    assert.equal(own.length, 9);
  }
});

test("a sale without an answer, and its reversal to the issuer, are hop 13's", async () => {
  const { core, events } = tracedSwitch((message) =>
    message.mti === '0200' ? 'timeout' : approving(message),
  );
  const sale = saleRequest();
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '98');
  assert.ok(told(events).includes('return 0200 timeout issuer'));
  events.length = 0;
  await core.handle(GATEWAY, reversalOf(sale));
  await core.tick();
  assert.deepEqual([...new Set(events.map(({ hop }) => hop))], ['confirm']);
  assert.ok(told(events).includes('confirm 0420 sent issuer'));
  for (const { references } of events) assert.deepEqual(references, [requireText(sale, 37)]);
});
