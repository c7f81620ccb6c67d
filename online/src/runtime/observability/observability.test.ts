/**
 * Metrics, health and trace ids of a party: what Prometheus reads over real HTTP, what readiness
 * says when a check fails or hangs, and that all messages of one payment share one trace id.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeOriginalDataElements, makeMessage } from '@tapnpay/protocol/iso8583';
import { createLog } from '../logging.ts';
import { createMetrics } from './metrics.ts';
import { type ReadinessChecks, startOpsServer } from './ops-server.ts';
import { inSpan, joinTrace, outsideTrace, traceFacts, withTrace } from './spans.ts';
import { traceIdOf } from './trace-id.ts';

const sale = makeMessage('0200', [
  [7, '1130101112'],
  [11, '000123'],
  [32, '49990000001'],
  [41, 'TAPNPAY1'],
]);

test('request, answer and reversal of a payment have one trace id; another payment another', () => {
  const id = traceIdOf(sale);
  assert.match(id, /^[0-9a-f]{32}$/);
  const answer = makeMessage('0210', sale.fields);
  const reversal = makeMessage('0420', [
    ...sale.fields,
    [7, '1130101199'],
    [11, '000124'],
    [
      90,
      encodeOriginalDataElements({
        ...{ mti: '0200', stan: '000123', transmission: '1130101112' },
        ...{ acquirer: '49990000001', forwarder: '49990000001' },
      }),
    ],
  ]);
  assert.equal(traceIdOf(answer), id);
  assert.equal(traceIdOf(reversal), id);
  assert.notEqual(traceIdOf(makeMessage('0200', [...sale.fields, [11, '000124']])), id);
});

test('log lines under a trace carry its id through awaits; outside of it they carry none', async () => {
  const lines: string[] = [];
  const log = createLog({ party: 'test', destination: { write: (line) => lines.push(line) } });
  await withTrace(null, async () => {
    log.info({ event: 'before' });
    joinTrace('a'.repeat(32));
    await Promise.resolve();
    await inSpan('step', {}, async () => log.info({ event: 'within' }));
    outsideTrace(() => log.info({ event: 'outside' }));
  });
  log.info({ event: 'after' });
  const ids = lines.map((line) => (JSON.parse(line) as { traceId?: string }).traceId);
  assert.deepEqual(ids, [undefined, 'a'.repeat(32), undefined, undefined]);
  assert.deepEqual(traceFacts(), {});
});

test('a span passes the result and the fault of its work on', async () => {
  assert.equal(await inSpan('step', {}, async () => 7), 7);
  const fault = new Error('no');
  await assert.rejects(
    inSpan('step', {}, async () => {
      throw fault;
    }),
    fault,
  );
});

async function served(t: TestContext, checks: ReadinessChecks = {}) {
  const metrics = createMetrics('test');
  const server = await startOpsServer({ port: 0, metrics, checks });
  t.after(() => server.close());
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: response.status, text: await response.text() };
  };
  return { metrics, get };
}

/** The value of the one sample with these labels. */
function sample(text: string, name: string, ...labels: readonly string[]): string | undefined {
  const found = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
  assert.ok(found.length < 2, found.join('\n'));
  return found[0]?.split(' ').at(-1);
}

test('/metrics counts events and hops, and reads probes at the scrape', async (t) => {
  const { metrics, get } = await served(t);
  const log = createLog({
    party: 'test',
    destination: { write: () => undefined },
    onRecord: metrics.record,
  });
  metrics.probe({ name: 'tapnpay_queue_depth', help: 'Waiting', read: () => 3 });
  metrics.probe({
    name: 'tapnpay_broken',
    help: 'Cannot be asked',
    read: () => Promise.reject(new Error('away')),
  });
  const line = { name: 'tapnpay_line_up', help: 'Line', labels: ['line'] };
  metrics.probe({ ...line, read: () => [{ labels: { line: 'a' }, value: 1 }] });
  withTrace('b'.repeat(32), () => {
    log.info({ event: 'hop', name: 'request', atMs: 1_000 });
    log.info({ event: 'hop', name: 'return', atMs: 1_040 });
  });
  log.error({ event: 'tickFailed', code: 'ERR' });
  const { status, text } = await get('/metrics');
  assert.equal(status, 200);
  assert.equal(sample(text, 'tapnpay_events_total', 'event="tickFailed"', 'level="error"'), '1');
  assert.equal(sample(text, 'tapnpay_hops_total', 'hop="return"', 'party="test"'), '1');
  const hop = ['from="request"', 'to="return"', 'party="test"'];
  assert.equal(sample(text, 'tapnpay_hop_seconds_bucket', 'le="0.05"', ...hop), '1');
  assert.equal(sample(text, 'tapnpay_hop_seconds_bucket', 'le="0.025"', ...hop), '0');
  assert.equal(sample(text, 'tapnpay_queue_depth'), '3');
  assert.equal(sample(text, 'tapnpay_line_up', 'line="a"'), '1');
  assert.match(sample(text, 'tapnpay_broken') ?? '', /^nan$/i);
});

test('names of events are bounded', async (t) => {
  const { metrics, get } = await served(t);
  for (let index = 0; index < 400; index++) metrics.record('info', { event: `event${index}` });
  const { text } = await get('/metrics');
  const names = text.match(/^tapnpay_events_total\{/gm)?.length ?? 0;
  assert.equal(names, 257);
  assert.equal(sample(text, 'tapnpay_events_total', 'event="other"'), '144');
});

test('live is live; ready names the check that fails, throws or hangs', async (t) => {
  const { get } = await served(t, {
    line: () => true,
    database: async () => Promise.reject(new Error('gone')),
    hsm: () => new Promise(() => undefined),
  });
  assert.deepEqual(await get('/health/live'), { status: 200, text: '{"status":"live"}' });
  const { status, text } = await get('/health/ready');
  assert.equal(status, 503);
  const checks = { line: true, database: false, hsm: false };
  assert.deepEqual(JSON.parse(text), { status: 'notReady', checks });
  assert.equal((await get('/nothing')).status, 404);
  assert.equal((await get('/metrics', 'POST')).status, 405);
  const { get: ask } = await served(t, { line: () => true });
  assert.equal((await ask('/health/ready')).status, 200);
});
