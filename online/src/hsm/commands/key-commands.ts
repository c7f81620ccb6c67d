/** Making, forming, importing and handing over keys; none of these shows a clear key. */
import { constants, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto';
import { toHex, xorBytes } from '@tapnpay/protocol/bytes';
import { aesDukptInitialKey, kcvAes, tdesDecrypt, tdesEncrypt } from '@tapnpay/protocol/crypto';
import { hexShape, KeyUsage, listShape, oneOfShape, type Shape } from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { HsmError } from '../errors.ts';
import { keyCheckValue, randomKey, withOddParity, wrapKey } from '../keys.ts';
import { KEY_BYTES, KEY_RULES, LINE_KEY_USAGES } from '../profile.ts';
import {
  bytesOf,
  type Command,
  command,
  exactHex,
  keyBlockShape,
  noKeys,
  optionalShape,
} from './rule.ts';

const COMPONENTS_MIN = 2;
const COMPONENTS_MAX = 3;
/** Smallest key that an initial key may leave under. */
const TRANSPORT_KEY_BITS_MIN = 2048;
const SPKI_BYTES_MAX = 1024;

const anyUsage: Shape<KeyUsage> = oneOfShape(...Object.values(KeyUsage));
const algorithm: Shape<'T' | 'A'> = oneOfShape('T', 'A');

/** Who this HSM is. */
export const statusCommand: Command<'status'> = command('status', {
  callers: ['gateway', 'switch', 'issuer', 'bureau', 'ceremony'],
  fields: {},
  keys: noKeys,
  run: ({ context: { party, masterKeyKcv, label } }) => ({ party, masterKeyKcv, label }),
});

/** XOR of the components of several people makes a key that none of them knows. */
export const formKeyCommand: Command<'formKey'> = command('formKey', {
  callers: ['ceremony'],
  fields: {
    usage: anyUsage,
    algorithm,
    components: listShape(exactHex(KEY_BYTES), COMPONENTS_MAX),
  },
  keys: noKeys,
  run: ({ context, request }) => {
    assertAlgorithm(request.usage, request.algorithm);
    if (request.components.length < COMPONENTS_MIN) {
      throw new HsmError('ERR_HSM_PARAMETER', `a key has at least ${COMPONENTS_MIN} components`);
    }
    const key = request.components.map(bytesOf).reduce(xorBytes);
    return wrapKey(context, request.usage, adjusted(request.usage, key));
  },
});

/** A new working key, under the local master key and, for the other end, under the zone key. */
export const generateKeyCommand: Command<'generateKey'> = command<'generateKey', 'zone'>(
  'generateKey',
  {
    callers: ['switch'],
    fields: { usage: anyUsage, algorithm, exportUnder: optionalShape(keyBlockShape) },
    keys: ({ exportUnder }) =>
      (exportUnder === undefined ? {} : { zone: [exportUnder, KeyUsage.zoneMaster] }) as {
        zone: [string, KeyUsage];
      },
    run: ({ context, request: { usage, algorithm: wanted }, keys }) => {
      assertLineKey(usage);
      assertAlgorithm(usage, wanted);
      const key = randomKey(context, usage);
      const zone: Uint8Array | undefined = keys.zone;
      const enciphered = zone === undefined ? null : toHex(tdesEncrypt(zone, key));
      return { ...wrapKey(context, usage, key), enciphered };
    },
  },
);

/** A working key that came in field 96; a wrong check value leaves no key behind. */
export const importKeyCommand: Command<'importKey'> = command('importKey', {
  callers: ['gateway', 'switch', 'issuer'],
  fields: {
    usage: anyUsage,
    under: keyBlockShape,
    enciphered: exactHex(KEY_BYTES),
    kcv: exactHex(4),
  },
  keys: ({ under }) => ({ zone: [under, KeyUsage.zoneMaster] }),
  run: ({ context, request: { usage, enciphered, kcv }, keys }) => {
    assertLineKey(usage);
    const key = tdesDecrypt(keys.zone, bytesOf(enciphered));
    if (keyCheckValue(context, usage, key) !== kcv) {
      throw new HsmError('ERR_HSM_KCV', 'the check value does not belong to the key');
    }
    return wrapKey(context, usage, adjusted(usage, key));
  },
});

/**
 * The initial key of one element, once: whoever asks for it again after enrolment is not the
 * element. @see X9.24-3:2017 §6.3, RFC 8017 §7.1
 */
export const exportInitialKeyCommand: Command<'exportInitialKey'> = command('exportInitialKey', {
  callers: ['gateway'],
  fields: {
    baseKey: keyBlockShape,
    initialKeyId: exactHex(8),
    publicKeySpki: hexShape({ min: 1, max: SPKI_BYTES_MAX }),
  },
  keys: ({ baseKey }) => ({ base: [baseKey, KeyUsage.baseDerivation] }),
  run: ({ context, request: { initialKeyId, publicKeySpki }, keys }) => {
    const publicKey = transportKey(publicKeySpki);
    if (!context.initialKeys.claim(initialKeyId)) {
      throw new HsmError('ERR_HSM_PARAMETER', 'this initial key was handed over before');
    }
    return sealInitialKey(context, publicKey, {
      base: keys.base,
      initialKeyId: bytesOf(initialKeyId),
    });
  },
});

function sealInitialKey(
  context: HsmContext,
  publicKey: KeyObject,
  source: { readonly base: Uint8Array; readonly initialKeyId: Uint8Array },
): { readonly enciphered: string; readonly kcv: string } {
  const { ciphers } = context;
  const initialKey = aesDukptInitialKey(ciphers, source.base, source.initialKeyId);
  const options = {
    key: publicKey,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
  };
  return {
    enciphered: toHex(publicEncrypt(options, initialKey)),
    kcv: kcvAes(ciphers, initialKey),
  };
}

function transportKey(spkiHex: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spkiHex, 'hex'), format: 'der', type: 'spki' });
  } catch {
    throw new HsmError('ERR_HSM_PARAMETER', 'the transport key is no SPKI');
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < TRANSPORT_KEY_BITS_MIN) {
    const text = `the transport key is no RSA key of ${TRANSPORT_KEY_BITS_MIN} bits or more`;
    throw new HsmError('ERR_HSM_PARAMETER', text);
  }
  return key;
}

function assertLineKey(usage: KeyUsage): void {
  if (LINE_KEY_USAGES.includes(usage)) return;
  const text = `lines exchange keys of usage ${LINE_KEY_USAGES.join(' and ')} only`;
  throw new HsmError('ERR_HSM_KEY_USAGE', text, { usage });
}

function assertAlgorithm(usage: KeyUsage, wanted: 'T' | 'A'): void {
  if (KEY_RULES[usage].algorithm === wanted) return;
  throw new HsmError('ERR_HSM_PARAMETER', `keys of usage ${usage} are not of algorithm ${wanted}`);
}

function adjusted(usage: KeyUsage, key: Uint8Array): Uint8Array {
  return KEY_RULES[usage].algorithm === 'T' ? withOddParity(key) : key;
}
