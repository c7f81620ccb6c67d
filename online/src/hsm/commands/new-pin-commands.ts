/** New PINs: their check values, and their ways to the card and to the cardholder. */
import { constants, publicEncrypt } from 'node:crypto';
import { asciiToBytes, fromHex, maskPan, toHex } from '@tapnpay/protocol/bytes';
import { pinVerificationValue } from '@tapnpay/protocol/crypto';
import {
  encipherPinChange,
  IAD_ALGORITHM_3DES,
  IAD_ALGORITHM_SM4,
} from '@tapnpay/protocol/emv/data';
import { countShape, hexShape, type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { HsmError } from '../errors.ts';
import type { KeyNeed } from '../keys.ts';
import { LAB_LABEL } from '../profile.ts';
import { sessionKeyOf } from './card-session.ts';
import { cardAlgorithm, cardKey } from './cryptogram-commands.ts';
import { SPKI_BYTES_MAX, transportKey } from './key-commands.ts';
import { blockOfPin, pinBlockShape, pinFormatShape, pinKey, pinOfBlock } from './pin-blocks.ts';
import {
  type Command,
  cardShape,
  command,
  exactHex,
  keyBlockShape,
  optionalShape,
  panShape,
  pvkiShape,
} from './rule.ts';

const PIN_DIGITS = 6;
const PIN_DIGITS_MIN = 4;
const PIN_DIGITS_MAX = 12;

/** What the issuer keeps of a PIN that came in a block. */
export const generatePvvCommand: Command<'generatePvv'> = command<'generatePvv', 'pin' | 'pvk'>(
  'generatePvv',
  {
    callers: ['issuer'],
    fields: {
      pinKey: keyBlockShape,
      pinFormat: optionalShape(pinFormatShape),
      pvk: keyBlockShape,
      pinBlock: pinBlockShape,
      pan: panShape,
      pvki: pvkiShape,
    },
    mechanisms: () => ['pinBlocks', 'pvv'],
    keys: (request) => ({
      pin: pinKey(request.pinKey, request.pinFormat),
      pvk: pinVerificationKey(request.pvk),
    }),
    run: ({ context, request, keys }) => {
      const { pan, pinBlock, pvki, pinFormat: format = 0 } = request;
      const pin = newPin(pinOfBlock(context, keys.pin, { format, pinBlock, pan }));
      return { pvv: pinVerificationValue(keys.pvk, { pan, pvki, pin }) };
    },
  },
);

/** A PIN that nobody chose. */
export const generatePinCommand: Command<'generatePin'> = command<'generatePin', 'pin' | 'pvk'>(
  'generatePin',
  {
    callers: ['issuer', 'bureau'],
    fields: {
      pvk: keyBlockShape,
      pan: panShape,
      pvki: pvkiShape,
      pinDigits: optionalShape(countShape(PIN_DIGITS_MAX)),
      pinKey: optionalShape(keyBlockShape),
      pinFormat: optionalShape(pinFormatShape),
      printerKeySpki: optionalShape(hexShape({ min: 1, max: SPKI_BYTES_MAX })),
    },
    mechanisms: ({ printerKeySpki }) =>
      printerKeySpki === undefined ? ['pinBlocks', 'pvv'] : ['pinBlocks', 'pvv', 'rsaOaep'],
    keys: (request, caller) => {
      if (request.printerKeySpki !== undefined && caller !== 'bureau') {
        throw new HsmError('ERR_HSM_CALLER', `${caller} may not have a letter written`);
      }
      const pvk = pinVerificationKey(request.pvk);
      const needs =
        request.pinKey === undefined ? {} : { pin: pinKey(request.pinKey, request.pinFormat) };
      return { pvk, ...needs } as { pvk: KeyNeed; pin: KeyNeed };
    },
    run: ({ context, request, keys }) => {
      const { pan, pvki, pinDigits = PIN_DIGITS, pinFormat: format = 0 } = request;
      const pin = randomPin(context, pinDigits);
      const key: Uint8Array | undefined = keys.pin;
      const { printerKeySpki } = request;
      return {
        pvv: pinVerificationValue(keys.pvk, { pan, pvki, pin }),
        pinBlock: key === undefined ? null : blockOfPin(context, key, { pin, pan, format }),
        letter:
          printerKeySpki === undefined ? null : sealedLetter(context, printerKeySpki, { pan, pin }),
      };
    },
  },
);

/** Data of PIN CHANGE/UNBLOCK before its MAC. @see PBOC3 P5 (issuer script commands) */
export const generatePinChangeCommand: Command<'generatePinChange'> = command<
  'generatePinChange',
  'imk' | 'pin'
>('generatePinChange', {
  callers: ['issuer'],
  fields: {
    algorithm: cardAlgorithm,
    imkEnc: keyBlockShape,
    card: cardShape,
    atc: exactHex(2),
    pinKey: keyBlockShape,
    pinFormat: optionalShape(pinFormatShape),
    pinBlock: pinBlockShape,
  },
  mechanisms: () => ['pinBlocks', 'emvCryptograms'],
  keys: (request) => ({
    imk: cardKey(request.imkEnc, KeyUsage.issuerMasterEnc, request.algorithm),
    pin: pinKey(request.pinKey, request.pinFormat),
  }),
  run: ({ context, request, keys }) => {
    const { card, pinBlock, pinFormat: format = 0 } = request;
    const pin = newPin(pinOfBlock(context, keys.pin, { format, pinBlock, pan: card.pan }));
    const enciphered = encipherPinChange(context.ciphers, {
      algorithm: request.algorithm === '4' ? IAD_ALGORITHM_SM4 : IAD_ALGORITHM_3DES,
      sessionKeyEnc: sessionKeyOf(context, keys.imk, request),
      block: fromHex(`2${pin.length.toString(16)}${pin}`.padEnd(16, 'F')),
    });
    return { data: toHex(enciphered) };
  },
});

function pinVerificationKey(block: KeyBlock): KeyNeed {
  return { block, usages: [KeyUsage.pinVerification] };
}

function newPin(pin: string | null): string {
  if (pin !== null) return pin;
  throw new HsmError('ERR_HSM_PIN', 'the PIN block cannot be used');
}

/** Digits without bias: a byte above 249 is drawn again. */
function randomPin({ random }: HsmContext, digits: number): string {
  if (digits < PIN_DIGITS_MIN) {
    throw new HsmError('ERR_HSM_PARAMETER', `a PIN has at least ${PIN_DIGITS_MIN} digits`);
  }
  let pin = '';
  while (pin.length < digits) {
    const [byte = 255] = random.bytes(1);
    if (byte < 250) pin += String(byte % 10);
  }
  return pin;
}

/** The letter's text under the printer's key; a laboratory's HSM alone writes letters. */
function sealedLetter(
  { label }: HsmContext,
  printerKeySpki: string,
  { pan, pin }: { readonly pan: string; readonly pin: string },
): string {
  if (label !== LAB_LABEL) {
    throw new HsmError('ERR_HSM_CALLER', 'letters are written in a laboratory alone');
  }
  const options = {
    key: transportKey(printerKeySpki),
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
  };
  return toHex(publicEncrypt(options, asciiToBytes(`${LAB_LABEL} ${maskPan(pan)} PIN ${pin}`)));
}
