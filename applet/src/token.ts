/**
 * Dynamic token (动态令牌): the digits of a card's cryptogram over a challenge, nothing, or texts that
 * the person has read. No gateway is asked and nothing is charged; the issuer verifies the digits.
 * It is the computation of CAP on a PBOC application, and not certified as Q/CUP 047.3 asks.
 */
import { TapError } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { tokenDataBytes, tokenDigits, tokenSignature } from '@tapnpay/protocol/emv/data';
import {
  type KernelAnswer,
  type KernelRequest,
  type TerminalTransaction,
  type TokenReading,
  tokenTransaction,
} from '@tapnpay/protocol/emv/terminal';
import { decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import type {
  ApplicationContext,
  ElementTokenResult,
  HostConversation,
  TokenIntent,
  TokenWish,
} from '@tapnpay/protocol/wire';
import { AppletError, codeOf } from './errors.ts';
import { ask } from './host.ts';
import { ManagedParameters } from './parameters.ts';
import { isTorn, PRESENTATIONS_MAX } from './presentations.ts';

/** A token has no currency; a terminal has one. */
const CURRENCY = '156';
/** Nor a merchant. @see ISO 8583:1987 fields 41, 42 */
const NOBODY = { merchantId: '0'.repeat(15), terminalId: '0'.repeat(8) };
/** Days begin with China's. */
const CHINA_OFFSET_MS = 8 * 3_600_000;
const DAY_SECONDS = 86_400;
const ERA_DAYS = 146_097;
/** From 1 March of the year 0 to 1 January 1970. */
const DAYS_FROM_MARCH_0 = 719_468;

/** One token, or why there is none; it throws on own defects. */
export function* makeToken(
  context: ApplicationContext<CipherProvider>,
  { wish }: TokenIntent,
): HostConversation<ElementTokenResult> {
  let reason = '';
  try {
    const nowMs = yield* ask({ call: 'clock' });
    const parameters = yield* ManagedParameters.kept(context, nowMs);
    const transaction = transactionOf(context, parameters, nowMs);
    for (let attempt = 1; attempt <= PRESENTATIONS_MAX; attempt++) {
      const last = attempt === 1 ? null : reason;
      const presented = yield* ask({ call: 'presentTokenCard', attempt, reason: last });
      if (presented !== 'contact') {
        throw new AppletError('ERR_CARD_INTERFACE', 'a token is made by insertion');
      }
      try {
        const reading = yield* read(transaction, wish);
        if (reading.result === 'none') return { token: null, reason: reading.reason };
        return { token: digitsOf(reading, wish, parameters), reason: null };
      } catch (fault) {
        reason = codeOf(fault);
        if (!isTorn(reason)) break;
      }
    }
  } catch (fault) {
    reason = codeOf(fault);
  }
  return { token: null, reason };
}

function transactionOf(
  { ciphers }: ApplicationContext<CipherProvider>,
  parameters: ManagedParameters,
  nowMs: number,
): TerminalTransaction {
  const { dateYymmdd, timeHhmmss } = dayAndTime(nowMs + CHINA_OFFSET_MS);
  return {
    ciphers,
    terminal: parameters.terminalProfile({ currency: CURRENCY, dateYymmdd }),
    ...{ amountMinor: 0n, otherAmountMinor: 0n, transactionType: 0 },
    ...{ dateYymmdd, timeHhmmss },
    ...{ sequenceCounter: 1, forceOnline: true, merchant: NOBODY },
  };
}

/**
 * A moment by the proleptic Gregorian calendar; the sandbox has no clock and no `Date`. Years begin
 * in March, so that the leap day is the last one: an era of 400 years has 146,097 days.
 */
export function dayAndTime(atMs: number): {
  readonly dateYymmdd: string;
  readonly timeHhmmss: string;
} {
  const seconds = Math.floor(atMs / 1000);
  const days = Math.floor(seconds / DAY_SECONDS) + DAYS_FROM_MARCH_0;
  const dayOfEra = days % ERA_DAYS;
  const leapDays = (every: number): number => Math.floor(dayOfEra / every);
  const yearOfEra = Math.floor(
    (dayOfEra - leapDays(1_460) + leapDays(36_524) - leapDays(ERA_DAYS - 1)) / 365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = ((monthFromMarch + 2) % 12) + 1;
  const year = yearOfEra + (month <= 2 ? 1 : 0);
  const ofDay = seconds % DAY_SECONDS;
  const two = (value: number): string => String(value % 100).padStart(2, '0');
  return {
    dateYymmdd: two(year) + two(month) + two(day),
    timeHhmmss: two(Math.floor(ofDay / 3_600)) + two(Math.floor(ofDay / 60) % 60) + two(ofDay % 60),
  };
}

/** Drives the kernel; it asks for nothing but the card. */
function* read(transaction: TerminalTransaction, wish: TokenWish): HostConversation<TokenReading> {
  const kernel = tokenTransaction(transaction, wish);
  let step = kernel.next(undefined);
  while (!step.done) {
    let answer: KernelAnswer;
    try {
      answer = yield* answerOf(step.value);
    } catch (fault) {
      step = kernel.throw(fault);
      continue;
    }
    step = kernel.next(answer);
  }
  return step.value;
}

function* answerOf(request: KernelRequest): HostConversation<KernelAnswer> {
  switch (request.kind) {
    case 'transmit': {
      const command = encodeCommand(request.command);
      return decodeResponse(yield* ask({ call: 'cardTransmit', command }));
    }
    case 'random':
      return yield* ask({ call: 'random', lengthBytes: request.lengthBytes });
    case 'selectApplication':
      return request.candidates.length > 0 ? 0 : null;
    case 'releaseCard':
      yield* ask({ call: 'releaseCard' });
      return undefined;
    case 'phase':
      return undefined;
    default:
      throw new TapError('ERR_CARD_DATA', `${request.kind} is no part of a token`);
  }
}

/** The digits; of a signed text those of the signature in the cryptogram's place. */
function digitsOf(
  { response }: Extract<TokenReading, { result: 'answered' }>,
  wish: TokenWish,
  parameters: ManagedParameters,
): string {
  const { cryptogram } = response;
  const shown =
    wish.mode === 'sign' ? tokenSignature(cryptogram, tokenDataBytes(wish.data)) : cryptogram;
  return tokenDigits(parameters.issuerProprietaryBitmap, { ...response, cryptogram: shown });
}
