/** Kinds `pvv` and `cvv`: verification values of PIN and card. @see Visa PVV */
import { toHex } from '../bytes/index.ts';
import { CryptoError, cardVerificationValue, cvvBlocks, visaPvv } from '../crypto/index.ts';
import { both, comparison, givenBytes, givenText, isGiven, nodeOf, step } from './build.ts';
import { ExplainError } from './errors.ts';
import { requireKeyBytes } from './keys-given.ts';
import type {
  CheckStep,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
} from './types.ts';

export const PVV_KIND: ExplainModule = {
  kind: 'pvv',
  detect: (input) => (isGiven(input, 'pvk', 'pinVerificationKey') ? 0.95 : 0),
  explain: explainPvv,
};

export const CVV_KIND: ExplainModule = {
  kind: 'cvv',
  detect: (input) => (isGiven(input, 'cvk', 'cvkA', 'cardVerificationKey') ? 0.95 : 0),
  explain: explainCvv,
};

/** A named value that must be there. @throws ExplainError `ERR_EXPLAIN_MISSING`. */
export function requiredText(input: ExplainInput, ...names: readonly string[]): string {
  const value = givenText(input, ...names);
  const name = names[0] ?? '';
  if (value !== undefined) return value.replace(/[\s-]/g, '');
  throw new ExplainError('ERR_EXPLAIN_MISSING', `${name} is needed and was not given`, { name });
}

/** Runs a computation whose refusals are about given values. @throws ExplainError. */
export function computing<T>(name: string, compute: () => T): T {
  try {
    return compute();
  } catch (thrown) {
    if (!(thrown instanceof CryptoError)) throw thrown;
    throw new ExplainError('ERR_EXPLAIN_VALUE', thrown.message, { name, cause: thrown.code });
  }
}

function keyOf(input: ExplainInput, names: readonly string[]): Uint8Array {
  const key = givenBytes(input, ...names);
  const name = names[0] ?? 'key';
  if (key !== undefined) return requireKeyBytes(key, name, [16]);
  throw new ExplainError('ERR_EXPLAIN_MISSING', `${name} is needed and was not given`, { name });
}

function explainPvv({ input }: ExplainContext): Explained {
  const key = keyOf(input, ['pvk', 'pinVerificationKey']);
  const pan = requiredText(input, 'pan');
  const pin = requiredText(input, 'pin');
  const pvki = givenText(input, 'pvki', 'keyIndex') ?? '1';
  const pvv = computing('pvv', () => visaPvv(key, { pan, pvki, pin }));
  const account = pan.slice(0, -1).slice(-11);
  const steps = [
    step(
      both('PAN digits, PVKI, PIN', '主账号 11 位、PVKI、PIN 前 4 位'),
      tspOf(account, pvki, pin),
    ),
    step(both('first four decimal digits', '取前 4 个十进制数字'), pvv),
  ];
  return {
    summaryEn: `Visa PVV ${pvv}`,
    summaryZh: `Visa PVV 为 ${pvv}`,
    facts: {
      pvv,
      pvki,
      pan,
      pin,
      transformedSecurityParameter: tspOf(account, pvki, pin),
      given: givenText(input, 'pvv') ?? null,
    },
    tree: [nodeOf(both('PIN verification value', 'PIN 校验值'), null, { value: pvv })],
    checks: givenCheck('pvv', givenText(input, 'pvv'), pvv, steps),
    findings: [],
  };
}

function tspOf(account: string, pvki: string, pin: string): string {
  return `${account}${pvki}${pin.slice(0, 4)}`;
}

function explainCvv({ input }: ExplainContext): Explained {
  const half = givenBytes(input, 'cvkB');
  const first = givenBytes(input, 'cvkA');
  const key =
    first && half
      ? requireKeyBytes(Uint8Array.from([...first, ...half]), 'cvk', [16])
      : keyOf(input, ['cvk', 'cardVerificationKey', 'cvkA']);
  const pan = requiredText(input, 'pan');
  const expiry = requiredText(input, 'expiry', 'exp', 'expiration', 'expiryDate');
  const serviceCode = requiredText(input, 'serviceCode', 'sc', 'service');
  const parts = { pan, expiry, serviceCode };
  const { cvv, blocks } = computing('cvv', () => ({
    cvv: cardVerificationValue(key, parts),
    blocks: cvvBlocks(parts),
  }));
  const name = serviceCode === '000' ? 'CVV2' : serviceCode === '999' ? 'iCVV' : 'CVV';
  const others = computing('cvv', () => ({
    icvv: cardVerificationValue(key, { ...parts, serviceCode: '999' }),
    cvv2: cardVerificationValue(key, { ...parts, serviceCode: '000' }),
  }));
  const steps = [
    step(both('first block', '第一块'), toHex(blocks.first)),
    step(both('second block', '第二块'), toHex(blocks.second)),
    step(both('first three decimal digits', '取前 3 个十进制数字'), cvv),
  ];
  return {
    summaryEn: `${name} ${cvv}`,
    summaryZh: `${name} 为 ${cvv}`,
    facts: { type: name, cvv, ...others, pan, expiry, serviceCode },
    tree: [nodeOf(both('Card verification value', '卡片校验值'), null, { value: cvv })],
    checks: givenCheck('cvv', givenText(input, 'cvv', 'cvv2', 'icvv', 'cvn'), cvv, steps),
    findings: [],
  };
}

function givenCheck(
  name: string,
  expected: string | undefined,
  actual: string,
  steps: readonly CheckStep[],
): readonly ExplainCheck[] {
  if (expected !== undefined) return [comparison(name, { expected, actual }, steps)];
  const why = step(both('no value to compare with was given', '未给出用于比较的值'), '');
  return [{ name, result: 'notPossible', steps: [...steps, why], actual }];
}
