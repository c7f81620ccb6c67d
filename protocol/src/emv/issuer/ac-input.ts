/** The bytes under an application cryptogram, CVN 01 or 17, from the values of field 55. */
import { concatBytes } from '../../bytes/index.ts';
import type { DolEntry } from '../../iso7816/index.ts';
import {
  AC_INPUT_CVN_01,
  AC_INPUT_CVN_17,
  CRYPTOGRAM_VERSION_01,
  CRYPTOGRAM_VERSION_17,
  decodeIad,
  IAD_ALGORITHM_3DES,
  IAD_ALGORITHM_SM4,
  TAG_9F10_ISSUER_APPLICATION_DATA,
} from '../data/index.ts';
import { EmvIssuerError } from './errors.ts';

/** What a cryptogram version covers: data objects, then this part of the CVR. */
type Coverage = {
  readonly entries: readonly DolEntry[];
  readonly cvrPart: readonly [start: number, end: number];
};

const COVERAGE: ReadonlyMap<number, Coverage> = new Map([
  [CRYPTOGRAM_VERSION_01, { entries: AC_INPUT_CVN_01, cvrPart: [0, 4] }],
  [CRYPTOGRAM_VERSION_17, { entries: AC_INPUT_CVN_17, cvrPart: [1, 2] }],
]);

/**
 * The bytes that a cryptogram covers: 37 of version 01 (contact), 13 of version 17 (qPBOC); version
 * and CVR come from 9F10. What the version covers not, the issuer must not believe for the
 * cryptogram's sake: version 17 leaves out country, date, type, TVR and AIP.
 * @throws EmvIssuerError `ERR_EMV_AC_INPUT` naming the tag that is missing, has a wrong length or
 * announces another cryptogram version; EmvDataError `ERR_EMV_IAD` for a malformed 9F10.
 * @see PBOC3 P5 (CVN 01); vectors/pboc/cvn17.json
 */
export function assembleAcInput(values: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const iad = decodeIad(required(values, TAG_9F10_ISSUER_APPLICATION_DATA));
  const coverage = COVERAGE.get(iad.cryptogramVersion);
  if (!coverage) {
    throw inputError(TAG_9F10_ISSUER_APPLICATION_DATA, `has version ${iad.cryptogramVersion}`);
  }
  // The bytes are the same under either cipher; who checks them takes the key that goes with it.
  if (iad.algorithm !== IAD_ALGORITHM_3DES && iad.algorithm !== IAD_ALGORITHM_SM4) {
    throw inputError(TAG_9F10_ISSUER_APPLICATION_DATA, `has algorithm ${iad.algorithm}`);
  }
  const parts = coverage.entries.map(({ tag, lengthBytes }) => {
    const value = required(values, tag);
    if (value.length !== lengthBytes) {
      throw inputError(tag, `has ${value.length} bytes, ${lengthBytes} needed`);
    }
    return value;
  });
  return concatBytes(...parts, iad.cvr.subarray(...coverage.cvrPart));
}

function required(values: ReadonlyMap<string, Uint8Array>, tag: string): Uint8Array {
  const value = values.get(tag);
  if (!value) throw inputError(tag, 'is missing');
  return value;
}

function inputError(tag: string, why: string): EmvIssuerError {
  return new EmvIssuerError('ERR_EMV_AC_INPUT', `${tag} ${why}`, { tag });
}
