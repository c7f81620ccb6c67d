/** Balance and logs of a card, by the kernel's readings; nothing is paid and nothing counted. */
import { fromHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  type CardReading,
  type CardReadingResult,
  type Kernel,
  type LoadLogEntry,
  type LogReading,
  loadCaPublicKeys,
  NO_RANDOM_SELECTION,
  type PurseReading,
  readElectronicCashBalance,
  readLoadLog,
  readTransactionLog,
  type TerminalProfile,
  type TransactionLogEntry,
} from '@tapnpay/protocol/emv/terminal';
import { type CardChannel, decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';

/** A terminal that only looks: every UnionPay application, no keys, no money. */
const LOOKING_TERMINAL: Omit<TerminalProfile, 'caPublicKeys'> = {
  countryCode: '156',
  currency: '156',
  currencyExponent: 2,
  terminalType: 0x22,
  capabilities: fromHex('E068C8'),
  additionalCapabilities: fromHex('6000F0A001'),
  terminalTransactionQualifiers: fromHex('36800080'),
  interfaceDeviceSerialNumber: 'TAPNPAY1',
  aids: [
    {
      aid: fromHex('A000000333'),
      partialSelection: true,
      applicationVersion: fromHex('0030'),
      tacDefault: fromHex('FFFFFFFFFF'),
      tacDenial: fromHex('FFFFFFFFFF'),
      tacOnline: fromHex('FFFFFFFFFF'),
      floorLimitMinor: 0n,
      randomSelection: NO_RANDOM_SELECTION,
      defaultDdol: fromHex('9F3704'),
      defaultTdol: null,
      contactless: { floorLimitMinor: 0n, transactionLimitMinor: 1n, cvmLimitMinor: 0n },
      electronicCash: null,
    },
  ],
};

/** How the card is looked at. */
export type LookOptions = { readonly ciphers: CipherProvider; readonly interface: CardInterface };

/** The purses. @throws KernelError; what the channel throws. */
export function readBalance(
  card: CardChannel,
  options: LookOptions,
): Promise<CardReadingResult<{ readonly purses: readonly PurseReading[] }>> {
  return drive(card, readElectronicCashBalance(readingOf(options)));
}

/** Payments and loads that the card remembers. @throws KernelError; what the channel throws. */
export async function readLogs(
  card: CardChannel,
  options: LookOptions,
): Promise<{
  readonly payments: CardReadingResult<LogReading<TransactionLogEntry>>;
  readonly loads: CardReadingResult<LogReading<LoadLogEntry>>;
}> {
  const payments = await drive(card, readTransactionLog(readingOf(options)));
  return { payments, loads: await drive(card, readLoadLog(readingOf(options))) };
}

function readingOf(options: LookOptions): CardReading {
  const caPublicKeys = loadCaPublicKeys(options.ciphers, []);
  return { ...options, terminal: { ...LOOKING_TERMINAL, caPublicKeys } };
}

/** A reading asks for nothing but commands; what else it says needs no answer. */
async function drive<Result>(card: CardChannel, reading: Kernel<Result>): Promise<Result> {
  let step = reading.next(undefined);
  while (!step.done) {
    const request = step.value;
    if (request.kind !== 'transmit') {
      step = reading.next(undefined);
      continue;
    }
    try {
      const answer = decodeResponse(await card.transmit(encodeCommand(request.command)));
      step = reading.next(answer);
    } catch (fault) {
      step = reading.throw(fault);
    }
  }
  return step.value;
}
