/** Shows that hex is found in whatever dress people paste it, and that what is no hex is said so. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { toHex } from '../bytes/index.ts';
import { ExplainError, explain, guessKinds, readInput } from './index.ts';

const HEX = '9F2608AD03EE811AFAD4849F270180';
const hexOf = (text: string): string => toHex(readInput(text).bytes ?? new Uint8Array(0));
const codesOf = (text: string): readonly string[] =>
  readInput(text).findings.map((found) => found.code);
const linesOf = (text: string) =>
  readInput(text).lines.map(({ direction, bytes }) => `${direction} ${toHex(bytes)}`);
const isCode = (wanted: string) => (thrown: unknown) =>
  thrown instanceof ExplainError && thrown.code === wanted;

test('blanks, colons, commas, 0x, \\x, braces, a C array, lower case and a BOM are taken away', () => {
  const dresses = [
    HEX,
    HEX.toLowerCase(),
    `\uFEFF${HEX}\n`,
    HEX.replace(/../g, '$& '),
    HEX.replace(/..(?!$)/g, '$&:'),
    HEX.replace(/..(?!$)/g, '$&-'),
    HEX.replace(/../g, '0x$&, '),
    HEX.replace(/../g, '\\x$&'),
    `{ ${HEX.replace(/../g, '0x$&, ')} };`,
    `[${HEX.replace(/..(?!$)/g, '$&, ')}]`,
    `"${HEX}"`,
    `${HEX.slice(0, 12)}\n${HEX.slice(12)}`,
    `${HEX.slice(0, 11)}\n${HEX.slice(11)}`,
    `${HEX}  // the ARQC`,
    JSON.stringify({ hex: HEX }),
    JSON.stringify([HEX]),
  ];
  for (const dress of dresses) assert.equal(hexOf(dress), HEX, JSON.stringify(dress));
  assert.equal(toHex(readInput(Uint8Array.of(1, 2)).bytes ?? new Uint8Array(0)), '0102');
});

test('hex dumps: offset and text columns of xxd, hexdump -C and Wireshark are left out and said so', () => {
  const bytes = '6F30840E325041592E5359532E4444463031A51EBF0C1B61194F08A0000003330101';
  const rows = bytes.match(/.{1,32}/g) ?? [];
  const offset = (index: number, digits: number) => (16 * index).toString(16).padStart(digits, '0');
  const xxd = rows.map(
    (row, at) => `${offset(at, 8)}: ${row.replace(/..../g, '$& ')} o0..2PAY ab cd`,
  );
  const plain = rows.map((row, at) => `${offset(at, 4)}   ${row.replace(/../g, '$& ')}`);
  const c = rows.map((row, at) => `${offset(at, 8)}  ${row.replace(/../g, '$& ')} |o0..de ad|`);
  for (const dump of [xxd, plain, c]) {
    assert.equal(hexOf(dump.join('\n')), bytes);
    assert.deepEqual(codesOf(dump.join('\n')), ['HEX_DUMP']);
  }
  assert.equal(hexOf('0000: 6F 30 84'), '6F3084');
  // Offsets that do not go on from one another are no dump: the digits are data.
  assert.notEqual(hexOf('0000: 6F 30\n0099: 84 0E'), '6F30840E');
});

test('log prefixes give the direction, and times, levels and remarks are left out', () => {
  const pairs: readonly (readonly [string, string])[] = [
    ['=> 00A40400', '<= 9000'],
    ['=>00A40400', '<=9000'],
    ['-> 00A40400', '<- 9000'],
    ['>> 00A40400', '<< 9000'],
    ['> 00 A4 04 00', '< 90 00'],
    ['A>> T=1 (4+0008) 00A40400', 'A<< (0018+2) (12ms) 9000'],
    ['C>> 00A40400', 'R<< 9000'],
    ['Command --> 00A40400', 'Response <-- 9000'],
    ['Command: 00A40400', 'Response: 9000'],
    ['C-APDU: 00A40400', 'R-APDU: 9000'],
    ['Send: 00a40400', 'Recv: 9000'],
    ['TX: 00A40400', 'RX: SW: 90 00'],
    ['2026-07-01 10:11:12.345 DEBUG => APDU: 00A40400', '[10:11:12] INFO <= 9000'],
    ['发送：00A40400', '接收：9000'],
  ];
  for (const [command, response] of pairs) {
    const wanted = ['command 00A40400', 'response 9000'];
    assert.deepEqual(linesOf(`${command}\n${response}`), wanted, command);
  }
  assert.deepEqual(codesOf('=> 00A40400\nthe card was slow today\n<= 9000'), ['LINES_LEFT_OUT']);
});

test('positions count cleaned bytes, over all lines', () => {
  const { lines } = readInput('=> 00 A4 04 00\n<= 90 00');
  assert.deepEqual(
    lines.map((line) => line.offsetBytes),
    [0, 4],
  );
});

test('values by name: JSON of any depth, NAME=VALUE, 9F02: value; options win', () => {
  const json = JSON.stringify({ imk_ac: 'AA', tags: { '9F02': '01' }, tag95: '02', list: ['x'] });
  const { values } = readInput(json, { imkAc: 'BB', pan: '62' });
  assert.equal(values.get('imkac'), 'BB');
  assert.equal(values.get('9f02'), '01');
  assert.equal(values.get('tags.9f02'), '01');
  assert.equal(values.get('95'), '02');
  assert.equal(values.get('pan'), '62');
  const lines = readInput('TVR = 8000048000\n9F02: 000000000001\nPAN: 6299990000000009');
  assert.deepEqual([...lines.values.keys()], ['tvr', '9f02', 'pan']);
  assert.equal(lines.bytes, null);
});

test('a half byte at the end is left out and flagged, not refused', () => {
  assert.equal(hexOf('9F26080'), '9F2608');
  assert.deepEqual(
    readInput('9F26080').findings.map(({ code, offsetBytes }) => [code, offsetBytes]),
    [['HEX_ODD_DIGITS', 3]],
  );
});

test('nothing, too much, no hex and an unknown kind are coded errors', () => {
  assert.throws(() => explain(nodeCiphers, ''), isCode('ERR_EXPLAIN_EMPTY'));
  assert.throws(() => explain(nodeCiphers, ' \n\t'), isCode('ERR_EXPLAIN_EMPTY'));
  assert.throws(() => explain(nodeCiphers, '0'.repeat(200_001)), isCode('ERR_EXPLAIN_LIMIT'));
  assert.throws(
    () => explain(nodeCiphers, '9F26 xyz', { as: 'tlv' }),
    (thrown) =>
      isCode('ERR_EXPLAIN_HEX')(thrown) &&
      thrown instanceof ExplainError &&
      thrown.data['offsetCharacters'] === 5,
  );
  assert.throws(() => explain(nodeCiphers, '«»'), isCode('ERR_EXPLAIN_KIND'));
  assert.throws(
    () => explain(nodeCiphers, HEX, { as: 'none' as 'tlv' }),
    isCode('ERR_EXPLAIN_KIND'),
  );
});

test('the likeliest kind is taken, others are named, and a named kind is certain', () => {
  const explanation = explain(nodeCiphers, HEX);
  assert.equal(explanation.kind, guessKinds(HEX)[0]?.kind);
  assert.equal(explanation.alternatives.includes(explanation.kind), false);
  assert.equal(explain(nodeCiphers, HEX, { as: 'tlv' }).confidence, 1);
});
