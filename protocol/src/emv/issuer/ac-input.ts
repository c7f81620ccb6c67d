/** The bytes under a CVN 01 application cryptogram, from the values of field 55. */
import { concatBytes } from '../../bytes/index.ts';
import {
  AC_INPUT_CVN_01,
  CRYPTOGRAM_VERSION_01,
  decodeIad,
  IAD_ALGORITHM_3DES,
  TAG_9F10_ISSUER_APPLICATION_DATA,
} from '../data/index.ts';
import { EmvIssuerError } from './errors.ts';

/**
 * The 37 bytes that a CVN 01 cryptogram covers; the CVR comes from 9F10.
 * @throws EmvIssuerError `ERR_EMV_AC_INPUT` naming the tag that is missing, has a wrong length or
 * announces another cryptogram version; EmvDataError `ERR_EMV_IAD` for a malformed 9F10.
 * @see PBOC3 P5 (CVN 01)
 */
export function assembleAcInput(values: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts = AC_INPUT_CVN_01.map(({ tag, lengthBytes }) => {
    const value = required(values, tag);
    if (value.length !== lengthBytes) {
      throw inputError(tag, `has ${value.length} bytes, ${lengthBytes} needed`);
    }
    return value;
  });
  const iad = decodeIad(required(values, TAG_9F10_ISSUER_APPLICATION_DATA));
  if (iad.cryptogramVersion !== CRYPTOGRAM_VERSION_01) {
    throw inputError(TAG_9F10_ISSUER_APPLICATION_DATA, `has version ${iad.cryptogramVersion}`);
  }
  if (iad.algorithm !== IAD_ALGORITHM_3DES) {
    throw inputError(TAG_9F10_ISSUER_APPLICATION_DATA, `has algorithm ${iad.algorithm}`);
  }
  return concatBytes(...parts, iad.cvr);
}

function required(values: ReadonlyMap<string, Uint8Array>, tag: string): Uint8Array {
  const value = values.get(tag);
  if (!value) throw inputError(tag, 'is missing');
  return value;
}

function inputError(tag: string, why: string): EmvIssuerError {
  return new EmvIssuerError('ERR_EMV_AC_INPUT', `${tag} ${why}`, { tag });
}
