/** The content of a parameter set as operators send it. */
import type { ParameterContent } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { named } from '../http/route.ts';

const hex = (bytesMin: number, bytesMax: number = bytesMin): z.ZodString =>
  z
    .string()
    .regex(/^(?:[0-9A-F]{2})*$/)
    .min(2 * bytesMin)
    .max(2 * bytesMax);
const minor = z.string().regex(/^[0-9]{1,12}$/);
const day = z.string().regex(/^[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$/);

const aid = z.strictObject({
  aid: hex(5, 16),
  fromYymmdd: day.describe('First day on which it is taken.'),
  untilYymmdd: day.describe('Last one.'),
  applicationVersion: hex(2),
  tacDefault: hex(5),
  tacDenial: hex(5),
  tacOnline: hex(5),
  floorLimitMinor: minor,
  randomSelection: z.strictObject({
    targetPercentage: z.number().int().min(0).max(99),
    maximumTargetPercentage: z.number().int().min(0).max(99),
    thresholdMinor: minor,
  }),
  defaultDdol: hex(0, 64),
  contactless: z
    .strictObject({
      floorLimitMinor: minor,
      transactionLimitMinor: minor,
      cvmLimitMinor: minor,
    })
    .nullable(),
});

/** Strict: what is not understood is refused before it is signed. */
export const parameterContent: z.ZodType<ParameterContent, ParameterContent> = named(
  'ParameterContent',
  z.strictObject({
    terminalTransactionQualifiers: hex(4).describe('Tag 9F66.'),
    countryCode: hex(2),
    terminalType: hex(1),
    terminalCapabilities: hex(3),
    additionalTerminalCapabilities: hex(5),
    aids: z.array(aid).max(32),
    caPublicKeys: z
      .array(
        z.strictObject({
          rid: hex(5),
          index: hex(1),
          fromYymmdd: day,
          expiryYymmdd: z.string().regex(/^[0-9]{6}$/),
          modulus: hex(64, 256),
          exponent: hex(1, 3),
          sha1: hex(20),
        }),
      )
      .max(64),
    revokedCertificates: z
      .array(z.strictObject({ rid: hex(5), index: hex(1), serialNumber: hex(3) }))
      .max(256),
    token: z.strictObject({
      issuerProprietaryBitmap: hex(11, 43).describe('IPB of dynamic tokens.'),
    }),
  }),
);
