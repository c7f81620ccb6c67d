/** How each published vector is recomputed: the `check` named in a case -> its outputs. */
import {
  asciiToBytes,
  bytesToLatin1,
  concatBytes,
  fromHex,
  type RandomSource,
  TapError,
  toHex,
} from '../src/bytes/index.ts';
import * as crypto from '../src/crypto/index.ts';
import {
  dolFormatOf,
  TAG_9F02_AMOUNT_AUTHORISED,
  TAG_9F10_ISSUER_APPLICATION_DATA,
  TAG_9F36_APPLICATION_TRANSACTION_COUNTER,
  TAG_9F37_UNPREDICTABLE_NUMBER,
  TAG_9F38_PDOL,
  TAG_83_COMMAND_TEMPLATE,
} from '../src/emv/data/index.ts';
import { assembleAcInput } from '../src/emv/issuer/index.ts';
import {
  buildDolValue,
  decodeDol,
  decodeTlv,
  encodeCommand,
  encodeTlv,
  flattenTlv,
} from '../src/iso7816/index.ts';
import { nodeCiphers } from './ciphers.ts';
import { checkScp02Session, checkScp03Kdf, checkScp03Session } from './globalplatform-checks.ts';

/** The inputs of one case; every value is text or a number. */
export class VectorInput {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  /** @throws TapError `ERR_VECTOR_FIELD` when the case lacks the field. */
  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value === 'string') return value;
    throw new TapError('ERR_VECTOR_FIELD', `case has no text ${name}`, { field: name });
  }

  /** Bytes of a hex field, or of the ASCII field with the same name and `Ascii` behind it. */
  bytes(name: string): Uint8Array {
    const ascii = this.#fields[`${name}Ascii`];
    return typeof ascii === 'string' ? asciiToBytes(ascii) : fromHex(this.text(name));
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value === 'number') return value;
    throw new TapError('ERR_VECTOR_FIELD', `case has no number ${name}`, { field: name });
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }
}

/** Named outputs; a case's `expected` may name any of them. */
export type VectorOutputs = Readonly<Record<string, string>>;
type VectorCheck = (input: VectorInput) => VectorOutputs;

/** Every check a vector file may name. */
export const VECTOR_CHECKS: ReadonlyMap<string, VectorCheck> = new Map<string, VectorCheck>([
  ['des', checkDes],
  ['kcvTdes', (input) => kcvOutputs(crypto.kcvTdes(input.bytes('key')))],
  ['aesCmac', (input) => macOutputs(crypto.aesCmac(nodeCiphers, input.bytes('key'), data(input)))],
  ['retailMac', checkRetailMac],
  ['x99Mac', (input) => macOutputs(crypto.x99Mac(input.bytes('key'), data(input)))],
  ['unionPayPosMac', checkUnionPayPosMac],
  ['unionPaySignIn', checkUnionPaySignIn],
  ['keyUnderKey', checkKeyUnderKey],
  ['pinBlockFormat0', checkPinBlockFormat0],
  ['pinBlockFormat4', checkPinBlockFormat4],
  ['visaPvv', checkVisaPvv],
  ['aesDukpt', checkAesDukpt],
  ['aesDukptNextCounter', checkNextCounter],
  ['tr31D', checkTr31D],
  ['cvn01', checkCvn01],
  ['cvn17', checkCvn17],
  ['gpoCommand', checkGpoCommand],
  ['cvn10', checkCvn10],
  ['applicationCryptogram', checkApplicationCryptogram],
  ['scriptMac', checkScriptMac],
  ['scp02Session', checkScp02Session],
  ['scp03Session', checkScp03Session],
  ['scp03Kdf', checkScp03Kdf],
  ['sm3', (input) => ({ digest: toHex(nodeCiphers.sm3(data(input))) })],
  [
    'sm4',
    (input) => ({ cipher: toHex(nodeCiphers.sm4EcbEncrypt(input.bytes('key'), plain(input))) }),
  ],
]);

function data(input: VectorInput): Uint8Array {
  return input.bytes('data');
}

function plain(input: VectorInput): Uint8Array {
  return input.bytes('plain');
}

function macOutputs(mac: Uint8Array): VectorOutputs {
  return { mac: toHex(mac), mac4: toHex(mac.subarray(0, 4)) };
}

function kcvOutputs(kcv: string): VectorOutputs {
  return { kcv, kcv2: kcv.slice(0, 4), kcv3: kcv.slice(0, 6) };
}

