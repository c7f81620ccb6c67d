/** For tests of the HTTP interface: its ports over stores in memory, the lab's keys in them. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { signP1363 } from '@tapnpay/protocol/node';
import { MemoryAuditLog } from '../audit/log.ts';
import { ParameterBook } from '../elements/parameter-book.ts';
import type { ElementCertifier } from '../enrolment.ts';
import { type TestGateway, testSite } from '../gateway.test-kit.ts';
import { installLabMerchant, type MerchantKeys } from '../merchant-keys.ts';
import { MemoryIdempotencyStore } from '../merchants/idempotency.ts';
import { MemoryMerchantLists } from '../merchants/lists.ts';
import { MemoryMerchantStore } from '../merchants/store-memory.ts';
import {
  acceptanceParameters,
  CA_PUBLIC_KEYS_FILE,
  installationParameters,
} from '../parameters.ts';
import type { OfficeBooks } from '../settlement/back-office.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import type { HttpPorts } from './api.ts';

/** Certifies whoever asks. */
export const testCertifier: ElementCertifier = {
  caPem: 'the CA',
  orderPublicKeySpki: 'AA'.repeat(91),
  parameterPublicKeySpki: 'BB'.repeat(91),
  certify: async ({ elementId }) => ({ pem: `certificate of ${elementId}`, sha256: 'EE' }),
};

/** An office in which nothing was settled or refused. */
const emptyOffice: OfficeBooks = {
  settlement: {
    listBatches: async () => [],
    findStatement: async () => null,
    batchesOf: async () => [],
  },
  refusals: async () => [],
};

const parameterKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** The sets of the gateway; over a store in memory the first one, with the CA keys of the folder. */
function testParameterBook({ store, clock }: TestGateway, dataDir: string): ParameterBook {
  const sign = (text: string): string => signP1363(parameterKey, text);
  const book = new ParameterBook({ store, clock, sign });
  const hasKeys = existsSync(join(dataDir, CA_PUBLIC_KEYS_FILE));
  const content = hasKeys ? installationParameters(dataDir) : acceptanceParameters([]);
  // In memory: done before the first request is read.
  if (store instanceof MemoryGatewayStore) void book.ensure(content);
  return book;
}

/** Everything `buildHttp` stands on. */
export function testHttpPorts(
  gateway: TestGateway,
  given: Partial<HttpPorts> & { readonly keys: MerchantKeys; readonly dataDir: string },
): HttpPorts & { readonly audit: MemoryAuditLog } {
  const { keys, ...changes } = given;
  const { store, ports, clock } = gateway;
  const merchants = new MemoryMerchantStore();
  const lab = { profile: ports.profile.merchant, nameZh: '测试商店', keys };
  // In memory: done before the first request is read.
  void installLabMerchant(merchants, { ...lab, nowMs: clock.nowMs() });
  const everything = (): ReturnType<MemoryGatewayStore['everything']> =>
    store instanceof MemoryGatewayStore ? store.everything() : { orders: [], payments: [] };
  return {
    core: gateway.core,
    merchants,
    lists: new MemoryMerchantLists(everything),
    idempotency: new MemoryIdempotencyStore(),
    office: emptyOffice,
    certifier: testCertifier,
    parameters: testParameterBook(gateway, given.dataDir),
    site: testSite(),
    liveMode: false,
    ...changes,
    audit: new MemoryAuditLog(),
  };
}
