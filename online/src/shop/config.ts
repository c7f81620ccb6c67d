/** What the shop's process is told at its start. */
import { z } from 'zod';
import { commonConfigShape, portSchema } from '../runtime/index.ts';

/** Configuration of the shop. */
export type ShopConfig = {
  readonly databaseUrl: string;
  readonly schema: string;
  /** Folder of the system; the shop's own is `shop` in it. */
  readonly dataDir: string;
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Where browsers and the gateway reach the shop: an origin. */
  readonly publicUrl: string;
  readonly gatewayUrl: string;
  readonly merchant: {
    readonly apiKey: string;
    /** `whsec_` and base64. @see Standard Webhooks */
    readonly webhookSecret: string;
  };
  /** Folder with the built `index.html` and `assets`. */
  readonly pagesDir: string;
  readonly logFile?: string | undefined;
};

const { databaseUrl, schema, dataDir, logFile } = commonConfigShape;
const httpUrl = z.url({ protocol: /^https?$/ });

export const shopConfigSchema: z.ZodType<ShopConfig> = z.object({
  databaseUrl,
  schema,
  dataDir,
  logFile,
  port: portSchema,
  publicUrl: httpUrl,
  gatewayUrl: httpUrl,
  merchant: z.object({
    apiKey: z.string().regex(/^[\x21-\x7e]{16,256}$/, 'is 16 to 256 visible characters'),
    webhookSecret: z.string().regex(/^whsec_[A-Za-z0-9+/=]{32,128}$/, 'is whsec_ and base64'),
  }),
  pagesDir: z.string().min(1),
});
