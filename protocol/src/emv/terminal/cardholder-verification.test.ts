/**
 * Cardholder verification: rules, conditions, online PIN. Every case states 9F34 and the TVR.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex } from '../../bytes/index.ts';
import { cvm, quiet, refuses, run } from './case.test-kit.ts';
import type { PinEntry } from './index.ts';

test('EMV 4.3 B3 §10.5: rules, conditions, results and TVR byte 3', () => {
  const cases: readonly (readonly [string, string, string, PinEntry?])[] = [
    // rules, 9F34, TVR byte 3, PIN
    ['1F00', '1F0002', '00'],
    ['1E00', '1E0000', '00'],
    ['0200', '020000', '04', 'entered'],
    ['42001F00', '1F0002', '08', 'bypassed'],
    ['0200', '020001', '88', 'bypassed'],
    ['0200', '020001', '90', 'unavailable'],
    // A refused PIN is not asked for again.
    ['42004203', '420301', '88', 'bypassed'],
    ['0000', '000001', '80'],
    ['40001F00', '400001', '80'],
    // Unrecognised: 40, and the next rule only when bit 7 says so.
    ['6A001F00', '1F0002', '40'],
    ['2A001F00', '3F0001', 'C0'],
    // Recognised but not supported: no bit of its own, except for PIN.
    ['60001F00', '1F0002', '00'],
    ['20001F00', '3F0001', '80'],
    ['44001F00', '1F0002', '10'],
    ['0100', '3F0001', '90'],
    // Condition 03: a method the terminal lacks is skipped without a bit.
    ['41031F00', '1F0002', '00'],
    // Conditions that do not hold, and unknown ones.
    ['1F01', '3F0001', '80'],
    ['1F04', '3F0001', '80'],
    ['1F05', '3F0001', '80'],
    ['1F0A1E02', '1E0200', '00'],
  ];
  for (const [rules, results, byte3, pin] of cases) {
    const { cvm: found, tvr } = run({
      card: cvm(rules),
      change: quiet,
      driver: pin ? { enterPin: () => pin } : {},
    });
    assert.deepEqual([found, tvr], [results, `0000${byte3}0000`], rules);
  }
});

test("EMV 4.3 B3 §C3: amounts X and Y count in the application's currency only", () => {
  const amounts = '000004D2000007D0'; // X 12.34, Y 20.00
  const at = (condition: string, amountMinor: bigint, currency = '0156'): string => {
    const elements = { '8E': `${amounts}1F${condition}`, '9F42': currency };
    return run({ card: { elements }, change: { ...quiet, input: { amountMinor } } }).cvm;
  };
  assert.equal(at('06', 1233n), '1F0602');
  assert.equal(at('06', 1234n), '3F0001');
  assert.equal(at('07', 1235n), '1F0702');
  assert.equal(at('07', 1234n), '3F0001');
  assert.equal(at('08', 1999n), '1F0802');
  assert.equal(at('09', 2001n), '1F0902');
  assert.equal(at('08', 2000n), '3F0001');
  assert.equal(at('09', 2000n), '3F0001');
  assert.equal(at('06', 1233n, '0840'), '3F0001');
  const elements = { '8E': `${amounts}1F06`, '9F42': null };
  const unknown = run({ card: { elements }, change: { ...quiet, input: { amountMinor: 1n } } });
  assert.equal(unknown.cvm, '3F0001');
});

test('EMV 4.3 B3 §C3: conditions of cash and cashback, attended and unattended', () => {
  const at = (condition: string, transactionType: number, terminalType = 0x22): string => {
    const aid = { ...quiet.aid, tacDenial: fromHex('0000000000') };
    const elements = { '8E': `00000000000000001F${condition}`, '9F0E': '0000000000' };
    const change = { aid, input: { transactionType }, terminal: { terminalType } };
    return run({ card: { elements }, change }).cvm;
  };
  const [purchase, cash, cashback] = [0x00, 0x01, 0x09];
  const unattended = 0x24;
  assert.deepEqual(
    [at('01', cash, unattended), at('01', cash), at('01', purchase, unattended)],
    ['1F0102', '3F0001', '3F0001'],
  );
  assert.deepEqual(
    [at('02', purchase), at('02', cash), at('02', cashback)],
    ['1F0202', '3F0001', '3F0001'],
  );
  assert.deepEqual(
    [at('04', cash), at('04', cash, unattended), at('04', purchase)],
    ['1F0402', '3F0001', '3F0001'],
  );
  assert.deepEqual([at('05', cashback), at('05', cash)], ['1F0502', '3F0001']);
});

test('EMV 4.3 B3 §10.5, §7.5: no list, an empty one, a malformed one, an AIP without', () => {
  const without = run({ card: { elements: { '8E': null } }, change: quiet });
  assert.deepEqual([without.tvr, without.tsi, without.cvm], ['2000000000', '8800', '3F0000']);
  const empty = run({ card: cvm(''), change: quiet });
  assert.deepEqual([empty.tvr, empty.tsi, empty.cvm], ['0000000000', '8800', '3F0000']);
  const unsupported = run({ card: { ...cvm('0200'), aip: '6C00' }, change: quiet });
  assert.deepEqual([unsupported.tvr, unsupported.cvm], ['0000000000', '3F0000']);
  refuses('ERR_CARD_DATA', { card: cvm('1F') });
  refuses('ERR_CARD_DATA', { card: { elements: { '8E': '00000000' } } });
});

test('a terminal without online PIN: "PIN pad not present" and the next rule', () => {
  const terminal = { capabilities: fromHex('E028C0') };
  const {
    tvr,
    cvm: results,
    outcome,
  } = run({ card: cvm('42001E00'), change: { ...quiet, terminal } });
  assert.deepEqual([tvr, results], ['0000100000', '1E0000']);
  assert.equal(outcome.outcome, 'approved');
});

test("the cardholder's cancel at the PIN ends it without a cryptogram", () => {
  const { outcome, commands } = run({ card: cvm('0200'), driver: { enterPin: () => 'cancelled' } });
  assert.deepEqual([outcome.outcome, outcome.reason], ['cancelled', 'cardholder:pin']);
  assert.ok(!commands.some(({ ins }) => ins === 0xae));
  assert.throws(() => run({ card: cvm('0200'), driver: { enterPin: () => 'yes' as PinEntry } }), {
    code: 'ERR_KERNEL_ANSWER',
  });
});
