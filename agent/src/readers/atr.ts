/** What a reader's program must know of an answer to reset: protocol and kind of interface. */
import { byteAt, concatBytes, toHex } from '@tapnpay/protocol/bytes';
import { atrProtocol } from '@tapnpay/protocol/emv/data';
import type { CardInterface } from '@tapnpay/protocol/wire';
import type { CardProtocol } from './card-reader.ts';

const HISTORICAL_BYTES_MAX = 15;
/** T0's high nibble and TD2 of every contactless card behind PC/SC. */
const CONTACTLESS_T0 = 0x80;

/**
 * ATR by which PC/SC shows a contactless card: `3B 8n 80 01`, historical bytes, check byte. For
 * type A these are the historical bytes of the ATS.
 */
export function contactlessAtr(historicalBytes: Uint8Array = new Uint8Array(0)): Uint8Array {
  const historical = historicalBytes.slice(0, HISTORICAL_BYTES_MAX);
  const body = concatBytes(Uint8Array.of(0x80 | historical.length, 0x80, 0x01), historical);
  const check = body.reduce((sum, value) => sum ^ value, 0);
  return concatBytes(Uint8Array.of(0x3b), body, Uint8Array.of(check));
}

/** True for an ATR that a contactless reader made for PC/SC. */
export function isContactlessAtr(atr: Uint8Array): boolean {
  if (atr.length < 5 || byteAt(atr, 0) !== 0x3b) return false;
  const t0 = byteAt(atr, 1);
  const isShape = (t0 & 0xf0) === CONTACTLESS_T0 && atr[2] === 0x80 && atr[3] === 0x01;
  return isShape && atr.length === 5 + (t0 & 0x0f);
}

/** Words by which makers name the antenna of a reader. */
const CONTACTLESS_NAME: RegExp = new RegExp(
  String.raw`contactless|\bpicc\b|\bnfc\b|\brfid\b|\bcl\b|\bccid[- ]?cl\b|` +
    'acr12[0-9]|acr1552|scl3711|5x21[- ]?cl',
  'i',
);

/** The interface of a card: its ATR tells; for an odd one the reader's name. */
export function interfaceOf(atr: Uint8Array, readerName: string): CardInterface {
  if (isContactlessAtr(atr)) return 'contactless';
  return CONTACTLESS_NAME.test(readerName) ? 'contactless' : 'contact';
}

/** First protocol that the ATR offers; a contactless one names T=0 first and means T=1. */
export function protocolOf(atr: Uint8Array): CardProtocol {
  return isContactlessAtr(atr) ? 'T=1' : atrProtocol(toHex(atr));
}
