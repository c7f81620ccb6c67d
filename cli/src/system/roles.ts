/** The roles of a system: how each is started from the system's configuration. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommonConfig, createLog, type Running } from '@tapnpay/online/runtime';
import { GATEWAY_SERVER_NAME } from '@tapnpay/protocol/wire';
import { GatewayClient } from '../payment/gateway-client.ts';
import { elementConfig, labPackages, shippedLoadFiles } from './element.ts';
import {
  databaseUrlOf,
  managerUrlOf,
  type Ports,
  pagesDir,
  type SystemConfig,
  urlOf,
  versionOf,
} from './layout.ts';

/** Starts a role in this process. */
export type StartRole = (system: SystemConfig) => Promise<Running>;

type HsmParty = 'gateway' | 'switch' | 'issuer' | 'tsm';

/** The port of each party's HSM. */
export const HSM_PORT: Readonly<Record<HsmParty, keyof Ports>> = {
  gateway: 'hsmGateway',
  switch: 'hsmSwitch',
  issuer: 'hsmIssuer',
  tsm: 'hsmTsm',
};

/** How long the gateway waits for the switch, and the switch for the issuer, in a lab. */
const LAB_GATEWAY_TIMEOUT_MS = 5_000;
const LAB_SWITCH_TIMEOUT_MS = 3_000;
/** How long an approved contact card may take for its last word before it is reversed. */
const LAB_COMPLETION_TIMEOUT_MS = 10_000;

/** Every role by the name that `serve` takes, in the order in which `up` starts them. */
export const ROLES: Readonly<Record<string, StartRole>> = {
  'hsm-gateway': (system) => hsmRole(system, 'gateway'),
  'hsm-switch': (system) => hsmRole(system, 'switch'),
  'hsm-issuer': (system) => hsmRole(system, 'issuer'),
  'hsm-tsm': (system) => hsmRole(system, 'tsm'),
  switch: async (system) => {
    const { startSwitch } = await import('@tapnpay/online/switch');
    return startSwitch({
      ...(await common(system, 'switch')),
      port: system.ports.switch,
      opsPort: system.ports.opsSwitch,
      issuerTimeoutMs: LAB_SWITCH_TIMEOUT_MS,
      lab: system.lab,
    });
  },
  issuer: async (system) => {
    const { startIssuer } = await import('@tapnpay/online/issuer');
    return startIssuer({
      ...(await common(system, 'issuer')),
      switchPort: system.ways?.['issuer-switch'] ?? system.ports.switch,
      opsPort: system.ports.opsIssuer,
      tokenPort: system.ports.issuerTokens,
      ...(system.lab ? { lab: {} } : {}),
    });
  },
  gateway: async (system) => {
    const { startGateway } = await import('@tapnpay/online/gateway');
    return startGateway({
      ...(await common(system, 'gateway')),
      httpPort: system.ports.gatewayHttp,
      opsPort: system.ports.opsGateway,
      tlsPort: system.ports.gatewayTls,
      switchPort: system.ways?.['gateway-switch'] ?? system.ports.switch,
      switchTimeoutMs: LAB_GATEWAY_TIMEOUT_MS,
      completionTimeoutMs: LAB_COMPLETION_TIMEOUT_MS,
      lab: system.lab,
      notifyPolicy: system.notifyPolicy,
      publicUrl: urlOf(system, 'gatewayHttp'),
      agentUrl: urlOf(system, 'agent'),
      observerUrl: system.lab ? urlOf(system, 'observer') : null,
      pagesDir: pagesDir('pay'),
      loadFiles: shippedLoadFiles(),
      plugin: {
        bundleDir: pagesDir('extension'),
        extensionVersion: versionOf('plugin'),
        hostVersion: versionOf('agent'),
      },
    });
  },
  shop: async (system) => {
    const { startShop } = await import('@tapnpay/online/shop');
    const { databaseUrl, dataDir, ports } = system;
    return startShop({
      databaseUrl,
      schema: 'shop',
      dataDir,
      port: ports.shop,
      publicUrl: urlOf(system, 'shop'),
      gatewayUrl: urlOf(system, 'gatewayHttp'),
      merchant: merchantOf(dataDir),
      pagesDir: pagesDir('shop'),
    });
  },
  agent: async (system) => {
    const { startAgentService } = await import('@tapnpay/agent');
    const { dataDir, ports } = system;
    const gatewayUrl = urlOf(system, 'gatewayHttp');
    return startAgentService({
      dataDir,
      port: ports.agent,
      gatewayOrigins: [gatewayUrl],
      gatewayUrl,
      serverName: GATEWAY_SERVER_NAME,
      element: elementConfig(dataDir, 'element'),
      pagesDir: pagesDir('helper'),
      requestPairingCode: () => new GatewayClient({ url: gatewayUrl, dataDir }).pairingCode(),
      readers: system.readers ?? false,
      managerUrl: managerUrlOf(system),
      log: (record) => process.stderr.write(`${JSON.stringify(record)}\n`),
    });
  },
  tsm: async (system) => {
    const { startTsm } = await import('@tapnpay/online/tsm');
    return startTsm({
      ...(await common(system, 'tsm')),
      httpPort: system.ports.tsm,
      opsPort: system.ports.opsTsm,
      ...(system.lab ? { lab: { packages: labPackages(), gatewayName: GATEWAY_SERVER_NAME } } : {}),
    });
  },
  observer: async (system) => {
    const { startObserver } = await import('@tapnpay/online/observer');
    const { dataDir, ports } = system;
    return startObserver({ dataDir, port: ports.observer, pagesDir: pagesDir('inside') });
  },
};

/** What a merchant is given when it signs up. */
function merchantOf(dataDir: string): { readonly apiKey: string; readonly webhookSecret: string } {
  const path = join(dataDir, 'gateway', 'merchant-key.json');
  const keys = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  return { apiKey: keys['apiKey'] ?? '', webhookSecret: keys['webhookSecret'] ?? '' };
}

async function hsmRole(system: SystemConfig, party: HsmParty): Promise<Running> {
  const { startHsm } = await import('@tapnpay/online/hsm');
  const log = createLog({ party: `hsm-${party}` });
  const port = system.ports[HSM_PORT[party]];
  return startHsm({ dataDir: system.dataDir, party, port, log: log.info });
}

/** What every party is told; its log goes to standard error, which `up` writes to a file. */
async function common(system: SystemConfig, party: HsmParty): Promise<CommonConfig> {
  const { readHsmTokens } = await import('@tapnpay/online/hsm');
  const tokens = readHsmTokens(system.dataDir, party);
  const way = party === 'tsm' ? undefined : system.ways?.[`${party}-hsm`];
  const hsmPort = way ?? system.ports[HSM_PORT[party]];
  return {
    databaseUrl: databaseUrlOf(system, party),
    schema: party,
    hsm: { port: hsmPort, tokenHex: tokens[party] ?? '' },
    dataDir: system.dataDir,
  };
}
