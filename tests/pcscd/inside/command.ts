/** `tapnpay cards` at a real reader service: reads, explains and records a card, and offers ours. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PcscReaders, parseRecording, recordingScript, scriptedReader } from '@tapnpay/agent';
import { fromHex, luhnCheckDigit, toHex } from '@tapnpay/protocol/bytes';
import { tapnpay } from '../../system.test-kit.ts';
import { imageOf, SLOTS, TestCard, TestSlot } from '../inside.test-kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-cards-read-'));
const readers = new PcscReaders();
after(async () => {
  await readers.close();
  rmSync(folder, { recursive: true });
});
const slot = new TestSlot(readers, 0);
const CASH = {
  balanceMinor: '12345',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
/** Not the number that masking puts in its place. */
const PAN = `629999123456789${luhnCheckDigit('629999123456789')}`;
const IMAGE = imageOf({ request: { pan: PAN, electronicCash: CASH } });

/** Every form in which the PAN could be found. */
function leaks(text: string): readonly string[] {
  const ascii = toHex(new TextEncoder().encode(PAN));
  const name = toHex(new TextEncoder().encode('ZHANG/SAN'));
  return [PAN, ascii, name, 'ZHANG/SAN'].filter((form) => text.includes(form));
}

test('contact: read, explained, recorded; the recording replays and names nobody', async () => {
  const offered = await slot.insert(new TestCard(IMAGE, 'contact').chip());
  const file = join(folder, 'session.jsonl');
  const args = ['cards', 'read', '--reader', '00 00', '--record', file];
  const { code, stdout, stderr } = await tapnpay([...args, '--json']);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.deepEqual(leaks(stdout + readFileSync(file, 'utf8')), []);
  const document = JSON.parse(stdout);
  assert.deepEqual(
    [document.reader, document.interface, document.directory, document.masked],
    [SLOTS[0], 'contact', 'PSE', true],
  );
  assert.deepEqual(document.applications[0].options, '9000');
  assert.equal(document.explanation.kind, 'apduLog');
  const headers = document.exchanges.map(({ command }: { command: string }) => command.slice(0, 4));
  assert.equal(headers.includes('0020') || headers.includes('80AE'), false);
  const script = recordingScript(parseRecording(readFileSync(file, 'utf8')));
  const replay = await scriptedReader(script).connect();
  for (const step of script.steps) {
    const answer = await replay.transmit(fromHex(step.command));
    assert.equal('response' in step && toHex(answer), 'response' in step && step.response);
  }
  const text = await tapnpay(['cards', 'read', '--reader', '00 00', '--lang', 'zh']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /测试数据/);
  assert.deepEqual(leaks(text.stdout), []);
  const open = await tapnpay(['cards', 'read', '--reader', '00 00', '--unmask', '--lang', 'en']);
  assert.ok(leaks(open.stdout).includes(PAN), 'unmasked when asked for');
  await offered.close();
});

test('contactless: only SELECT, with --consent the rest; balance and log', async () => {
  const card = new TestCard(IMAGE, 'contactless');
  const offered = await slot.insert(card.chip());
  const read = async (...args: string[]) => {
    const { code, stdout, stderr } = await tapnpay(['cards', 'read', ...args, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const shy = await read('--reader', SLOTS[0]);
  assert.deepEqual([shy.interface, shy.isConsentWanted], ['contactless', true]);
  assert.ok(shy.exchanges.every(({ command }: { command: string }) => command.startsWith('00A4')));
  assert.equal(card.state.atc, 0, 'no counter was used');
  const whole = await read('--reader', SLOTS[0], '--consent');
  assert.equal(whole.applications[0].options, '9000');
  const balance = await tapnpay(['cards', 'balance', '--reader', SLOTS[0], '--lang', 'en']);
  assert.match(balance.stdout, /^balance 123\.45 156 /);
  const log = await tapnpay(['cards', 'log', '--reader', SLOTS[0], '--json']);
  assert.equal(log.code, 0, log.stderr);
  await offered.close();
});

test('no such reader, no card, no answer: coded, exit 1; a wrong use is 2', async () => {
  await slot.until(false);
  for (const [args, exit, code] of [
    [['read', '--reader', 'No Such Reader'], 1, 'ERR_READER_GONE'],
    [['read', '--reader', 'Virtual PCD'], 1, 'ERR_READER_GONE'],
    [['read', '--reader', SLOTS[0]], 1, 'ERR_CARD_ABSENT'],
    [['read'], 2, 'ERR_USAGE'],
    [['read', 'card'], 2, 'ERR_USAGE'],
    [['log', '--reader', 'x', '--card', 'y'], 2, 'ERR_USAGE'],
  ] as const) {
    const { code: actual, stdout } = await tapnpay(['cards', ...args, '--json']);
    assert.deepEqual([actual, JSON.parse(stdout).error.code], [exit, code], args.join(' '));
  }
});
