/** Signatures over load files: the certifier's word that a secure element itself demands (DAP). */
import { constants, createPublicKey, sign } from 'node:crypto';
import { toHex } from '@tapnpay/protocol/bytes';
import { type LoadFileSignatureKind, oneOfShape, type Shape } from '@tapnpay/protocol/wire';
import { HsmError } from '../errors.ts';
import { bytesOf, type Command, command, exactHex, noKeys } from './rule.ts';

const HASH_BYTES = 32;
/** Salt of RSASSA-PSS, bytes. @see GPCS 2.3.1 §C.3.2 */
const SALT_BYTES = 32;

const kind: Shape<LoadFileSignatureKind> = oneOfShape('ecdsaP256', 'rsaPss');

/** Over the SHA-256 of the load file, itself hashed once more as the card does. */
export const signLoadFileCommand: Command<'signLoadFile'> = command('signLoadFile', {
  callers: ['tsm'],
  fields: { kind, hash: exactHex(HASH_BYTES) },
  mechanisms: () => ['loadFileSignatures'],
  keys: noKeys,
  run: ({ context, request }) => {
    const key = context.signing.key(request.kind);
    const options =
      request.kind === 'rsaPss'
        ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_BYTES }
        : { key, dsaEncoding: 'ieee-p1363' as const };
    return { signature: toHex(sign('sha256', bytesOf(request.hash), options)) };
  },
});

/** What PUT KEY gives to the domain that verifies. */
export const loadFileVerificationKeyCommand: Command<'loadFileVerificationKey'> = command(
  'loadFileVerificationKey',
  {
    callers: ['tsm'],
    fields: { kind },
    mechanisms: () => ['loadFileSignatures'],
    keys: noKeys,
    run: ({ context, request }) => {
      const jwk = createPublicKey(context.signing.key(request.kind)).export({ format: 'jwk' });
      return request.kind === 'rsaPss'
        ? { kind: 'rsaPss', modulus: member(jwk['n']), exponent: member(jwk['e']) }
        : { kind: 'ecdsaP256', point: `04${member(jwk['x'])}${member(jwk['y'])}` };
    },
  },
);

function member(text: unknown): string {
  if (typeof text === 'string') return toHex(Buffer.from(text, 'base64url'));
  throw new HsmError('ERR_HSM_INTERNAL', 'the key has no such part');
}
