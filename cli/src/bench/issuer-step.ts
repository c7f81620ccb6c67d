/** What an issuer computes for one purchase, by our own ciphers and, beside it, by OpenSSL's. */
import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto';
import {
  asciiToBytes,
  concatBytes,
  equalBytes,
  fromHex,
  luhnCheckDigit,
  toHex,
  uintToBytes,
  xorBytes,
} from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  padIso9797Method1,
  padIso9797Method2,
  pinBlockFormat0,
  pinOfBlockFormat0,
  pinVerificationValue,
  tdesDecrypt,
  tdesEncrypt,
  x99Mac,
  x99Macs,
} from '@tapnpay/protocol/crypto';

/** One request with all that its step is checked against. */
export type IssuerCase = {
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly atc: Uint8Array;
  /** Text under the MACs of request and reply. */
  readonly requestBlock: Uint8Array;
  readonly requestMac: Uint8Array;
  readonly replyBlock: Uint8Array;
  readonly pinBlock: Uint8Array;
  readonly pvv: string;
  readonly acInput: Uint8Array;
  readonly arqc: Uint8Array;
};

/** What a step answers: proof to the card, MAC of the reply. */
export type IssuerAnswer = { readonly arpc: Uint8Array; readonly replyMac: Uint8Array };

/** Keys of a step. */
export type IssuerKeys = {
  readonly mac: Uint8Array;
  readonly pin: Uint8Array;
  readonly pvk: Uint8Array;
  readonly imkAc: Uint8Array;
};

/** The step of one engine; it throws when a check of the case fails. */
export type IssuerStep = (request: IssuerCase) => IssuerAnswer;

const PAN_SEQUENCE_NUMBER = '01';
const NO_MAC: Uint8Array = new Uint8Array(0);
const PIN_DIGITS = 6;
/** PIN verification key index, and the response code that a proof is made over. */
export const PVKI = '1';
export const ARC: Uint8Array = Uint8Array.of(0x30, 0x30);

/** Our own ciphers, one request at a time; with `cardKeys` the keys of a card are derived once. */
export function ownStep(keys: IssuerKeys, cardKeys?: Map<string, Uint8Array>): IssuerStep {
  return (request) => {
    check(x99Mac(keys.mac, request.requestBlock), request.requestMac, 'MAC');
    const arpc = ownPinAndCryptogram(keys, request, cardKeys);
    return { arpc, replyMac: x99Mac(keys.mac, request.replyBlock) };
  };
}

/** The same for requests that came together, as an HSM gets them in a frame. */
export function ownBatch(
  keys: IssuerKeys,
  cardKeys?: Map<string, Uint8Array>,
): (requests: readonly IssuerCase[]) => readonly IssuerAnswer[] {
  return (requests) => {
    const texts = requests.map(({ requestBlock }) => requestBlock);
    const macs = x99Macs(keys.mac, texts);
    const arpcs = requests.map((request, index) => {
      check(macs[index] ?? NO_MAC, request.requestMac, 'MAC');
      return ownPinAndCryptogram(keys, request, cardKeys);
    });
    const replyMacs = x99Macs(
      keys.mac,
      requests.map(({ replyBlock }) => replyBlock),
    );
    return arpcs.map((arpc, index) => ({ arpc, replyMac: replyMacs[index] ?? NO_MAC }));
  };
}

/** PIN, card key, session key, ARQC; answers the ARPC. */
function ownPinAndCryptogram(
  keys: IssuerKeys,
  request: IssuerCase,
  cardKeys?: Map<string, Uint8Array>,
): Uint8Array {
  const { pan, arqc } = request;
  const pin = pinOfBlockFormat0(tdesDecrypt(keys.pin, request.pinBlock), pan);
  const pvv = pinVerificationValue(keys.pvk, { pan, pvki: PVKI, pin });
  if (pvv !== request.pvv) throw new Error('the PIN is wrong');
  const known = cardKeys?.get(pan);
  const card = known ?? deriveIccMasterKey(keys.imkAc, pan, request.panSequenceNumber);
  if (known === undefined) cardKeys?.set(pan, card);
  const session = deriveSessionKey(card, request.atc);
  check(applicationCryptogram(session, request.acInput), arqc, 'cryptogram');
  return arpcMethod1(session, arqc, ARC);
}

/**
 * The same by OpenSSL: a cipher object is kept for each long-lived key, and made for each session
 * key. A kept CBC object goes on with its last block, which is taken out of the next first one.
 */
