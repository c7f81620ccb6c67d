/**
 * Issuer discretionary data of id 01 in 9F10: the e-cash balance that the card vouches for.
 * @see PBOC3 P13; PBOC3 P5 (9F10)
 */
import { bcdToNumeric, byteAt, concatBytes, equalBytes } from '../../bytes/index.ts';
import { type CipherProvider, retailMac, sm4CbcMac } from '../../crypto/index.ts';
import { IAD_ALGORITHM_SM4 } from './cryptogram.ts';
import { EmvDataError } from './errors.ts';

/** First byte of issuer discretionary data that holds the balance. */
export const IDD_ID_EC_BALANCE = 0x01;
/** Identifier, five bytes of balance, four of MAC. */
export const EC_BALANCE_DATA_BYTES = 10;
const BALANCE_BYTES = 5;
const MAC_BYTES = 4;

/** What the MAC of the balance is taken with and over. */
export type EcBalanceMacInput = {
  /** Algorithm byte of 9F10. */
  readonly algorithm: number;
  /** Session key for MACs of this transaction. */
  readonly sessionKeyMac: Uint8Array;
  readonly atc: Uint8Array;
  /** The five low bytes of 9F79. */
  readonly balance: Uint8Array;
};

/**
 * MAC of the balance: left 4 bytes over ATC ‖ balance, `80` padding; retail MAC under 3DES, CBC-MAC
 * under SM4.
 * DEVIATION: no public text gives this computation and a published message was not reproduced, so
 * that it stands alone in this function and binds our own cards only.
 */
export function ecBalanceMac(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  input: EcBalanceMacInput,
): Uint8Array {
  const covered = concatBytes(input.atc, input.balance);
  const mac =
    input.algorithm === IAD_ALGORITHM_SM4
      ? sm4CbcMac(ciphers, input.sessionKeyMac, covered)
      : retailMac(input.sessionKeyMac, covered, { padding: 2 });
  return mac.slice(0, MAC_BYTES);
}

/** Issuer discretionary data of a balance: 01, its five low bytes, MAC. Used by the card. */
export function encodeEcBalanceData(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  input: EcBalanceMacInput,
): Uint8Array {
  if (input.balance.length !== BALANCE_BYTES) {
    throw balanceError(0, `balance of ${input.balance.length} bytes, 5 needed`);
  }
  return concatBytes(Uint8Array.of(IDD_ID_EC_BALANCE), input.balance, ecBalanceMac(ciphers, input));
}

/** The balance in issuer discretionary data and its MAC, which only the issuer can check. */
export type EcBalanceData = {
  readonly balanceMinor: bigint;
  readonly balance: Uint8Array;
  readonly mac: Uint8Array;
};

/**
 * The balance in issuer discretionary data; undefined when it holds something else.
 * @throws EmvDataError `ERR_EMV_IAD` when it announces a balance and has none.
 */
export function decodeEcBalanceData(discretionary: Uint8Array): EcBalanceData | undefined {
  if (discretionary.length === 0 || byteAt(discretionary, 0) !== IDD_ID_EC_BALANCE) {
    return undefined;
  }
  if (discretionary.length !== EC_BALANCE_DATA_BYTES) {
    throw balanceError(0, `${discretionary.length} bytes, ${EC_BALANCE_DATA_BYTES} needed`);
  }
  const balance = discretionary.slice(1, 1 + BALANCE_BYTES);
  if (balance.some((value) => value >> 4 > 9 || (value & 0x0f) > 9)) {
    throw balanceError(1, 'the balance is not decimal');
  }
  return {
    balanceMinor: BigInt(bcdToNumeric(balance)),
    balance,
    mac: discretionary.slice(1 + BALANCE_BYTES),
  };
}

/** Whether the card of these keys made the MAC; the issuer's check before it believes a balance. */
export function isEcBalanceAuthentic(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  data: EcBalanceData,
  keys: Omit<EcBalanceMacInput, 'balance'>,
): boolean {
  return equalBytes(ecBalanceMac(ciphers, { ...keys, balance: data.balance }), data.mac);
}

function balanceError(offsetBytes: number, why: string): EmvDataError {
  return new EmvDataError('ERR_EMV_IAD', `electronic cash balance: ${why}`, { offsetBytes });
}
