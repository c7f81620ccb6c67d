/** What tap sees goes into its log and comes out of the terminal decoded, in the language asked for. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { collectTrace } from '@tapnpay/online/observer';
import type { TraceDocument } from '@tapnpay/protocol/wire';
import { openTapLog } from './party-log.ts';
import { decodedTraceText } from './trace-text.ts';

const ORDER = '01a2136d-b8c6-7dce-a09b-19587c2ef2ae';
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-trace-'));
after(() => rmSync(dataDir, { recursive: true }));

function tracedTap(): TraceDocument {
  const log = openTapLog(dataDir, ORDER);
  const facts = { orderId: ORDER };
  log.onHop({ n: 2, name: 'ask', party: 'agent', atMs: 1_000, facts });
  log.onHop({ n: 4, name: 'tap', party: 'element', atMs: 1_100, facts: { records: 1 } });
  log.onApdu({
    number: 1,
    command: '00A4040008A00000033301010100',
    response: '6F0A8408A0000003330101019000',
    interface: 'contactless',
    attempt: 1,
  });
  log.onApdu({ number: 2, command: '00B2011400', response: 'ERR_CARD_REMOVED' });
  const trace = collectTrace(dataDir, ORDER);
  assert.ok(trace);
  return trace;
}

const trace = tracedTap();

test("tap's log is its owner's alone, one JSON record a line, and the trace finds it", () => {
  const path = join(dataDir, 'logs', 'tap.log');
  if (process.platform !== 'win32') assert.equal(statSync(path).mode & 0o777, 0o600);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 4);
  for (const line of lines) assert.deepEqual(JSON.parse(line).references, [ORDER]);
  assert.equal(trace.hops[3]?.items.length, 2);
});

test('hops, commands, TLVs and status words, with names in both languages', () => {
  const text = decodedTraceText(trace);
  assert.match(text, /^ 4 +100 ms tap 读卡 +element records=1$/m);
  assert.match(text, /APDU +card: SELECT {2}Selects a directory or application 选择目录或应用/);
  assert.match(text, /=> 00A4040008A00000033301010100\n +<= 6F0A8408A0000003330101019000/);
  assert.match(text, /84 Dedicated File \(DF\) Name 专用文件名称 = A000000333010101 {2}· UnionPay/);
  assert.match(text, /SW Status word 状态字 = 9000 {2}· OK 成功/);
  assert.match(text, /R-APDU Response 响应 = ERR_CARD_REMOVED/);
  assert.match(text, /^14 +- {2}tell 通知 +not reached 未到达$/m);
  assert.match(text, /^12 +- {2}finish 卡片完成 +not applicable 不适用$/m);
});

test('one language holds nothing of the other', () => {
  assert.doesNotMatch(decodedTraceText(trace, 'en'), /\p{Script=Han}/u);
  const chinese = decodedTraceText(trace, 'zh');
  assert.match(chinese, /专用文件名称/);
  assert.doesNotMatch(chinese, /Dedicated File|not reached/);
});