function checkDes(input: VectorInput): VectorOutputs {
  const key = input.bytes('key');
  const encrypt = key.length === 8 ? crypto.desEncrypt : crypto.tdesEncrypt;
  return { cipher: toHex(encrypt(key, plain(input))) };
}

function checkRetailMac(input: VectorInput): VectorOutputs {
  const padding = input.number('padding') === 1 ? 1 : 2;
  return macOutputs(crypto.retailMac(input.bytes('key'), data(input), { padding }));
}

/** `frame` is TPDU (5), header (6), MTI to field 63, field 64 (8); `data` is MTI to field 63. */
function checkUnionPayPosMac(input: VectorInput): VectorOutputs {
  const block = input.has('frame') ? input.bytes('frame').slice(11, -8) : data(input);
  return { macAscii: bytesToLatin1(crypto.unionPayPosMac(input.bytes('key'), block)) };
}

/** Field 62: PIN key (16), its KCV (4), MAC key (8), fill (8), its KCV (4). */
function checkUnionPaySignIn(input: VectorInput): VectorOutputs {
  const field = input.bytes('field62');
  const masterKey = input.bytes('tmk');
  const pinKey = crypto.tdesDecrypt(masterKey, field.subarray(0, 16));
  const macKey = crypto.tdesDecrypt(masterKey, field.subarray(20, 28));
  return {
    pik: toHex(pinKey),
    pikKcv: crypto.kcvTdes(pinKey),
    pikKcvSent: toHex(field.subarray(16, 20)),
    mak: toHex(macKey),
    makKcv: crypto.kcvTdes(macKey),
    makKcvSent: toHex(field.subarray(36, 40)),
  };
}

function checkKeyUnderKey(input: VectorInput): VectorOutputs {
  return { clear: toHex(crypto.tdesDecrypt(input.bytes('key'), input.bytes('enciphered'))) };
}

function checkPinBlockFormat0(input: VectorInput): VectorOutputs {
  const pan = input.text('pan');
  const block = crypto.pinBlockFormat0(input.text('pin'), pan);
  const outputs = { block: toHex(block), pinBack: crypto.pinOfBlockFormat0(block, pan) };
  if (!input.has('key')) return outputs;
  return { ...outputs, enciphered: toHex(crypto.tdesEncrypt(input.bytes('key'), block)) };
}

function checkPinBlockFormat4(input: VectorInput): VectorOutputs {
  const key = input.bytes('key');
  const pan = input.text('pan');
  if (input.has('block')) {
    return {
      pin: crypto.decipherPinBlockFormat4(nodeCiphers, key, input.bytes('block'), pan),
    };
  }
  const random8 = input.bytes('random');
  const clear = { pin: input.text('pin'), pan, random8 };
  const block = crypto.encipherPinBlockFormat4(nodeCiphers, key, clear);
  const pinBack = crypto.decipherPinBlockFormat4(nodeCiphers, key, block, pan);
  return { block: toHex(block), pinBack };
}

function checkVisaPvv(input: VectorInput): VectorOutputs {
  const pin = input.text('pin');
  const facts = { pan: input.text('pan'), pvki: input.text('pvki'), pin };
  return { pvv: crypto.visaPvv(input.bytes('pvk'), facts) };
}

function checkAesDukpt(input: VectorInput): VectorOutputs {
  const id = input.bytes('initialKeyId');
  const counter = Number.parseInt(input.text('counter'), 16);
  const initialKey = crypto.aesDukptInitialKey(nodeCiphers, input.bytes('bdk'), id);
  const transactionKey = crypto.aesDukptTransactionKey(nodeCiphers, initialKey, id, counter);
  const pinKey = crypto.aesDukptWorkingKey(nodeCiphers, initialKey, id, counter, 'pinEncryption');
  const outputs = {
    initialKey: toHex(initialKey),
    transactionKey: toHex(transactionKey),
    pinKey: toHex(pinKey),
    ksn: toHex(crypto.aesDukptKsn(id, counter)),
  };
  if (!input.has('pin')) return outputs;
  const clear = { pin: input.text('pin'), pan: input.text('pan'), random8: input.bytes('random') };
  const pinBlock = crypto.encipherPinBlockFormat4(nodeCiphers, pinKey, clear);
  return { ...outputs, pinBlock: toHex(pinBlock) };
}

function checkNextCounter(input: VectorInput): VectorOutputs {
  const counter = Number.parseInt(input.text('counter'), 16);
  const next = crypto.nextAesDukptCounter(counter);
  return { next: next.toString(16).toUpperCase().padStart(8, '0') };
}

