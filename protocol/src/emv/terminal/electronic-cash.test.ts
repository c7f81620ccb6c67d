/**
 * Shows e-cash on the contact interface: when it is offered, what the purse must hold for the card
 * alone to approve, and what happens else. Each limit exactly and one minor unit over it.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, Iso7816Error } from '../../iso7816/index.ts';
import { type Case, type CaseResult, run } from './case.test-kit.ts';
import { FIELD_55_TAGS, KernelError, type OfflineApproval } from './index.ts';

const AUTHORISATION_CODE = '313233343536';
/** A purse of 100.00, at most 50.00 a payment, asked online below 10.00. */
const PURSE: Readonly<Record<string, string>> = {
  '9F51': '0156',
  '9F79': '000000010000',
  '9F78': '000000005000',
  '9F6D': '000000001000',
};
const LIMITS = { transactionLimitMinor: 100_000n };

type CashCase = Case & {
  readonly purse?: Readonly<Record<string, string | undefined>>;
  readonly amountMinor?: bigint;
};

/** A payment of 12.34 with a card that asks for 9F7A, says 9F74 and answers what it is asked. */
function cash(what: CashCase = {}): CaseResult & { readonly stored: readonly OfflineApproval[] } {
  const { amountMinor = 1234n, change } = what;
  const stored: OfflineApproval[] = [];
  const getData = Object.fromEntries(
    Object.entries({ ...PURSE, ...what.purse }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  let given = 0;
  const result = run({
    card: {
      pdol: '9F7A019F02065F2A02',
      getData,
      // The card gives what it is asked for, as one that has enough does.
      override: (command) => {
        if (command.ins !== 0xae) return undefined;
        given += 1;
        const cid = toHex(Uint8Array.of(command.p1 & 0xc0));
        const ac = '11'.repeat(8);
        return {
          data: fromHex(`8013${cid}0006${ac}07000103A0A80201`),
          statusWord: 0x9000 as never,
        };
      },
      ...what.card,
      elements: { '97': null, '9F14': null, '9F74': AUTHORISATION_CODE, ...what.card?.elements },
    },
    change: {
      ...change,
      input: { amountMinor, ...change?.input },
      aid: { electronicCash: LIMITS, ...change?.aid },
    },
    driver: { storeOfflineApproval: (approval) => void stored.push(approval), ...what.driver },
  });
  assert.ok(given <= 2);
  return { ...result, stored };
}
const word = ({ outcome }: CaseResult): string => `${outcome.outcome} ${outcome.reason}`;
const gpo = ({ commands }: CaseResult): string =>
  toHex(commands.find(({ ins }) => ins === 0xa8)?.data ?? new Uint8Array(0));
const offered = (result: CaseResult): string => gpo(result).slice(4, 6);
const asked = ({ commands }: CaseResult): readonly string[] =>
  commands.filter(({ ins }) => ins === 0xca).map(({ p1, p2 }) => toHex(Uint8Array.of(p1, p2)));

test('the purse pays: 9F7A 1, GET DATA of it, TC asked for, no CVM (PBOC3 P13)', () => {
  const never = (): never => assert.fail('nobody is asked');
  const result = cash({ driver: { enterPin: never, authorise: never } });
  assert.equal(word(result), 'approved card:TC');
  assert.equal(gpo(result), '8309010000000012340156');
  assert.deepEqual(asked(result), ['9F51', '9F79', '9F6D', '9F78']);
  assert.equal(result.requested, 0x40);
  assert.equal(result.tvr, '0000000000', 'neither floor limit nor random selection');
  assert.deepEqual([result.tsi, result.cvm], ['8800', '3F0000'], 'no CVM, but risk management');
  const facts = (phase: string) => result.phases.find((notice) => notice.phase === phase)?.facts;
  assert.deepEqual(facts('electronicCash'), {
    offered: true,
    accepted: true,
    decision: 'offline',
    why: 'aboveResetThreshold',
  });
  assert.deepEqual(facts('terminalRiskManagement'), { performed: true });
  assert.deepEqual(result.outcome.electronicCash, {
    isUsed: true,
    balanceMinor: 10_000n,
    balanceAfterMinor: 8766n,
    currency: '156',
  });
});

test('its approval is stored with the authorisation code of the purse, before anybody is told', () => {
  const order: string[] = [];
  const [approval] = cash().stored;
  assert.equal(approval?.kind, 'electronicCash');
  assert.equal(approval?.applicationTransactionCounter, 6);
  const tags = decodeTlv(approval?.field55 ?? new Uint8Array(0)).map(({ tag }) => tag);
  assert.deepEqual(tags, [...FIELD_55_TAGS, '9F74', '8A']);
  cash({
    driver: {
      storeOfflineApproval: () => void order.push('store'),
      releaseCard: () => order.push('release'),
      onPhase: ({ phase }) => order.push(phase),
    },
  });
  assert.deepEqual(order.slice(4), [
    'processingRestrictions',
    'electronicCash',
    'cardholderVerification',
    'terminalRiskManagement',
    'terminalActionAnalysis',
    'store',
    'firstGenerateAc',
    'completion',
    'release',
  ]);
});

test('an approval of the purse that cannot be stored is unknown, and its balance is not told', () => {
  const storeOfflineApproval = (): never => {
    throw new KernelError('ERR_KERNEL_ANSWER', 'disk full');
  };
  const { outcome } = cash({ driver: { storeOfflineApproval } });
  assert.deepEqual([outcome.outcome, outcome.reason], ['unknown', 'ERR_KERNEL_ANSWER']);
  assert.equal(outcome.electronicCash?.balanceAfterMinor, null);
});

test('a card that leaves while its purse is asked to pay may have paid: unknown', () => {
  const gone = { ins: 0xae };
  const override = (command: { ins: number }): undefined => {
    if (command.ins === gone.ins) throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
  };
  assert.equal(word(cash({ card: { override } })), 'unknown card:torn:ERR_CARD_REMOVED');
  // One that is asked to go online has paid nothing, nor has one that left before.
  const purse = { '9F79': '000000001000' };
  assert.throws(() => cash({ card: { override }, purse }), { code: 'ERR_CARD_REMOVED' });
  gone.ins = 0xca;
  assert.throws(() => cash({ card: { override } }), { code: 'ERR_CARD_REMOVED' });
});

test('9F7A is 0, and the payment an ordinary one, unless each of the conditions holds', () => {
  assert.equal(offered(cash({ amountMinor: 5000n })), '01');
  for (const [what, change] of [
    ['not wanted', { input: { electronicCash: false } }],
    ['forced online', { input: { forceOnline: true } }],
    ['cash', { input: { transactionType: 0x01 } }],
    ['cashback', { input: { transactionType: 0x09, otherAmountMinor: 1n } }],
    ['other amount', { input: { otherAmountMinor: 1n } }],
    ['a terminal that works online only', { terminal: { terminalType: 0x21 } }],
    ['amount zero', { input: { amountMinor: 0n } }],
  ] as const) {
    const result = cash({ change, card: { elements: { '9F07': 'FFC0' } } });
    assert.equal(offered(result), '00', what);
    assert.equal(result.outcome.electronicCash?.isUsed, false, what);
    assert.deepEqual(asked(result), [], what);
    assert.equal(result.requested, 0x80, what);
  }
  const none = cash({ change: { aid: { electronicCash: null } } });
  assert.equal(offered(none), '00', 'a terminal without e-cash');
  assert.equal(none.outcome.electronicCash, null);
});

test('9F7B: the amount must be below it (PBOC3 P13)', () => {
  const at = (amountMinor: bigint) =>
    cash({ amountMinor, change: { aid: { electronicCash: { transactionLimitMinor: 1234n } } } });
  assert.equal(offered(at(1233n)), '01');
  assert.equal(offered(at(1234n)), '00');
  const limit = cash({ card: { pdol: '9F7A019F7B06' } });
  assert.equal(gpo(limit), '830701000000100000', 'the card may ask for it');
});

test('a PDOL that does not ask for 9F7A: no e-cash, nothing is asked', () => {
  const result = cash({ card: { pdol: '9F0206' } });
  assert.equal(result.outcome.electronicCash, null);
  assert.deepEqual(asked(result), []);
  assert.equal(result.requested, 0x80);
});

test('a card that answers without 9F74 pays from its account', () => {
  const result = cash({ card: { elements: { '9F74': null } } });
  assert.equal(offered(result), '01');
  assert.deepEqual(asked(result), []);
  assert.equal(result.requested, 0x80);
  assert.deepEqual(result.outcome.electronicCash, {
    isUsed: false,
    balanceMinor: null,
    balanceAfterMinor: null,
    currency: '156',
  });
});

/** What the purse holds, and what the terminal asks for: TC 40, ARQC 80. */
const PURSES: readonly (readonly [string, NonNullable<CashCase['purse']>, bigint, number])[] = [
  ['exactly down to the threshold', { '9F79': '000000002234' }, 1234n, 0x40],
  ['one fen below it', { '9F79': '000000002233' }, 1234n, 0x80],
  ['exactly empty, threshold 0', { '9F79': '000000001234', '9F6D': '000000000000' }, 1234n, 0x40],
  ['one fen short', { '9F79': '000000001233', '9F6D': '000000000000' }, 1234n, 0x80],
  ['exactly the single limit', {}, 5000n, 0x40],
  ['one fen over it', {}, 5001n, 0x80],
  ['no single limit', { '9F78': undefined }, 9000n, 0x40],
  ['a single limit of another length', { '9F78': '5000' }, 9000n, 0x40],
  ['balance not told', { '9F79': undefined }, 1234n, 0x80],
  ['balance of another length', { '9F79': '0000010000' }, 1234n, 0x80],
  ['balance that is no number', { '9F79': 'FFFFFFFFFFFF' }, 1234n, 0x80],
  ['threshold not told', { '9F6D': undefined }, 1234n, 0x80],
];
for (const [what, purse, amountMinor, request] of PURSES) {
  test(`a purse with ${what}: P1 ${request.toString(16)} (PBOC3 P13)`, () => {
    const result = cash({ purse, amountMinor });
    assert.equal(result.requested, request);
    assert.equal(result.stored.length, request === 0x40 ? 1 : 0);
  });
}

test('the single limit may stand in a record, and is then not asked for', () => {
  const card = { elements: { '9F78': '000000001233' } };
  const result = cash({ card });
  assert.equal(result.requested, 0x80);
  assert.deepEqual(asked(result), ['9F51', '9F79', '9F6D']);
});

test('a purse that needs its issuer goes online with the PIN (PBOC3 P13)', () => {
  const purposes: string[] = [];
  const result = cash({
    purse: { '9F79': '000000001234' },
    card: { elements: { '8E': '00000000000000001F00' } },
    driver: {
      enterPin: ({ purpose }) => {
        purposes.push(purpose);
        return 'entered';
      },
    },
  });
  assert.deepEqual(purposes, ['online'], 'whatever the list says');
  assert.equal(word(result), 'approved issuer:00');
  assert.equal(result.requests[0]?.pinRequired, true);
  assert.equal(result.cvm, '020000');
  assert.equal(result.tsi, 'C800');
  assert.equal(result.tvr, '0000048000', 'the floor limit counts again');
  assert.equal(result.outcome.electronicCash?.isUsed, true);
  assert.equal(result.outcome.electronicCash?.balanceAfterMinor, null);
  assert.equal(result.stored.length, 0);
});

test('there the PIN may be bypassed, cancelled or impossible', () => {
  const purse = { '9F79': '000000001234' };
  const bypassed = cash({ purse, driver: { enterPin: () => 'bypassed' } });
  assert.deepEqual([bypassed.tvr, bypassed.cvm], ['0000888000', '020001']);
  const cancelled = cash({ purse, driver: { enterPin: () => 'cancelled' } });
  assert.equal(word(cancelled), 'cancelled cardholder:pin');
  // Without a PIN pad the card's list decides: here signature.
  const terminal = { capabilities: fromHex('E028C0') };
  const card = { elements: { '8E': '00000000000000001E00' } };
  assert.equal(cash({ purse, card, change: { terminal } }).cvm, '1E0000');
});

test('at a terminal without a line the purse pays below its threshold too, not more than it has', () => {
  const terminal = { terminalType: 0x23 };
  const at = (balance: string, amountMinor = 1234n) =>
    cash({ purse: { '9F79': balance }, amountMinor, change: { terminal } });
  const low = at('000000001234');
  assert.equal(word(low), 'approved card:TC');
  assert.equal(low.outcome.electronicCash?.balanceAfterMinor, 0n);
  const short = at('000000001233');
  assert.equal(short.requested, 0x00);
  assert.equal(word(short), 'declined terminal:electronicCash:balance');
  assert.equal(
    word(at('000000010000', 5001n)),
    'declined terminal:electronicCash:singleTransactionLimit',
  );
  assert.equal(word(at('FF')), 'declined terminal:electronicCash:balanceUnknown');
});

test('a TVR that the action codes send online is not paid from the purse, but with the PIN', () => {
  const forged = cash({ card: { forged: { '5F25': '240101' } } });
  assert.equal(forged.requested, 0x80);
  assert.equal(forged.cvm, '020000');
  assert.equal(forged.outcome.dataAuthentication, 'failed');
  const terminal = { terminalType: 0x23 };
  const offline = cash({ card: { forged: { '5F25': '240101' } }, change: { terminal } });
  assert.equal(offline.requested, 0x00);
  assert.equal(offline.stored.length, 0);
});

test('a TVR that the action codes deny is denied, the purse notwithstanding', () => {
  const result = cash({ card: { elements: { '9F07': '0000' } } });
  assert.equal(result.requested, 0x00);
  assert.equal(word(result), 'declined terminal:TAC+IAC-denial');
  const blocked = cash({ change: { terminal: { isOnExceptionFile: () => true } } });
  assert.notEqual(blocked.requested, 0x40);
  assert.equal(blocked.tvr.slice(0, 2), '10');
});

test('floor limit, random selection and velocity do not touch a payment from the purse', () => {
  const result = cash({
    card: { elements: { '9F14': '00', '9F23': '00' } },
    change: {
      aid: {
        floorLimitMinor: 2000n,
        randomSelection: { targetPercentage: 99, maximumTargetPercentage: 99, thresholdMinor: 0n },
      },
    },
  });
  assert.equal(result.requested, 0x40);
  assert.equal(result.tvr, '0000000000');
  assert.ok(!asked(result).includes('9F36'), 'the counters are not read');
});

test('dual currency: the purse in the currency of the payment pays, another never does', () => {
  const second = {
    '9F51': '0840',
    DF71: '0156',
    DF79: '000000003000',
    DF78: '000000002000',
    DF76: '000000000500',
  };
  const result = cash({ purse: second });
  assert.deepEqual(asked(result), ['9F51', 'DF71', 'DF79', 'DF76', 'DF78']);
  assert.equal(result.outcome.electronicCash?.balanceAfterMinor, 1766n);
  assert.equal(cash({ purse: second, amountMinor: 2001n }).requested, 0x80, 'its own single limit');
  assert.equal(cash({ purse: { ...second, DF79: '000000001733' } }).requested, 0x80);
  const foreign = cash({ purse: { '9F51': '0840', DF71: '0344' } });
  assert.equal(foreign.requested, 0x80);
  assert.equal(foreign.outcome.electronicCash?.isUsed, false);
  assert.deepEqual(asked(foreign), ['9F51', 'DF71']);
  assert.equal(cash({ purse: { '9F51': undefined } }).outcome.electronicCash?.isUsed, false);
});

test('a card that answers ARQC or AAC to the purse question is followed', () => {
  const answering = (cid: string) => (command: { ins: number }) =>
    command.ins === 0xae
      ? {
          data: fromHex(`8013${cid}0006${'11'.repeat(8)}07000103A0A80201`),
          statusWord: 0x9000 as never,
        }
      : undefined;
  const refused = cash({ card: { override: answering('00') } });
  assert.equal(word(refused), 'declined card:AAC');
  assert.equal(refused.outcome.electronicCash?.balanceAfterMinor, null);
  assert.equal(refused.stored.length, 0);
});

test('going online fails: the default handling of debit and credit, no payment from the purse', () => {
  const purse = { '9F79': '000000001234' };
  const driver = { authorise: () => ({ result: 'unable' as const }) };
  const quiet = { tacDefault: new Uint8Array(5) };
  const codes = { '9F0D': '0000000000' };
  const card = { elements: codes };
  const approved = cash({ purse, card, change: { aid: quiet }, driver });
  assert.equal(word(approved), 'approved terminal:Y3');
  assert.equal(approved.stored.length, 1);
  assert.equal(approved.stored[0]?.kind, 'debitCredit');
  assert.equal(approved.outcome.electronicCash?.balanceAfterMinor, null);
  const declined = cash({ purse, card: { elements: { '9F0D': 'FFFFFFFFFF' } }, driver });
  assert.equal(declined.outcome.outcome, 'declined');
  assert.equal(declined.stored.length, 0);
});

test('a card that wants no terminal risk management gets none from its purse either', () => {
  const result = cash({ card: { aip: '7400' } });
  assert.equal(result.requested, 0x40);
  assert.equal(result.tsi, '8000');
  const risk = result.phases.find(({ phase }) => phase === 'terminalRiskManagement');
  assert.deepEqual(risk?.facts, { performed: false });
});

test('why e-cash was not offered is told, and one fen is an amount', () => {
  const why = (result: CaseResult) =>
    result.phases.find(({ phase }) => phase === 'electronicCash')?.facts['why'];
  assert.equal(why(cash({ change: { input: { forceOnline: true } } })), 'notForcedOnline');
  assert.equal(why(cash({ amountMinor: 100_000n })), 'amountBelowTerminalLimit');
  assert.equal(why(cash({ card: { elements: { '9F74': null } } })), 'offered');
  assert.equal(why(cash({ purse: { '9F51': '0840' } })), 'currency');
  assert.equal(offered(cash({ amountMinor: 1n })), '01');
});
