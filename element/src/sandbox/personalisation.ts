/** Keys among personalisation data: the host takes them, the applet gets their names. */
import { toHex } from '@tapnpay/protocol/bytes';
import type { AppletData, AppletGrouping, KeyKind } from '@tapnpay/protocol/globalplatform/applet';
import type { DataGrouping } from '@tapnpay/protocol/globalplatform/data';
import type { PersonalisationData } from '@tapnpay/protocol/globalplatform/oncard';
import { decodeTlv, type Tlv } from '@tapnpay/protocol/iso7816';
import { SandboxError } from './errors.ts';
import type { KeyRing } from './keys.ts';

/** Groupings of a key: what it is, then the key. @see GPCS 2.3.1 §11.11 */
const DGI_00B9_KEY_CONTROL = 0x00b9;
const DGI_8113_KEY = 0x8113;
/** Objects of the control grouping. */
const TAG_B9_CONTROL_TEMPLATE = 'B9';
const TAG_80_KEY_TYPE = '80';
const TAG_81_KEY_BYTES = '81';
const TAG_82_KEY_IDENTIFIER = '82';
const TAG_83_KEY_VERSION = '83';
const TAG_84_CHECK_VALUE = '84';
const KINDS: Readonly<Record<string, KeyKind>> = {
  ...{ '80': 'tdes', '82': 'tdes', '84': 'tdes', '88': 'aes', '90': 'hmac', '91': 'hmac' },
};

/**
 * The data as the applet gets it. A key is kept as `key.<version>.<identifier>`.
 * @throws SandboxError `ERR_APPLET_KEY` for a key without its control grouping or of no known kind.
 */
export function withoutKeys(data: PersonalisationData, keys: KeyRing): AppletData {
  if (data.form !== 'groupings') return { form: data.form, bytes: data.bytes, groupings: [] };
  let control: DataGrouping | null = null;
  const groupings: AppletGrouping[] = [];
  for (const grouping of data.groupings) {
    const { identifier, value } = grouping;
    if (identifier !== DGI_8113_KEY) {
      control = identifier === DGI_00B9_KEY_CONTROL ? grouping : null;
      groupings.push({ identifier, value });
      continue;
    }
    if (control === null) throw wrongKey('a key without its control grouping');
    groupings.push({ identifier, key: takeKey(keys, control.value, value) });
    control = null;
  }
  return { form: 'groupings', bytes: new Uint8Array(), groupings };
}

function takeKey(keys: KeyRing, control: Uint8Array, bytes: Uint8Array): string {
  const objects = objectsOf(control);
  const fieldOf = (wanted: string): Uint8Array =>
    objects.find(({ tag }) => tag === wanted)?.value ?? new Uint8Array();
  const hexOf = (wanted: string): string => {
    const found = fieldOf(wanted);
    return found.length === 1 ? toHex(found) : '';
  };
  // A key that came enciphered is filled up to whole blocks.
  const [lengthBytes = bytes.length] = fieldOf(TAG_81_KEY_BYTES);
  if (lengthBytes > bytes.length) throw wrongKey('a key shorter than it says');
  const kind = KINDS[hexOf(TAG_80_KEY_TYPE)];
  const [version, identifier] = [hexOf(TAG_83_KEY_VERSION), hexOf(TAG_82_KEY_IDENTIFIER)];
  if (!kind || version === '' || identifier === '') throw wrongKey('a key of no known kind');
  const name = `key.${version}.${identifier}`;
  const usages = kind === 'hmac' ? (['mac'] as const) : (['mac', 'encipher', 'decipher'] as const);
  keys.put(name, { kind, usages }, bytes.subarray(0, lengthBytes), fieldOf(TAG_84_CHECK_VALUE));
  return name;
}

function objectsOf(control: Uint8Array): readonly Tlv[] {
  try {
    const objects = decodeTlv(control);
    return objects.find(({ tag }) => tag === TAG_B9_CONTROL_TEMPLATE)?.children ?? objects;
  } catch {
    throw wrongKey('a control grouping that is no TLV');
  }
}

function wrongKey(why: string): SandboxError {
  return new SandboxError('ERR_APPLET_KEY', why);
}
