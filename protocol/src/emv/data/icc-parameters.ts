/**
 * The fixed groupings that card and data preparation read alike, and the rules of records that a
 * transaction fills in.
 *
 * Which side of a card does SM: `isSmChosen`. Records that change with each tap hold a placeholder:
 * a record named by the contactless AFL with 9F69 (8 bytes), 9F4B (as long as the key) or both is
 * given out with this transaction's values in their place, and lengths never change.
 */
import { byteAt } from '../../bytes/index.ts';
import { IAD_ALGORITHM_3DES, IAD_ALGORITHM_SM4 } from './cryptogram.ts';
import * as ids from './dgi.ts';
import { EmvDataError } from './errors.ts';
import { type IccApplication, iccDgi } from './icc-image.ts';

/** How cryptograms and issuer application data are made (grouping 0D02). */
export type CryptogramParameters = {
  readonly derivationKeyIndex: number;
  readonly contactVersion: number;
  readonly contactlessVersion: number;
  /** Algorithm when the terminal has no say: `IAD_ALGORITHM_3DES` or `IAD_ALGORITHM_SM4`. */
  readonly algorithm: number;
  /** 00: no issuer discretionary data; 01: e-cash balance and its MAC. @see PBOC3 P5 (9F10) */
  readonly discretionaryDataId: number;
};

/** Length of grouping 0D02. */
export const CRYPTOGRAM_PARAMETERS_BYTES = 5;

/** Value of grouping 0D02. */
export function encodeCryptogramParameters(parameters: CryptogramParameters): Uint8Array {
  return Uint8Array.of(
    parameters.derivationKeyIndex,
    parameters.contactVersion,
    parameters.contactlessVersion,
    parameters.algorithm,
    parameters.discretionaryDataId,
  );
}

/** @throws EmvDataError `ERR_DGI_LENGTH` unless there are 5 bytes. */
export function decodeCryptogramParameters(value: Uint8Array): CryptogramParameters {
  if (value.length !== CRYPTOGRAM_PARAMETERS_BYTES) {
    throw new EmvDataError('ERR_DGI_LENGTH', `0D02 has ${value.length} bytes and needs 5`, {
      id: ids.DGI_CRYPTOGRAM_PARAMETERS,
    });
  }
  return {
    derivationKeyIndex: byteAt(value, 0),
    contactVersion: byteAt(value, 1),
    contactlessVersion: byteAt(value, 2),
    algorithm: byteAt(value, 3),
    discretionaryDataId: byteAt(value, 4),
  };
}

/**
 * Whether a transaction runs on SM algorithms: the card has SM4 keys, and the terminal says that it
 * supports SM (DF69 first byte 01) or the card has nothing else. @see PBOC3 P5 (DF69)
 */
export function isSmChosen(
  application: Pick<IccApplication, 'dgis'>,
  terminalIndicator: Uint8Array | undefined,
): boolean {
  if (iccDgi(application, ids.DGI_UDK_SM4) === undefined) return false;
  return terminalIndicator?.[0] === 0x01 || iccDgi(application, ids.DGI_UDK_3DES) === undefined;
}

/** Algorithm byte of issuer application data for a transaction. */
export function iadAlgorithm(isSm: boolean): number {
  return isSm ? IAD_ALGORITHM_SM4 : IAD_ALGORITHM_3DES;
}

/** How a transaction runs, as far as the answer to GET PROCESSING OPTIONS depends on it. */
export type OptionsChoice = {
  readonly interface: 'contact' | 'contactless';
  readonly isSm: boolean;
  /** The card pays from its purse: the answer's AFL names the record with 9F74. */
  readonly isElectronicCash: boolean;
};

/**
 * Grouping ids by preference: the most special one that is personalised holds AIP ‖ AFL. E-cash
 * gives way before SM does, for an AFL of the other algorithm would break data authentication.
 */
const OPTIONS_IDS = {
  contact: {
    plain: [ids.DGI_CONTACT_OPTIONS_EC, ids.DGI_CONTACT_OPTIONS],
    sm: [ids.DGI_CONTACT_OPTIONS_EC_SM, ids.DGI_CONTACT_OPTIONS_SM],
  },
  contactless: {
    plain: [ids.DGI_CONTACTLESS_OPTIONS_EC, ids.DGI_CONTACTLESS_OPTIONS],
    sm: [ids.DGI_CONTACTLESS_OPTIONS_EC_SM, ids.DGI_CONTACTLESS_OPTIONS_SM],
  },
} as const;

/** AIP ‖ AFL of a transaction, or undefined when nothing is personalised for it. */
export function processingOptions(
  application: Pick<IccApplication, 'dgis'>,
  choice: OptionsChoice,
): Uint8Array | undefined {
  const preferred = OPTIONS_IDS[choice.interface][choice.isSm ? 'sm' : 'plain'];
  const usable = choice.isElectronicCash ? preferred : preferred.slice(1);
  return usable.map((id) => iccDgi(application, id)).find((value) => value !== undefined);
}
