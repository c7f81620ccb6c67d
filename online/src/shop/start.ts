/** The shop's process: books, gateway client, pages and interface around the core. */
import { join } from 'node:path';
import {
  closeAll,
  createLog,
  type PartyLog,
  parseConfig,
  systemClock,
  systemRandom,
  Worker,
} from '../runtime/index.ts';
import { Login } from './admin/login.ts';
import { openPassword } from './admin/password.ts';
import { type ShopConfig, shopConfigSchema } from './config.ts';
import { ShopCore } from './core.ts';
import { createGateway } from './gateway-client.ts';
import { buildHttp } from './http/server.ts';
import { SHOP_DEFAULTS } from './ports.ts';
import { openShopStore } from './store-postgres.ts';
import { webhookSecretBytes } from './webhook.ts';

const HOST = '127.0.0.1';
/** How often due work is looked for when nothing wakes the shop. */
const TICK_MS = 1_000;

/** A running shop. */
export type RunningShop = {
  readonly close: () => Promise<void>;
  /** For the ready line. */
  readonly facts: { readonly port: number; readonly url: string };
};

/**
 * Starts the shop: resolves when buyers can order. The gateway may come later.
 * @throws TapError for configuration and database faults.
 */
export async function startShop(input: ShopConfig): Promise<RunningShop> {
  const config = parseConfig(shopConfigSchema, input);
  const log = createLog({ party: 'shop', logFile: config.logFile });
  const closers: (() => Promise<void>)[] = [];
  try {
    await startParts(config, log, closers);
    const facts = { port: config.port, url: new URL(config.publicUrl).origin };
    return { close: () => closeAll(closers), facts };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

async function startParts(
  config: ShopConfig,
  log: PartyLog,
  closers: (() => Promise<void>)[],
): Promise<void> {
  const { databaseUrl, schema, merchant, pagesDir } = config;
  const system = { clock: systemClock, random: systemRandom };
  const store = await openShopStore({ databaseUrl, schema, log: log.warn });
  closers.push(() => store.close());
  const directory = join(config.dataDir, 'shop');
  const passwordHash = await openPassword(directory, store, systemRandom);
  const sweeper = new Worker(log, TICK_MS);
  const core = new ShopCore({
    ...system,
    store,
    gateway: createGateway({ gatewayUrl: config.gatewayUrl, apiKey: merchant.apiKey }),
    profile: {
      ...SHOP_DEFAULTS,
      origin: new URL(config.publicUrl).origin,
      webhookSecret: webhookSecretBytes(merchant.webhookSecret),
    },
    log: log.info,
    onHop: (record) => log.info({ event: 'hop', ...record }),
    wake: () => sweeper.wake(),
  });
  if (await core.seed()) log.info({ event: 'sampleGoods' });
  const login = new Login({ ...system, store, passwordHash });
  const http = buildHttp({ core, login, pagesDir });
  await http.listen({ host: HOST, port: config.port });
  closers.push(() => http.close());
  sweeper.start(core);
  closers.push(() => sweeper.stop());
}
