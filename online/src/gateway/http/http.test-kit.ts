/** For tests of the HTTP interface: its ports over stores in memory, the lab's keys in them. */
import { MemoryAuditLog } from '../audit/log.ts';
import type { ElementCertifier } from '../enrolment.ts';
import { type TestGateway, testSite } from '../gateway.test-kit.ts';
import { installLabMerchant, type MerchantKeys } from '../merchant-keys.ts';
import { MemoryIdempotencyStore } from '../merchants/idempotency.ts';
import { MemoryMerchantLists } from '../merchants/lists.ts';
import { MemoryMerchantStore } from '../merchants/store-memory.ts';
import type { OfficeBooks } from '../settlement/back-office.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import type { HttpPorts } from './api.ts';

/** Certifies whoever asks. */
export const testCertifier: ElementCertifier = {
  caPem: 'the CA',
  orderPublicKeySpki: 'AA'.repeat(91),
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
    site: testSite(),
    liveMode: false,
    ...changes,
    audit: new MemoryAuditLog(),
  };
}