export function opensslStep(keys: IssuerKeys, cardKeys?: Map<string, Uint8Array>): IssuerStep {
  const mac = keptCbc(keys.mac);
  const pinCipher = ecbDecipher(keys.pin);
  const pvk = ecbCipher(keys.pvk);
  const imkAc = ecbCipher(keys.imkAc);
  return (request) => {
    const { pan, arqc } = request;
    check(mac(padIso9797Method1(request.requestBlock)), request.requestMac, 'MAC');
    const pin = pinOfBlockFormat0(pinCipher.update(request.pinBlock), pan);
    if (opensslPvv(pvk, pan, pin) !== request.pvv) throw new Error('the PIN is wrong');
    const known = cardKeys?.get(pan);
    const card = known ?? imkAc.update(twoHalves(request));
    if (known === undefined) cardKeys?.set(pan, card);
    const counter = request.atc;
    const zeros = new Uint8Array(6);
    const sessionInput = concatBytes(zeros, counter, zeros, inverted(counter));
    const session = ecbCipher(card).update(sessionInput);
    check(opensslCryptogram(session, request.acInput), arqc, 'cryptogram');
    const arpc = ecbCipher(session).update(xorBytes(arqc, concatBytes(ARC, zeros)));
    return { arpc, replyMac: mac(padIso9797Method1(request.replyBlock)) };
  };
}

/** `count` cases of as many cards; the texts are those of a purchase and of its approval. */
export function issuerCases(keys: IssuerKeys, count: number): readonly IssuerCase[] {
  return Array.from({ length: count }, (_, index) => {
    const serial = String(index).padStart(12, '0');
    const pan = `629999${serial}${luhnCheckDigit(`629999${serial}`)}`;
    const pin = String((index * 7919) % 1_000_000).padStart(PIN_DIGITS, '0');
    const atc = uintToBytes(1 + index, 2);
    const trace = serial.slice(-6);
    const head = `19${pan} 000000 000000012345 1130083503 ${trace} 5999 00 0800010000 0800010000`;
    const requestBlock = asciiToBytes(`0200 ${head} 00000001 898100000000001`);
    const card = deriveIccMasterKey(keys.imkAc, pan, PAN_SEQUENCE_NUMBER);
    const acInput = fromHex(
      `00000001234500000000000001560000008000015626113000A1B2C3D47C00${toHex(atc)}03A0B800`,
    );
    return {
      ...{ pan, panSequenceNumber: PAN_SEQUENCE_NUMBER, atc, requestBlock, acInput },
      requestMac: x99Mac(keys.mac, requestBlock),
      replyBlock: asciiToBytes(`0210 ${head} ${trace} 00 00000001 898100000000001`),
      pinBlock: tdesEncrypt(keys.pin, pinBlockFormat0(pin, pan)),
      pvv: pinVerificationValue(keys.pvk, { pan, pvki: PVKI, pin }),
      arqc: applicationCryptogram(deriveSessionKey(card, atc), acInput),
    };
  });
}

function check(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (!equalBytes(found, expected)) throw new Error(`the ${what} is wrong`);
}

function ecbCipher(key: Uint8Array): Cipheriv {
  return createCipheriv('des-ede-ecb', key, null).setAutoPadding(false);
}

function ecbDecipher(key: Uint8Array): Decipheriv {
  return createDecipheriv('des-ede-ecb', key, null).setAutoPadding(false);
}

function keptCbc(key: Uint8Array): (padded: Uint8Array) => Uint8Array {
  const cipher = createCipheriv('des-ede-cbc', key, new Uint8Array(8)).setAutoPadding(false);
  let last: Uint8Array = new Uint8Array(8);
  return (padded) => {
    for (let index = 0; index < 8; index++)
      padded[index] = (padded[index] ?? 0) ^ (last[index] ?? 0);
    last = cipher.update(padded).subarray(-8);
    return last;
  };
}

/** Retail MAC: CBC under the left half, the last block under both. */
function opensslCryptogram(session: Uint8Array, data: Uint8Array): Uint8Array {
  const padded = padIso9797Method2(data);
  const left = session.subarray(0, 8);
  const single = createCipheriv('des-ede3-cbc', concatBytes(left, left, left), new Uint8Array(8));
  const chain = single.setAutoPadding(false).update(padded.subarray(0, -8)).subarray(-8);
  return ecbCipher(session).update(xorBytes(chain, padded.subarray(-8)));
}

function opensslPvv(pvk: Cipheriv, pan: string, pin: string): string {
  const account = pan.slice(0, -1).slice(-11);
  return [pin.slice(0, 4), pin.slice(-4)]
    .map((digits) => {
      const hex = toHex(pvk.update(fromHex(`${account}${PVKI}${digits}`)));
      const decimals = hex.replaceAll(/[A-F]/g, '');
      const letters = hex.replaceAll(/[0-9]/g, '');
      const rest = [...letters].map((letter) => Number.parseInt(letter, 16) - 10).join('');
      return `${decimals}${rest}`.slice(0, 4);
    })
    .join('');
}

function twoHalves({ pan, panSequenceNumber }: IssuerCase): Uint8Array {
  const half = fromHex(`${pan}${panSequenceNumber}`.slice(-16).padStart(16, '0'));
  return concatBytes(half, inverted(half));
}

function inverted(bytes: Uint8Array): Uint8Array {
  return bytes.map((value) => ~value);
}