/** Unwraps the block, and wraps the key again with other random fill to unwrap that as well. */
function checkTr31D(input: VectorInput): VectorOutputs {
  const protectionKey = input.bytes('kbpk');
  const { key, ...header } = crypto.tr31UnwrapD(nodeCiphers, protectionKey, input.text('block'));
  const fill: RandomSource = { bytes: (lengthBytes) => new Uint8Array(lengthBytes).fill(0xa5) };
  const again = crypto.tr31WrapD(nodeCiphers, protectionKey, header, key, fill);
  return {
    key: toHex(key),
    usage: header.usage,
    algorithm: header.algorithm,
    modeOfUse: header.modeOfUse,
    exportability: header.exportability,
    keyBack: toHex(crypto.tr31UnwrapD(nodeCiphers, protectionKey, again).key),
  };
}

/** The card key comes from `imk`, PAN and PSN, or as `udk`. */
function cardKey(input: VectorInput): Uint8Array {
  if (input.has('udk')) return input.bytes('udk');
  const psn = input.text('panSequenceNumber');
  return crypto.deriveIccMasterKey(input.bytes('imk'), input.text('pan'), psn);
}

function checkCvn01(input: VectorInput): VectorOutputs {
  const iccMasterKey = cardKey(input);
  const sessionKey = crypto.deriveSessionKey(iccMasterKey, input.bytes('atc'));
  const arqc = crypto.applicationCryptogram(sessionKey, input.bytes('acInput'));
  return {
    udk: toHex(iccMasterKey),
    sessionKey: toHex(sessionKey),
    arqc: toHex(arqc),
    arpc: toHex(crypto.arpcMethod1(sessionKey, arqc, input.bytes('arc'))),
  };
}

/** CVN 17 of qPBOC: its input is what the issuer assembles. @see PBOC3 P5 */
function checkCvn17(input: VectorInput): VectorOutputs {
  const sessionKey = crypto.deriveSessionKey(cardKey(input), input.bytes('atc'));
  const acInput = assembleAcInput(
    new Map([
      [TAG_9F02_AMOUNT_AUTHORISED, input.bytes('amount')],
      [TAG_9F37_UNPREDICTABLE_NUMBER, input.bytes('unpredictableNumber')],
      [TAG_9F36_APPLICATION_TRANSACTION_COUNTER, input.bytes('atc')],
      [TAG_9F10_ISSUER_APPLICATION_DATA, input.bytes('issuerApplicationData')],
    ]),
  );
  return {
    acInput: toHex(acInput),
    sessionKey: toHex(sessionKey),
    ac: toHex(crypto.applicationCryptogram(sessionKey, acInput)),
  };
}

/** GET PROCESSING OPTIONS of an FCI's PDOL and the reader's values as TLV. */
function checkGpoCommand(input: VectorInput): VectorOutputs {
  const pdol = flattenTlv(decodeTlv(input.bytes('fci'))).get(TAG_9F38_PDOL);
  const values = flattenTlv(decodeTlv(input.bytes('values')));
  const wanted = buildDolValue(
    decodeDol(pdol ?? new Uint8Array(0)),
    (tag) => values.get(tag),
    dolFormatOf,
  );
  const command = { cla: 0x80, ins: 0xa8, p1: 0x00, p2: 0x00, le: 256 };
  const data = encodeTlv(TAG_83_COMMAND_TEMPLATE, wanted);
  return { command: toHex(encodeCommand({ ...command, data })) };
}

/** CVN 10 uses the card key itself and pads with zeros. @see EMV 4.3 B2 §8 */
function checkCvn10(input: VectorInput): VectorOutputs {
  const iccMasterKey = cardKey(input);
  const arqc = crypto.retailMac(iccMasterKey, input.bytes('acInput'), { padding: 1 });
  return {
    udkKcv2: crypto.kcvTdes(iccMasterKey).slice(0, 4),
    arqc: toHex(arqc),
    arpc: toHex(crypto.arpcMethod1(iccMasterKey, arqc, input.bytes('arc'))),
  };
}

function checkApplicationCryptogram(input: VectorInput): VectorOutputs {
  return { ac: toHex(crypto.applicationCryptogram(input.bytes('sessionKey'), data(input))) };
}

function checkScriptMac(input: VectorInput): VectorOutputs {
  const atc = input.bytes('atc');
  const sessionKey = crypto.deriveSessionKey(cardKey(input), atc);
  const header = input.bytes('header');
  const mac = crypto.scriptMac4(sessionKey, header, atc, input.bytes('arqc'), data(input));
  return {
    sessionKey: toHex(sessionKey),
    mac: toHex(mac),
    command: toHex(concatBytes(header, data(input), mac)),
  };
}
