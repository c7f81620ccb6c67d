/** What dynamic tokens of this installation's cards are made of. */
import { TOKEN_BITMAP_DEFAULT } from '@tapnpay/protocol/emv/data';
import type { TokenProfile } from './token.ts';

/**
 * The bitmap of the acceptance parameters; profiles of cards with SDA, DDA, CDA or none of them;
 * under 3DES and under SM4. The CVR of a first cryptogram says ARQC; the token tells the rest.
 */
export const TOKEN_PROFILE: TokenProfile = {
  issuerProprietaryBitmap: TOKEN_BITMAP_DEFAULT,
  aips: ['7C00', '7D00', '5C00', '3C00', '3D00', '1C00'],
  issuerApplicationData: [
    ['T', '07010103A0000001'],
    ['4', '07010103A0000004'],
  ],
};
