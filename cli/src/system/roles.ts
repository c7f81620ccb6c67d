/** The roles of a system: how each is started from the system's configuration. */
import { type CommonConfig, createLog, type Running } from '@tapnpay/online/runtime';
import type { Ports, SystemConfig } from './layout.ts';

/** Starts a role in this process. */
export type StartRole = (system: SystemConfig) => Promise<Running>;

type HsmParty = 'gateway' | 'switch' | 'issuer';

const HSM_PORT: Readonly<Record<HsmParty, keyof Ports>> = {
  gateway: 'hsmGateway',
  switch: 'hsmSwitch',
  issuer: 'hsmIssuer',
};

/** How long the gateway waits for the switch, and the switch for the issuer, in a lab. */
const LAB_GATEWAY_TIMEOUT_MS = 5_000;
const LAB_SWITCH_TIMEOUT_MS = 3_000;

/** Every role by the name that `serve` takes, in the order in which `up` starts them. */
export const ROLES: Readonly<Record<string, StartRole>> = {
  'hsm-gateway': (system) => hsmRole(system, 'gateway'),
  'hsm-switch': (system) => hsmRole(system, 'switch'),
  'hsm-issuer': (system) => hsmRole(system, 'issuer'),
  switch: async (system) => {
    const { startSwitch } = await import('@tapnpay/online/switch');
    return startSwitch({
      ...(await common(system, 'switch')),
      port: system.ports.switch,
      issuerTimeoutMs: LAB_SWITCH_TIMEOUT_MS,
    });
  },
  issuer: async (system) => {
    const { startIssuer } = await import('@tapnpay/online/issuer');
    return startIssuer({
      ...(await common(system, 'issuer')),
      switchPort: system.ports.switch,
      ...(system.lab ? { lab: {} } : {}),
    });
  },
  gateway: async (system) => {
    const { startGateway } = await import('@tapnpay/online/gateway');
    return startGateway({
      ...(await common(system, 'gateway')),
      httpPort: system.ports.gatewayHttp,
      tlsPort: system.ports.gatewayTls,
      switchPort: system.ports.switch,
      switchTimeoutMs: LAB_GATEWAY_TIMEOUT_MS,
      lab: system.lab,
    });
  },
};

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
  return {
    databaseUrl: system.databaseUrl,
    schema: party,
    hsm: { port: system.ports[HSM_PORT[party]], tokenHex: tokens[party] ?? '' },
    dataDir: system.dataDir,
  };
}
