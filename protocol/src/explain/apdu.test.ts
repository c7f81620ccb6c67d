/** Shows that commands, answers, status words and answers to reset are told, right and wrong ones. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import type { ApduFacts, AtrFacts, DolFacts, Field55Facts, StatusWordFacts } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';

const read = (text: string): Explanation => explain(nodeCiphers, text);
const apdu = (text: string): ApduFacts => {
  const explanation = read(text);
  assert.equal(explanation.kind, 'apdu', explanation.kind);
  return explanation.facts as unknown as ApduFacts;
};
const atr = (text: string): AtrFacts =>
  explain(nodeCiphers, text, { as: 'atr' }).facts as unknown as AtrFacts;
const dol = (input: Record<string, unknown>): DolFacts =>
  explain(nodeCiphers, JSON.stringify(input), { as: 'dol' }).facts as unknown as DolFacts;
const codesOf = (explanation: Explanation): readonly string[] =>
  explanation.findings.map(({ code, offsetBytes }) => `${code}@${offsetBytes}`);

test('a command: name, parts and meaning', () => {
  const { command } = apdu('80AE900002010200');
  assert.deepEqual(
    [command?.name, command?.p1, command?.lc, command?.le, command?.meaningEn],
    ['GENERATE AC', '90', 2, 256, 'asks for ARQC with CDA'],
  );
  assert.equal(apdu('00B2030C00').command?.meaningZh, '读文件 1 的第 3 条记录');
  assert.equal(apdu('00A4040008A00000033301010100').command?.meaningEn, 'selects UnionPay debit');
});

test('lengths that do not fit are flagged at byte 4, with the command that was meant', () => {
  assert.deepEqual(codesOf(read('80A80000830000')), ['APDU_LENGTH@4']);
  assert.equal(apdu('80A80000830000').command?.corrected, '80A8000002830000');
  assert.equal(apdu('00B2010C0000').command?.corrected, '00B2010C00');
  const short = apdu('00A4040008A0000003330101').command;
  assert.deepEqual([short?.wellFormed, short?.corrected], [false, '00A4040007A0000003330101']);
});

test('an answer: status word, values, candidates, and format 1 of GPO (EMV 4.3 B3 §6.5.8)', () => {
  const gpo = apdu('800A7C00080101001001020190 00');
  assert.deepEqual([gpo.response?.statusWord, gpo.processing?.aip], ['9000', '7C00']);
  assert.deepEqual(gpo.processing?.afl?.signedCommands, ['00B2011400']);
  const pse = apdu('701361114F07A000000333010150034142438701819000');
  assert.deepEqual(
    pse.candidates.map((each) => [each.label, each.priority, each.needsConfirmation]),
    [['ABC', 1, true]],
  );
});

test('a status word: class and meaning; 61xx, 6Cxx and 63Cx carry a number', () => {
  const meaning = (hex: string) => {
    const facts = explain(nodeCiphers, hex, { as: 'statusWord' })
      .facts as unknown as StatusWordFacts;
    return [facts.category, facts.meaningEn];
  };
  assert.deepEqual(meaning('6C1F'), ['error', 'Wrong Le, 31 is right: repeat']);
  assert.deepEqual(meaning('6100'), ['ok', '256 bytes wait for GET RESPONSE']);
  assert.deepEqual(meaning('63C2'), ['warning', 'Verification failed, 2 tries left']);
  assert.deepEqual(meaning('6283'), [
    'warning',
    'Selected file invalidated: the application is blocked',
  ]);
  assert.equal(read('6985').kind, 'statusWord');
  assert.throws(
    () => meaning('8000'),
    (thrown) => thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_FORMAT',
  );
});

test('ATR: interface bytes, protocols, TCK right and wrong, cut short, one byte too many', () => {
  const good = '3B8201414280';
  const facts = atr(good);
  assert.deepEqual([facts.tckOk, facts.protocols, facts.historicalText], [true, [1], 'AB']);
  const wrong = explain(nodeCiphers, '3B8201414281', { as: 'atr' });
  assert.deepEqual(codesOf(wrong), ['ATR@5']);
  assert.deepEqual(codesOf(explain(nodeCiphers, '3B6D0000806508490486', { as: 'atr' })), [
    'ATR@10',
  ]);
  assert.deepEqual(codesOf(explain(nodeCiphers, '3B600000AA', { as: 'atr' })), ['ATR@4']);
  assert.deepEqual(codesOf(explain(nodeCiphers, '3BF0', { as: 'atr' })), ['ATR@2']);
});

test('ATR of PC/SC for a contactless card: T=0 and T=1 offered, TCK there', () => {
  const facts = atr('3B80800101');
  assert.deepEqual([facts.protocols, facts.tckOk, facts.historicalLengthBytes], [[0, 1], true, 0]);
  assert.equal(atr('3B8180018080').contactless, true);
  assert.equal(read('3B80800101').kind, 'atr');
});

test('a GPO command is built of a PDOL and values, each fitted to its length (EMV 4.3 B3 §5.4)', () => {
  const values = { '9F02': '5100', '5F2A': '000156', '9F4E': '4142', '9F7A': '01' };
  const facts = dol({ pdol: '9F02065F2A029F4E049F7A01', ...values });
  assert.equal(facts.command, '80A800000F830D0000000051000156414200000100');
  assert.deepEqual(facts.missing, []);
  assert.deepEqual(dol({ pdol: '9F02069A03', '9A': '260701' }).missing, ['9F02']);
  assert.equal(dol({ pdol: '9F0206' }).command, '80A80000088306<9F02>00');
});

test('data or a command of another length than the list asks for are said', () => {
  const given = dol({ cdol1: '9F02069C01', cdol_data: '00000000510000' }).given;
  assert.deepEqual([given?.matches, given?.lengthBytes, given?.expectedLengthBytes], [true, 7, 7]);
  assert.equal(dol({ cdol1: '9F02069C01', cdol_data: '000000005100' }).given?.matches, false);
  assert.equal(dol({ pdol: '9F0206', command: '80A8000002830000' }).given?.lengthBytes, 0);
});

test('GENERATE AC for each request, CDA included, when the CDOL has its values', () => {
  const { generateAc } = dol({ cdol1: '9F02069C01', '9F02': '000000005100', '9C': '00' });
  assert.equal(generateAc?.['ARQC+CDA'], '80AE9000070000000051000000');
  assert.equal(generateAc?.['AAC'], '80AE0000070000000051000000');
});

const FIELD_55 =
  '9F2608AD03EE811AFAD4849F2701809F100807010103A00000019F37042B29EBE49F36020ADC95050000000000' +
  '9A032607019C01009F02060000000000015F2A02015682027C009F1A0201569F03060000000000009F3303E0E9C8';

test('field 55: mandatory subfields of a purchase, missing and doubled ones (Q/CUP 006)', () => {
  const facts = (hex: string) => read(hex).facts as unknown as Field55Facts;
  assert.equal(read(FIELD_55).kind, 'field55');
  assert.deepEqual([facts(FIELD_55).mandatoryComplete, facts(FIELD_55).tags.length], [true, 14]);
  const without = FIELD_55.replace('9F3303E0E9C8', '');
  assert.deepEqual(facts(without).mandatoryMissing, ['9F33']);
  assert.ok(codesOf(read(`${FIELD_55}9C0100`)).includes('F55_DUPLICATE@null'));
  const lying = FIELD_55.replace('9F270180', '9F270140');
  assert.ok(codesOf(read(lying)).includes('F55_CRYPTOGRAM_TYPE@null'));
});

test('field 55 is built of a qPBOC answer and the terminal: 9F27 follows from the CVR', () => {
  const terminal = { '9F37': '2B29EBE4', '95': '0000000000', '9A': '260701', '9C': '00' };
  const more = {
    '9F02': '000000000001',
    '5F2A': '0156',
    '9F1A': '0156',
    '9F03': '000000000000',
    '9F33': 'E0E9C8',
  };
  const gpo_response = '772282027C009F36020ADC9F100807010103A00000019F2608AD03EE811AFAD484';
  const explanation = explain(nodeCiphers, JSON.stringify({ gpo_response, ...terminal, ...more }));
  const facts = explanation.facts as unknown as Field55Facts;
  assert.equal(facts.field55, FIELD_55);
  assert.deepEqual(facts.derived, { '9F27': '80' });
});
