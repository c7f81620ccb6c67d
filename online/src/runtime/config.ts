/** What every party's process is told at its start; plain data, checked at the edge. */
import { z } from 'zod';
import { RuntimeError } from './errors.ts';

/** Where a party reaches its HSM and how it proves who it is. */
export type HsmConfig = { readonly port: number; readonly tokenHex: string };

/** Configuration that all parties share. */
export type CommonConfig = {
  /** `postgres://` URL; one database for all parties of a system. */
  readonly databaseUrl: string;
  /** The party's own schema; it touches no other. */
  readonly schema: string;
  readonly hsm: HsmConfig;
  /** Folder of the system: `keys/<party>.json`, `issuer-cards.json`, ... */
  readonly dataDir: string;
  /** Log file; standard error when absent. */
  readonly logFile?: string | undefined;
  /** Loopback port of metrics and health; none when absent. */
  readonly opsPort?: number | undefined;
};

/** A TCP port. */
export const portSchema: z.ZodType<number> = z.number().int().min(1).max(65_535);
const tokenSchema = z.string().regex(/^(?:[0-9A-Fa-f]{2}){16,64}$/, 'is 16 to 64 bytes in hex');
const schemaName = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'is a lower-case SQL name');

/** Fields of `CommonConfig`, for the object schema of a party. */
export const commonConfigShape: {
  readonly databaseUrl: z.ZodType<string>;
  readonly schema: z.ZodType<string>;
  readonly hsm: z.ZodType<HsmConfig>;
  readonly dataDir: z.ZodType<string>;
  readonly logFile: z.ZodOptional<z.ZodType<string>>;
  readonly opsPort: z.ZodOptional<z.ZodType<number>>;
} = {
  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//, 'is a postgres:// URL'),
  schema: schemaName,
  hsm: z.object({ port: portSchema, tokenHex: tokenSchema }),
  dataDir: z.string().min(1),
  logFile: z.string().min(1).optional(),
  opsPort: portSchema.optional(),
};

/** The checked configuration. @throws RuntimeError `ERR_CONFIG` naming the field, never a value. */
export function parseConfig<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'configuration'}: ${message}`,
  );
  throw new RuntimeError('ERR_CONFIG', faults.join('; '), { fields: faults.length });
}
