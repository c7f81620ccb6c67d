/** Parameter management (参数管理): what the gateway tells a payment application to accept. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOKEN_BITMAP_DEFAULT } from '@tapnpay/protocol/emv/data';
import type {
  CaPublicKeyJson,
  ContactlessLimitsJson,
  ParameterContent,
} from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { GatewayError } from './errors.ts';

/** Written by the key ceremony: the CA public keys of this installation. */
export const CA_PUBLIC_KEYS_FILE = 'ca-public-keys.json';

const hex = z.string().regex(/^(?:[0-9A-F]{2})*$/);
const caPublicKeysSchema: z.ZodType<readonly CaPublicKeyJson[]> = z.array(
  z.object({
    rid: hex.length(10),
    index: hex.length(2),
    modulus: hex.min(128).max(512),
    exponent: hex.min(2).max(6),
    sha1: hex.length(40),
    expiryYymmdd: z.string().regex(/^[0-9]{6}$/),
  }),
);

/** Terminal action codes for UnionPay applications. @see PBOC3 P5, terminal action analysis */
const UNIONPAY_ACTION_CODES = {
  applicationVersion: '0030',
  tacDefault: 'D84000A800',
  tacDenial: '0010000000',
  tacOnline: 'D84004F800',
  /** Every purchase over the Internet goes online. */
  floorLimitMinor: '0',
  defaultDdol: '9F3704',
} as const;
/**
 * Limits of the contactless reader in minor units of yuan: every tap goes online; above 5,000.00
 * a card is inserted; above 300.00 the cardholder is verified (小额免密免签).
 */
export const CONTACTLESS_LIMITS: ContactlessLimitsJson = {
  floorLimitMinor: '0',
  transactionLimitMinor: '500000',
  cvmLimitMinor: '30000',
};
/** Days of what has no other ones; two digits reach to 2049. @see EMV 4.3 B4 §6.7.3 */
const FROM_YYMMDD = '200101';
const UNTIL_YYMMDD = '491231';
/** UnionPay debit, credit and quasi-credit. */
const UNIONPAY_AIDS = ['A000000333010101', 'A000000333010102', 'A000000333010103'] as const;

/**
 * What this installation accepts unless an operator says otherwise.
 * @throws GatewayError `ERR_INTERNAL`: broken key file.
 */
export function installationParameters(dataDir: string): ParameterContent {
  return acceptanceParameters(caPublicKeys(join(dataDir, CA_PUBLIC_KEYS_FILE)));
}

/** The same with these CA keys. */
export function acceptanceParameters(keys: readonly CaPublicKeyJson[]): ParameterContent {
  return {
    /**
     * qPBOC (20), contact PBOC (10), online PIN (04), no signature over the Internet; fDDA version
     * 01 (byte 4, 80). The kernel sets byte 2: cryptogram online, CVM required. @see EMV C-7
     */
    terminalTransactionQualifiers: '34000080',
    countryCode: '0156',
    /** Operated by the cardholder, unattended, online only. @see EMV 4.3 B4 Table 24 */
    terminalType: '34',
    /** IC contacts; enciphered PIN online, no CVM; SDA, DDA. @see EMV 4.3 B4 Tables 25-27 */
    terminalCapabilities: '2048C0',
    /** Goods and services; numeric keys; cardholder display. @see EMV 4.3 B4 Tables 28-32 */
    additionalTerminalCapabilities: '6000801001',
    aids: UNIONPAY_AIDS.map((aid) => ({
      aid,
      ...{ fromYymmdd: FROM_YYMMDD, untilYymmdd: UNTIL_YYMMDD },
      ...UNIONPAY_ACTION_CODES,
      randomSelection: { targetPercentage: 0, maximumTargetPercentage: 0, thresholdMinor: '0' },
      contactless: CONTACTLESS_LIMITS,
    })),
    caPublicKeys: keys.map((key) => ({ ...key, fromYymmdd: FROM_YYMMDD })),
    revokedCertificates: [],
    token: { issuerProprietaryBitmap: TOKEN_BITMAP_DEFAULT },
  };
}

function caPublicKeys(path: string): readonly CaPublicKeyJson[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const message = `the CA keys of the ceremony are missing: ${path}`;
    throw new GatewayError('ERR_INTERNAL', message, {}, cause);
  }
  try {
    return caPublicKeysSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new GatewayError('ERR_INTERNAL', `${path} is no list of CA keys`, {}, cause);
  }
}
