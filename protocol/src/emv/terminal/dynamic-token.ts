/**
 * A token's cryptogram of a card: selection, GPO and records as for a payment, then GENERATE AC
 * over the shape of a token, and an AAC that ends it. No PIN, no money, nobody online.
 */
import * as data from '../data/index.ts';
import { startApplication } from './contact-transaction.ts';
import { createContext } from './context.ts';
import { secondGenerateAc, tokenGenerateAc } from './generate-ac.ts';
import { refusalReason } from './initiate.ts';
import { releaseCardAnyway, setResponseCode } from './outcome.ts';
import { panMaskedOf, readApplicationData } from './read-data.ts';
import type { ContactTransaction, Kernel } from './types.ts';

/** The card's answer, or why there is none. */
export type TokenReading =
  | {
      readonly result: 'answered';
      readonly response: data.TokenResponse;
      readonly panMasked: string | null;
    }
  | { readonly result: 'none'; readonly reason: string };

/**
 * Asks an inserted card. The counter is used up with the first cryptogram whatever follows.
 * @throws KernelError; EmvDataError `ERR_EMV_TOKEN`; whatever the driver throws into it.
 * @see PBOC3 P5 (GENERATE AC)
 */
export function* tokenTransaction(
  input: ContactTransaction,
  mode: data.TokenMode,
): Kernel<TokenReading> {
  const context = createContext(input);
  const shape = data.tokenTerminalValues(mode);
  // Every application begins with the terminal's objects.
  for (const [tag, value] of shape) context.terminalObjects.set(tag, value);
  const refused = yield* startApplication(context);
  if (refused !== null) return { result: 'none', reason: refused.reason };
  yield* readApplicationData(context);
  for (const [tag, value] of shape) context.data.set(tag, value);
  const answer = yield* tokenGenerateAc(context);
  if (answer.result === 'refused') {
    return { result: 'none', reason: refusalReason('GENERATE_AC', answer.statusWord) };
  }
  if (answer.cryptogram.type !== 'ARQC') {
    return { result: 'none', reason: `card:${answer.cryptogram.type}` };
  }
  const bytes = (tag: string): Uint8Array => context.data.get(tag) ?? new Uint8Array(0);
  const response: data.TokenResponse = {
    cryptogramInformationData: bytes(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA)[0] ?? 0,
    applicationTransactionCounter: bytes(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER),
    cryptogram: answer.cryptogram.value,
    issuerApplicationData: bytes(data.TAG_9F10_ISSUER_APPLICATION_DATA),
  };
  setResponseCode(context, data.ARC_UNABLE_ONLINE_DECLINED);
  yield* secondGenerateAc(context, 'AAC');
  yield* releaseCardAnyway(context);
  return { result: 'answered', response, panMasked: panMaskedOf(context) };
}
