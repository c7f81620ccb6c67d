/**
 * PINs: translated and compared, never shown. The host gives one PAN for both sides of a
 * translation, the answer is always format 0, and whatever is wrong about a block has one error,
 * so that the commands are no oracle. @see ISO 9564-1 §9
 */
import { asciiToBytes, bytesToUint, equalBytes, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptInitialKey,
  aesDukptWorkingKey,
  CryptoError,
  DUKPT_INITIAL_KEY_ID_BYTES,
  DUKPT_KSN_BYTES,
  decipherPinBlockFormat4,
  PVV_DIGITS,
  pinBlockFormat0,
  pinOfBlockFormat0,
  pinVerificationValue,
  tdesDecrypt,
  tdesEncrypt,
} from '@tapnpay/protocol/crypto';
import { type HsmCaller, hexShape, KeyUsage, type Shape, textShape } from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { HsmError } from '../errors.ts';
import {
  bytesOf,
  type Command,
  command,
  exactHex,
  keyBlockShape,
  optionalShape,
  panShape,
  pvkiShape,
  type RequestOf,
  strictShape,
} from './rule.ts';

const FORMAT_0_BYTES = 8;
const FORMAT_4_BYTES = 16;

/** The one incoming format of each caller: from elements, or from another zone. */
const FORMAT_OF_CALLER: Partial<Readonly<Record<HsmCaller, 0 | 4>>> = { gateway: 4, switch: 0 };

type PinSource = RequestOf<'translatePin'>['from'];
const sourceShape: Shape<PinSource> = strictShape<PinSource>({
  key: keyBlockShape,
  format: (value, path) => {
    if (value === 0 || value === 4) return value;
    throw new HsmError('ERR_HSM_PARAMETER', `${path} is neither 0 nor 4`);
  },
  ksn: optionalShape(exactHex(DUKPT_KSN_BYTES)),
});

/** Format 4 under AES DUKPT, or format 0 under a zone's PIN key, -> format 0 under `toKey`. */
export const translatePinCommand: Command<'translatePin'> = command<'translatePin', 'from' | 'to'>(
  'translatePin',
  {
    callers: ['gateway', 'switch'],
    fields: {
      from: sourceShape,
      toKey: keyBlockShape,
      pan: panShape,
      pinBlock: hexShape({ min: FORMAT_0_BYTES, max: FORMAT_4_BYTES }),
    },
    keys: ({ from, toKey }, caller) => {
      assertFormat(from, caller);
      const usage = from.format === 4 ? KeyUsage.baseDerivation : KeyUsage.pinEncryption;
      return {
        from: { block: from.key, usages: [usage], algorithm: from.format === 4 ? 'A' : 'T' },
        to: { block: toKey, usages: [KeyUsage.pinEncryption], algorithm: 'T' },
      };
    },
    run: ({ context, request, keys }) => {
      const { pan } = request;
      const pin = clearPin(() =>
        request.from.format === 4
          ? pinOfElement(context, keys.from, request)
          : pinOfZone(keys.from, request),
      );
      if (pin === null) throw new HsmError('ERR_HSM_PIN', 'the PIN block cannot be translated');
      return { pinBlock: toHex(tdesEncrypt(keys.to, pinBlockFormat0(pin, pan))) };
    },
  },
);

/** Whether the PIN is the card's; a block that does not decode is a wrong PIN. */
export const verifyPinCommand: Command<'verifyPin'> = command<'verifyPin', 'pin' | 'pvk'>(
  'verifyPin',
  {
    callers: ['issuer'],
    fields: {
      pinKey: keyBlockShape,
      pvk: keyBlockShape,
      pinBlock: exactHex(FORMAT_0_BYTES),
      pan: panShape,
      pvki: pvkiShape,
      pvv: textShape(3 * PVV_DIGITS, /^(?:[0-9]{4}){1,3}$/),
    },
    keys: ({ pinKey, pvk }) => ({
      pin: { block: pinKey, usages: [KeyUsage.pinEncryption], algorithm: 'T' },
      pvk: { block: pvk, usages: [KeyUsage.pinVerification] },
    }),
    run: ({ request, keys }) => {
      const { pan, pvki, pvv } = request;
      const pin = clearPin(() => pinOfZone(keys.pin, request));
      // The same work for a block that does not decode as for a wrong PIN.
      const found = pinVerificationValue(keys.pvk, { pan, pvki, pin: pin ?? '000000' });
      const same = equalBytes(asciiToBytes(found), asciiToBytes(pvv));
      return { valid: pin !== null && same };
    },
  },
);

function assertFormat(from: PinSource, caller: HsmCaller): void {
  if (FORMAT_OF_CALLER[caller] !== from.format) {
    throw new HsmError('ERR_HSM_CALLER', `${caller} may not translate from format ${from.format}`);
  }
  if ((from.ksn !== undefined) !== (from.format === 4)) {
    throw new HsmError('ERR_HSM_PARAMETER', 'format 4 comes with a key serial number, 0 without');
  }
}

function pinOfElement(
  context: HsmContext,
  base: Uint8Array,
  request: RequestOf<'translatePin'>,
): string {
  const { ciphers } = context;
  const ksn = bytesOf(request.from.ksn ?? '');
  const initialKeyId = ksn.slice(0, DUKPT_INITIAL_KEY_ID_BYTES);
  const counter = bytesToUint(ksn.slice(DUKPT_INITIAL_KEY_ID_BYTES));
  const initialKey = aesDukptInitialKey(ciphers, base, initialKeyId);
  const key = aesDukptWorkingKey(ciphers, initialKey, initialKeyId, counter, 'pinEncryption');
  return decipherPinBlockFormat4(ciphers, key, bytesOf(request.pinBlock), request.pan);
}

function pinOfZone(
  key: Uint8Array,
  request: { readonly pinBlock: string; readonly pan: string },
): string {
  const block = bytesOf(request.pinBlock);
  if (block.length !== FORMAT_0_BYTES) {
    throw new CryptoError('ERR_CRYPTO_PIN_BLOCK', 'PIN block does not decode');
  }
  return pinOfBlockFormat0(tdesDecrypt(key, block), request.pan);
}

/** The PIN, or null for whatever was wrong. */
function clearPin(read: () => string): string | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof CryptoError) return null;
    throw thrown;
  }
}
