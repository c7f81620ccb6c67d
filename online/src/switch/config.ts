/** What the switch's process is told at its start. */
import { z } from 'zod';
import { type CommonConfig, commonConfigShape } from '../runtime/index.ts';

/** A further member. */
export type SwitchMember = {
  readonly institution: string;
  /** TR-31 key block under the switch's HSM. */
  readonly zoneKey: string;
  readonly isAcquirer: boolean;
};

/** Configuration of the switch; times and institutions default to those of a lab. */
export type SwitchConfig = CommonConfig & {
  /** Port of the members' listener on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  readonly issuerTimeoutMs?: number | undefined;
  readonly advicePausesMs?: readonly number[] | undefined;
  readonly institution?: string | undefined;
  readonly gatewayInstitution?: string | undefined;
  readonly issuerInstitution?: string | undefined;
  readonly adviceDaysMax?: number | undefined;
  /** Members beside the gateway and the issuer; their zone keys as key blocks. */
  readonly members?: readonly SwitchMember[] | undefined;
  /** Prefixes of the issuer's card numbers, for a system that has no BIN table yet. */
  readonly cardPrefixes?: readonly string[] | undefined;
  /** A laboratory: what passes is written for the look inside. */
  readonly lab?: boolean | undefined;
};

const institutionSchema = z.string().regex(/^[0-9]{11}$/, 'is 11 digits');
const timeoutSchema = z.number().int().min(10).max(600_000);

export const switchConfigSchema: z.ZodType<SwitchConfig> = z.object({
  ...commonConfigShape,
  port: z.number().int().min(0).max(65_535),
  issuerTimeoutMs: timeoutSchema.optional(),
  advicePausesMs: z.array(timeoutSchema).min(1).max(32).optional(),
  institution: institutionSchema.optional(),
  gatewayInstitution: institutionSchema.optional(),
  issuerInstitution: institutionSchema.optional(),
  adviceDaysMax: z.number().int().min(0).max(366).optional(),
  members: z
    .array(
      z.object({
        institution: institutionSchema,
        zoneKey: z.string().min(16).max(1_024),
        isAcquirer: z.boolean(),
      }),
    )
    .max(1_000)
    .optional(),
  cardPrefixes: z
    .array(z.string().regex(/^[0-9]{6,12}$/, 'is 6 to 12 digits'))
    .min(1)
    .max(1_000)
    .optional(),
  lab: z.boolean().optional(),
});
