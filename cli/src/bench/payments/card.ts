/**
 * Simulated cards of a load: the keys of real card images, a rising counter, and field 55 with a
 * true ARQC (CVN 01 inserted, CVN 17 tapped). @see EMV 4.3 B2 §8.1; PBOC3 P5 §13
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concatBytes, fromHex, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import { applicationCryptogram, deriveSessionKey } from '@tapnpay/protocol/crypto';
import {
  CRYPTOGRAM_VERSION_01,
  CRYPTOGRAM_VERSION_17,
  DGI_UDK_3DES,
  iccDgi,
  iccObject,
  iccSummary,
  parseIccImage,
  TAG_5F34_PAN_SEQUENCE_NUMBER,
  TAG_57_TRACK_2_EQUIVALENT_DATA,
} from '@tapnpay/protocol/emv/data';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import { systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface } from '@tapnpay/protocol/wire';

const UDK_BYTES = 16;

/** What a card says of one payment; all of it is in the sealed payment. */
export type CardPayment = {
  readonly interface: CardInterface;
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly track2: string;
  readonly field55: string;
  /** 95 and 9F34 of field 55. */
  readonly tvr: string;
  readonly cvmResults: string;
  readonly withPin: boolean;
  readonly amountMinor: string;
  readonly dateYymmdd: string;
};

/** Objects of field 55 that are the same in every payment of an interface. */
const FIXED: Readonly<Record<CardInterface, Readonly<Record<string, string>>>> = {
  contact: { '82': '7C00', '9F33': 'E0F8C8', '84': 'A000000333010101' },
  contactless: { '82': '7C00', '9F33': 'E0F8C8', '84': 'A000000333010101' },
};
/** CVR: ARQC first, no second cryptogram asked for yet. */
const CVR = '03A00000';

/** One card; its counter rises with each payment. */
export class SimulatedCard {
  readonly #facts: Pick<CardPayment, 'pan' | 'panSequenceNumber' | 'expiryYymm' | 'track2'>;
  readonly #udkAc: Uint8Array;
  #atc: number;

  constructor(imageText: string) {
    const image = parseIccImage(imageText);
    const [application] = image.applications;
    if (!application) throw new Error('the card image has no application');
    const { pan, expiryYymm, applicationTransactionCounter } = iccSummary(image);
    const keys = iccDgi(application, DGI_UDK_3DES) ?? new Uint8Array();
    const hexOf = (tag: string): string => toHex(iccObject(application, tag) ?? new Uint8Array());
    this.#udkAc = keys.slice(0, UDK_BYTES);
    this.#atc = applicationTransactionCounter;
    this.#facts = {
      ...{ pan, expiryYymm },
      panSequenceNumber: hexOf(TAG_5F34_PAN_SEQUENCE_NUMBER),
      track2: hexOf(TAG_57_TRACK_2_EQUIVALENT_DATA).replace(/F+$/, ''),
    };
  }

  get pan(): string {
    return this.#facts.pan;
  }

  /** Field 55 and card data of the next payment. */
  pay(asked: {
    readonly interface: CardInterface;
    readonly amountMinor: string;
    readonly dateYymmdd: string;
    readonly withPin: boolean;
  }): CardPayment {
    const { amountMinor, dateYymmdd, withPin } = asked;
    this.#atc += 1;
    const atc = uintToBytes(this.#atc, 2);
    const isContact = asked.interface === 'contact';
    const version = isContact ? CRYPTOGRAM_VERSION_01 : CRYPTOGRAM_VERSION_17;
    // Floor limit exceeded; online PIN entered.
    const tvr = withPin ? '0000048000' : '0000008000';
    const cvmResults = withPin ? '020300' : '1F0302';
    const values = new Map<string, Uint8Array>(
      Object.entries({
        '9F27': '80',
        '9F10': `0701${toHex(Uint8Array.of(version))}${CVR}01`,
        '9F37': toHex(systemRandom.bytes(4)),
        '9F36': toHex(atc),
        '95': tvr,
        '9A': dateYymmdd,
        '9C': '00',
        '9F02': amountMinor.padStart(12, '0'),
        '5F2A': '0156',
        '9F1A': '0156',
        '9F03': '000000000000',
        '9F34': cvmResults,
        ...FIXED[asked.interface],
      }).map(([tag, hex]) => [tag, fromHex(hex)]),
    );
    const key = deriveSessionKey(this.#udkAc, atc);
    values.set('9F26', applicationCryptogram(key, assembleAcInput(values)));
    const field55 = concatBytes(...[...values].map(([tag, value]) => encodeTlv(tag, value)));
    return { ...this.#facts, ...asked, tvr, cvmResults, field55: toHex(field55) };
  }
}

/** The cards of these names in a system's folder. */
export function openSimulatedCards(
  dataDir: string,
  names: readonly string[],
): readonly SimulatedCard[] {
  const textOf = (name: string): string =>
    readFileSync(join(dataDir, 'cards', `${name}.json`), 'utf8');
  return names.map((name) => new SimulatedCard(textOf(name)));
}
