/** A card that signs its cryptograms (CDA), for the table-driven test card; any part can be wrong. */
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { signBlock } from '../data/certificate-recovery.test-kit.ts';
import type { TestKey } from './card.test-kit.ts';

/** Cryptograms inside the signatures, first and second. */
export const COMBINED_CRYPTOGRAMS: readonly [string, string] = [
  'C1C1C1C1C1C1C1C1',
  'C2C2C2C2C2C2C2C2',
];

/** What a test changes in one answer; the wrong card still signs what it says. */
export type CombinedChange = {
  readonly cid?: number;
  /** CID inside the signature. */
  readonly signedCid?: number;
  /** What the card believes the terminal sent in PDOL and CDOLs. */
  readonly heard?: (sent: Uint8Array) => Uint8Array;
  readonly unpredictableNumber?: string;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** Objects of the answer before the signature, with their TLV heads. */
  readonly objects?: (plain: string) => string;
  /** ICC dynamic data in place of the right ones. */
  readonly dynamicData?: (right: string) => string;
  /** Whole answer in place of the signed one. */
  readonly plain?: string;
};

/** How dynamic data are signed: RSA here, SM2 in the tests of that chain. */
export type DynamicSigner = {
  readonly sign: (dynamicData: Uint8Array, terminalData: Uint8Array) => Uint8Array;
  readonly hash: (transactionData: Uint8Array) => Uint8Array;
};

/** Signs as an RSA card does. @see EMV 4.3 B2 §6.6.1 */
export function rsaSigner(key: TestKey): DynamicSigner {
  return {
    hash: (transactionData) => nodeCiphers.sha1(transactionData),
    sign: (dynamicData, terminalData) => {
      const body = concatBytes(Uint8Array.of(5, 1, dynamicData.length), dynamicData);
      return signBlock(key, { body, beyond: terminalData });
    },
  };
}

/**
 * Answers GENERATE AC with a signature when the terminal asks for one (P1 bit 5), from all that the
 * terminal sent. The unpredictable number is what every command's data end with in the test CDOL1.
 */
export function combinedCard(
  signer: DynamicSigner,
  changes: readonly [first?: CombinedChange, second?: CombinedChange] = [],
): (command: CommandApdu) => ResponseApdu | undefined {
  const sent: Uint8Array[] = [];
  let unpredictableNumber = new Uint8Array(0);
  let count = 0;
  return (command) => {
    const data = command.data ?? new Uint8Array(0);
    if (command.ins === 0xa8) sent.splice(0, sent.length, data.slice(2));
    if (command.ins !== 0xae) return undefined;
    sent.push(data);
    if (count === 0) unpredictableNumber = data.slice(-4);
    const change = changes[count] ?? {};
    const cryptogram = COMBINED_CRYPTOGRAMS[count] ?? '';
    const asked = command.p1 & 0xc0;
    const cid = change.cid ?? asked;
    count += 1;
    const plain = `9F2701${hex(cid)}9F360200069F100807010103A0A80001`;
    const clear = `77${hex(plain.length / 2 + 11)}${plain}9F2608${cryptogram}`;
    if (change.plain !== undefined) return answerOf(change.plain);
    if ((command.p1 & 0x10) === 0) return answerOf(clear);
    const objects = change.objects?.(plain) ?? plain;
    const heard = change.heard?.(concatBytes(...sent)) ?? concatBytes(...sent);
    const hash = toHex(signer.hash(concatBytes(heard, fromHex(objects))));
    const right = `081122334455667788${hex(change.signedCid ?? cid)}${cryptogram}${hash}`;
    const dynamicData = fromHex(change.dynamicData?.(right) ?? right);
    const number = change.unpredictableNumber
      ? fromHex(change.unpredictableNumber)
      : unpredictableNumber;
    const made = signer.sign(dynamicData, number);
    const signature = change.signature?.(made) ?? made;
    const value = concatBytes(fromHex(objects), encodeTlv('9F4B', signature));
    return { data: encodeTlv('77', value), statusWord: StatusWord(0x9000) };
  };
}

function answerOf(data: string): ResponseApdu {
  return { data: fromHex(data), statusWord: StatusWord(0x9000) };
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0').toUpperCase();
}
