/** Card production life cycle data 9F7F: who made the chip, and when. @see GPCS 2.3.1 §H.6 */
import { bytesToUint, toHex } from '../../bytes/index.ts';
import { assertBytes } from './errors.ts';

/** Length of the data without tag and length. */
export const CPLC_BYTES = 42;

/** Names and lengths of the fields, in order. */
const FIELDS: readonly (readonly [name: string, lengthBytes: number])[] = [
  ['icFabricator', 2],
  ['icType', 2],
  ['operatingSystemIdentifier', 2],
  ['operatingSystemReleaseDate', 2],
  ['operatingSystemReleaseLevel', 2],
  ['icFabricationDate', 2],
  ['icSerialNumber', 4],
  ['icBatchIdentifier', 2],
  ['icModuleFabricator', 2],
  ['icModulePackagingDate', 2],
  ['iccManufacturer', 2],
  ['icEmbeddingDate', 2],
  ['icPrePersonaliser', 2],
  ['icPrePersonalisationDate', 2],
  ['icPrePersonalisationEquipment', 4],
  ['icPersonaliser', 2],
  ['icPersonalisationDate', 2],
  ['icPersonalisationEquipment', 4],
];

/** One field; `date` is year digit and day of the year where the field is a date that says one. */
export type CplcField = {
  readonly name: string;
  readonly offsetBytes: number;
  readonly value: string;
  readonly date: { readonly yearDigit: number; readonly dayOfYear: number } | null;
};

/**
 * The fields in order. QUIRK: cards write 0000, FFFF or anything into dates; such a date is null.
 * @throws GlobalPlatformError `ERR_GP_LENGTH` unless there are 42 bytes.
 */
export function decodeCplc(bytes: Uint8Array): readonly CplcField[] {
  assertBytes('CPLC data', bytes, [CPLC_BYTES]);
  let offset = 0;
  return FIELDS.map(([name, lengthBytes]) => {
    const part = bytes.subarray(offset, offset + lengthBytes);
    const field = {
      name,
      offsetBytes: offset,
      value: toHex(part),
      date: name.endsWith('Date') ? dateOf(part) : null,
    };
    offset += lengthBytes;
    return field;
  });
}

function dateOf(part: Uint8Array): CplcField['date'] {
  const digits = toHex(part);
  if (!/^[0-9]{4}$/.test(digits)) return null;
  const dayOfYear = Number(digits.slice(1));
  if (dayOfYear < 1 || dayOfYear > 366) return null;
  return { yearDigit: bytesToUint(part) >> 12, dayOfYear };
}
