/**
 * PINs: translated and compared, never shown. Whatever is wrong about a block has one error, so
 * that the commands are no oracle. @see ISO 9564-1 §9
 */
import { asciiToBytes, equalBytes } from '@tapnpay/protocol/bytes';
import { DUKPT_KSN_BYTES, PVV_DIGITS, pinVerificationValue } from '@tapnpay/protocol/crypto';
import { type HsmCaller, KeyUsage, type Shape, textShape } from '@tapnpay/protocol/wire';
import { HsmError } from '../errors.ts';
import type { KeyNeed } from '../keys.ts';
import {
  blockOfPin,
  elementPinKey,
  pinBlockShape,
  pinFormatShape,
  pinKey,
  pinOfBlock,
} from './pin-blocks.ts';
import {
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

/** PVVs of the longest PIN. */
const PVVS_MAX = 3;

/** Where each caller's blocks come from: the gateway's from elements, the switch's from a zone. */
const SOURCE_OF_CALLER: Partial<Readonly<Record<HsmCaller, 'element' | 'zone'>>> = {
  gateway: 'element',
  switch: 'zone',
};

type Source = RequestOf<'translatePin'>['from'];
const sourceShape: Shape<Source> = strictShape<Source>({
  key: keyBlockShape,
  format: pinFormatShape,
  ksn: optionalShape(exactHex(DUKPT_KSN_BYTES)),
});

/** From an element's key or a zone's PIN key to another zone's PIN key; the PAN stays. */
export const translatePinCommand: Command<'translatePin'> = command<'translatePin', 'from' | 'to'>(
  'translatePin',
  {
    callers: ['gateway', 'switch'],
    fields: {
      from: sourceShape,
      toKey: keyBlockShape,
      toFormat: optionalShape(pinFormatShape),
      pan: panShape,
      pinBlock: pinBlockShape,
    },
    mechanisms: ({ from }) => (from.ksn === undefined ? ['pinBlocks'] : ['pinBlocks', 'aesDukpt']),
    keys: ({ from, toKey, toFormat }, caller) => ({
      from: sourceKey(from, caller),
      to: pinKey(toKey, toFormat),
    }),
    run: ({ context, request, keys }) => {
      const { from, pan, pinBlock, toFormat = 0 } = request;
      const { format, ksn } = from;
      const key = ksn === undefined ? keys.from : elementPinKey(context, keys.from, ksn);
      const pin = key === null ? null : pinOfBlock(context, key, { format, pinBlock, pan });
      if (pin === null) throw new HsmError('ERR_HSM_PIN', 'the PIN block cannot be translated');
      return { pinBlock: blockOfPin(context, keys.to, { pin, pan, format: toFormat }) };
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
      pinFormat: optionalShape(pinFormatShape),
      pvk: keyBlockShape,
      pinBlock: pinBlockShape,
      pan: panShape,
      pvki: pvkiShape,
      pvv: textShape(PVVS_MAX * PVV_DIGITS, /^(?:[0-9]{4}){1,3}$/),
    },
    mechanisms: () => ['pinBlocks', 'pvv'],
    keys: (request) => ({
      pin: pinKey(request.pinKey, request.pinFormat),
      pvk: { block: request.pvk, usages: [KeyUsage.pinVerification] },
    }),
    run: ({ context, request, keys }) => {
      const { pan, pinBlock, pvki, pvv, pinFormat: format = 0 } = request;
      const pin = pinOfBlock(context, keys.pin, { format, pinBlock, pan });
      // The same work for a block that does not decode as for a wrong PIN.
      const found = pinVerificationValue(keys.pvk, { pan, pvki, pin: pin ?? '000000' });
      const same = equalBytes(asciiToBytes(found), asciiToBytes(pvv));
      return { valid: pin !== null && same };
    },
  },
);

function sourceKey(from: Source, caller: HsmCaller): KeyNeed {
  const source = from.ksn === undefined ? 'zone' : 'element';
  if (SOURCE_OF_CALLER[caller] !== source) {
    const text = `${caller} may not translate a PIN that comes from the ${source}`;
    throw new HsmError('ERR_HSM_CALLER', text);
  }
  if (source === 'zone') return pinKey(from.key, from.format);
  if (from.format !== 4) {
    throw new HsmError('ERR_HSM_PARAMETER', 'a key serial number comes with format 4 alone');
  }
  return { block: from.key, usages: [KeyUsage.baseDerivation] };
}
