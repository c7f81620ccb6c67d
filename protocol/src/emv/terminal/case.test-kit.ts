/** One case of the kernel at a plain terminal: a card with changes, and what came of it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { nodeCiphers } from '../../../node/index.ts';
import { toHex } from '../../bytes/index.ts';
import {
  type TestCardOptions,
  type TestKeys,
  testCard,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import { contactTransaction, type KernelErrorCode } from './index.ts';
import { runKernel, type TestDriver } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
/** The keys of these cards. */
export const KEYS: TestKeys = { ca: KEY, issuer: KEY, icc: KEY };

/** What a case changes in the transaction. */
export type Change = Parameters<typeof testTransaction>[2];
/** What a case changes. */
export type Case = {
  readonly card?: TestCardOptions;
  readonly change?: Change;
  readonly driver?: Partial<TestDriver>;
};

/** What came of a case; TVR and TSI as they were at terminal action analysis. */
export type CaseResult = ReturnType<typeof runKernel> & {
  readonly tvr: string;
  readonly tsi: string;
  readonly cvm: string;
  readonly requested: number | undefined;
};

/** Runs a case to its end. */
export function run({ card = {}, change = {}, driver = {} }: Case): CaseResult {
  const result = runKernel(contactTransaction(testTransaction(nodeCiphers, KEYS, change)), {
    transmit: testCard(nodeCiphers, KEYS, card),
    random: (length) => new Uint8Array(length).fill(0x5a),
    authorise: () => ({ result: 'answered', responseCode: '00', scripts: [] }),
    ...driver,
  });
  const decided = result.phases.find(({ phase }) => phase === 'terminalActionAnalysis');
  const first = result.commands.find(({ ins }) => ins === 0xae);
  return {
    ...result,
    tvr: toHex(decided?.tvr ?? new Uint8Array(0)),
    tsi: toHex(decided?.tsi ?? new Uint8Array(0)),
    cvm: toHex(result.outcome.cvmResults),
    requested: first?.p1,
  };
}

/** A CVM list without amounts. */
export const cvm = (rules: string, amounts = '0000000000000000'): TestCardOptions => ({
  elements: { '8E': amounts + rules },
});
/** A floor limit that the amount does not reach. */
export const quiet: NonNullable<Change> = { aid: { floorLimitMinor: 100_000n } };

/** The case ends in this fault. */
export function refuses(code: KernelErrorCode, what: Case): void {
  assert.throws(() => run(what), { code });
}
