/** No card number, PIN or key passes the log, whatever a caller hands to it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import { RuntimeError } from './errors.ts';
import { createLog } from './logging.ts';
import { maskText } from './redaction.ts';

const PAN = '6299990000000017';

function record(write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown> {
  let line = '';
  const clock = { nowMs: () => 1000, startTimer: () => () => undefined };
  const destination = {
    write: (text: string): void => {
      line = text;
    },
  };
  write(createLog({ party: 'issuer', clock, destination }));
  return JSON.parse(line) as Record<string, unknown>;
}

test('a record has party, event, time and facts', () => {
  const written = record((log) => log.info({ event: 'decided', responseCode: '00', minor: 5n }));
  assert.deepEqual(written, {
    level: 'info',
    timeMs: 1000,
    party: 'issuer',
    responseCode: '00',
    minor: '5',
    event: 'decided',
  });
});

test('secrets are masked by type, by name and by form, at any depth and in errors', () => {
  const cause = new Error(`card ${PAN} unknown`);
  const written = record((log) =>
    log.error({
      event: `no card ${PAN}`,
      nested: { pan: 'x1', list: [{ pinBlock: '0412AC', TRACK2: 'y2' }], other: new Secret('z3') },
      map: new Map([['field55', '9F2608']]),
      bytes: Uint8Array.of(0xab, 0xcd),
      error: new RuntimeError('ERR_CONFIG', `bad ${PAN}`, { value: PAN }, cause),
    }),
  );
  const text = JSON.stringify(written);
  for (const leak of [PAN, 'x1', '0412AC', 'y2', 'z3', '9F2608', '171', '205']) {
    assert.ok(!text.includes(leak), `${leak} in ${text}`);
  }
  assert.match(text, /629999\*{6}0017/);
  assert.match(text, /ERR_CONFIG/);
});

test('reference numbers and identifiers stay readable', () => {
  for (const text of [
    'retrieval 532913000123',
    '0190a6c2-1234-7abc-8def-123456789012',
    'STAN 000123',
  ]) {
    assert.equal(maskText(text), text);
  }
  assert.equal(maskText(`pan=${PAN};`), 'pan=629999******0017;');
  assert.equal(maskText('6299990000000018'), '6299990000000018', 'a wrong check digit is no card');
});

test('a buffered log is written at the end of the turn, in order, a plain one at once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const events = (path: string): readonly string[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { event: string }).event);
  const [plain, buffered] = [join(folder, 'plain'), join(folder, 'buffered')];
  const logs = [
    createLog({ party: 'p', logFile: plain }),
    createLog({ party: 'b', logFile: buffered, isBuffered: true }),
  ];
  for (const event of ['first', 'second']) for (const log of logs) log.info({ event });
  assert.deepEqual(events(plain), ['first', 'second']);
  assert.deepEqual(events(buffered), []);
  await new Promise((done) => setImmediate(() => setImmediate(done)));
  assert.deepEqual(events(buffered), ['first', 'second']);
});
