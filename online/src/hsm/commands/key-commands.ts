/** Making, forming, importing and handing over keys; none of these shows a clear key. */
import { constants, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto';
import { toHex, xorBytes } from '@tapnpay/protocol/bytes';
import { aesDukptInitialKey, kcvAes } from '@tapnpay/protocol/crypto';
import {
  hexShape,
  KeyAlgorithm,
  type KeyBlock,
  KeyUsage,
  listShape,
  oneOfShape,
  type Shape,
} from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { CIPHER_OF, type HsmMechanism } from '../driver.ts';
import { HsmError } from '../errors.ts';
import {
  adjusted,
  assertAlgorithm,
  decipherEcb,
  encipherEcb,
  type KeyKind,
  type KeyNeed,
  keyCheckValue,
  randomKey,
  wrapKey,
} from '../keys.ts';
import { KEY_BYTES, KEY_BYTES_MAX, LINE_KEY_USAGES } from '../profile.ts';
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
export const SPKI_BYTES_MAX = 1024;

/** What a key that arrives under a zone key of its own algorithm needs. */
const UNWRAP_OF: Readonly<Record<KeyAlgorithm, HsmMechanism>> = {
  T: 'tdesUnwrap',
  A: 'aesUnwrap',
  '4': 'sm4Unwrap',
};

const anyUsage: Shape<KeyUsage> = oneOfShape(...Object.values(KeyUsage));
const algorithm: Shape<KeyAlgorithm> = oneOfShape(...Object.values(KeyAlgorithm));

/** XOR of the components of several people makes a key that none of them knows. */
export const formKeyCommand: Command<'formKey'> = command('formKey', {
  callers: ['ceremony'],
  fields: {
    usage: anyUsage,
    algorithm,
    components: listShape(hexShape({ min: KEY_BYTES, max: KEY_BYTES_MAX }), COMPONENTS_MAX),
  },
  mechanisms: (request) => [CIPHER_OF[request.algorithm]],
  keys: noKeys,
  run: ({ context, request }) => {
    assertAlgorithm(request);
    if (request.components.length < COMPONENTS_MIN) {
      throw new HsmError('ERR_HSM_PARAMETER', `a key has at least ${COMPONENTS_MIN} components`);
    }
    if (new Set(request.components.map(({ length }) => length)).size > 1) {
      throw new HsmError('ERR_HSM_PARAMETER', 'components of a key have one length');
    }
    const key = request.components.map(bytesOf).reduce(xorBytes);
    return wrapKey(context, request, adjusted(request.algorithm, key));
  },
});

/** A new working key, under the local master key and, for the other end, under the zone key. */
export const generateKeyCommand: Command<'generateKey'> = command<'generateKey', 'zone'>(
  'generateKey',
  {
    callers: ['switch'],
    fields: { usage: anyUsage, algorithm, exportUnder: optionalShape(keyBlockShape) },
    mechanisms: (request) => [CIPHER_OF[request.algorithm]],
    keys: ({ exportUnder, ...kind }) => {
      assertLineKey(kind);
      return (exportUnder === undefined ? {} : { zone: zoneKey(exportUnder, kind) }) as {
        zone: KeyNeed;
      };
    },
    run: ({ context, request, keys }) => {
      const key = randomKey(context, request.algorithm);
      const zone: Uint8Array | undefined = keys.zone;
      const wrapped = wrapKey(context, request, key);
      if (zone === undefined) return { ...wrapped, enciphered: null };
      const enciphered = encipherEcb(context, request.algorithm, zone, key);
      return { ...wrapped, enciphered: toHex(enciphered) };
    },
  },
);

/** A working key that came in field 96; a wrong check value leaves no key behind. */
export const importKeyCommand: Command<'importKey'> = command('importKey', {
  callers: ['gateway', 'switch', 'issuer'],
  fields: {
    usage: anyUsage,
    algorithm: optionalShape(algorithm),
    under: keyBlockShape,
    enciphered: exactHex(KEY_BYTES),
    kcv: hexShape({ min: 4, max: 5 }),
  },
  mechanisms: ({ algorithm: wanted = 'T' }) => [UNWRAP_OF[wanted]],
  keys: ({ under, usage, algorithm: wanted = 'T' }) => ({
    zone: zoneKey(under, { usage, algorithm: wanted }),
  }),
  run: ({ context, request, keys }) => {
    const { usage, algorithm: wanted = 'T', kcv } = request;
    const enciphered = bytesOf(request.enciphered);
    const key = decipherEcb(context, wanted, keys.zone, enciphered);
    if (keyCheckValue(context, wanted, key) !== kcv) {
      throw new HsmError('ERR_HSM_KCV', 'the check value does not belong to the key');
    }
    return wrapKey(context, { usage, algorithm: wanted }, adjusted(wanted, key));
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
  mechanisms: () => ['aesDukpt', 'rsaOaep'],
  keys: ({ baseKey }) => ({ base: { block: baseKey, usages: [KeyUsage.baseDerivation] } }),
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

/** The RSA key of whoever may open what is sealed to it. @throws HsmError `ERR_HSM_PARAMETER`. */
export function transportKey(spkiHex: string): KeyObject {
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

function assertLineKey(kind: KeyKind): void {
  const { usage } = kind;
  if (!LINE_KEY_USAGES.includes(usage)) {
    const text = `lines exchange keys of usage ${LINE_KEY_USAGES.join(', ')} only`;
    throw new HsmError('ERR_HSM_KEY_USAGE', text, { usage });
  }
  assertAlgorithm(kind);
}

/** A key travels under a zone key of its own algorithm, so under none that is weaker. */
function zoneKey(block: KeyBlock, kind: KeyKind): KeyNeed {
  assertLineKey(kind);
  return { block, usages: [KeyUsage.zoneMaster], algorithm: kind.algorithm };
}
