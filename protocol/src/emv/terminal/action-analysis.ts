/** Terminal action analysis: the TVR against the action codes of terminal and issuer. */
import * as data from '../data/index.ts';
import { cardValue, type KernelContext, onlineCapability, selectedAid, tvrOf } from './context.ts';

/** The three questions a TVR is put to. */
export type ActionCodeKind = 'denial' | 'online' | 'default';

/** What the terminal asks of the card, and whose action code decided; null when none did. */
export type ActionDecision = {
  readonly request: 'AAC' | 'TC' | 'ARQC';
  readonly reason: string | null;
};

const ISSUER_ACTION_CODES: Readonly<
  Record<ActionCodeKind, { readonly tag: string; readonly absent: number }>
> = {
  // §10.7: without a denial code nothing is denied; without the others everything matches.
  denial: { tag: data.TAG_9F0E_ISSUER_ACTION_CODE_DENIAL, absent: 0x00 },
  online: { tag: data.TAG_9F0F_ISSUER_ACTION_CODE_ONLINE, absent: 0xff },
  default: { tag: data.TAG_9F0D_ISSUER_ACTION_CODE_DEFAULT, absent: 0xff },
};

/**
 * Before the first GENERATE AC.
 * @throws KernelError `ERR_CARD_DATA` for an issuer action code of another length.
 * @see EMV 4.3 B3 §10.7
 */
export function analyseBeforeOnline(context: KernelContext): ActionDecision {
  const denial = matchingCodes(context, 'denial');
  if (denial !== null) return { request: 'AAC', reason: denial };
  switch (onlineCapability(context.input.terminal.terminalType)) {
    case 'onlineOnly':
      return { request: 'ARQC', reason: null };
    case 'offlineOnly':
      return analyseUnableOnline(context);
    default: {
      const online = matchingCodes(context, 'online');
      return online === null
        ? { request: 'TC', reason: null }
        : { request: 'ARQC', reason: online };
    }
  }
}

/** When the issuer could not be reached. @see EMV 4.3 B3 §10.7 */
export function analyseUnableOnline(context: KernelContext): ActionDecision {
  if (onlineCapability(context.input.terminal.terminalType) === 'onlineOnly') {
    return { request: 'AAC', reason: 'terminal:onlineOnly' };
  }
  const reason = matchingCodes(context, 'default');
  return reason === null ? { request: 'TC', reason } : { request: 'AAC', reason };
}

/** Whose code has a bit in common with the TVR: `terminal:TAC-denial`, `terminal:TAC+IAC-…`. */
function matchingCodes(context: KernelContext, kind: ActionCodeKind): string | null {
  const tvr = tvrOf(context);
  const { tacDenial, tacOnline, tacDefault } = selectedAid(context);
  const terminalCode = { denial: tacDenial, online: tacOnline, default: tacDefault }[kind];
  const isTerminals = data.haveCommonBit(terminalCode, tvr);
  const isIssuers = data.haveCommonBit(issuerActionCode(context, kind), tvr);
  if (!isTerminals && !isIssuers) return null;
  const names = [isTerminals ? 'TAC' : '', isIssuers ? 'IAC' : ''].filter((name) => name !== '');
  return `terminal:${names.join('+')}-${kind}`;
}

function issuerActionCode(context: KernelContext, kind: ActionCodeKind): Uint8Array {
  const { tag, absent } = ISSUER_ACTION_CODES[kind];
  return cardValue(context, tag, data.TVR_BYTES) ?? new Uint8Array(data.TVR_BYTES).fill(absent);
}

/** Names of the TVR's bits, for traces. */
export function tvrNames(tvr: Uint8Array): string {
  return data
    .bitsSet(tvr, data.TVR_BITS)
    .map((bit) => bit.nameEn)
    .join('; ');
}
