/** The roles of a system: how each is started from the system's configuration. */
import { join } from 'node:path';
import { startGateway } from '@tapnpay/online/gateway';
import { readHsmTokens, startHsm } from '@tapnpay/online/hsm';
import { startIssuer } from '@tapnpay/online/issuer';
import { createLog, type Running } from '@tapnpay/online/runtime';
import { startSwitch } from '@tapnpay/online/switch';
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
  switch: (system) =>
    startSwitch({
      ...common(system, 'switch'),
      port: system.ports.switch,
      issuerTimeoutMs: LAB_SWITCH_TIMEOUT_MS,
    }),
  issuer: (system) =>
    startIssuer({
      ...common(system, 'issuer'),
      switchPort: system.ports.switch,
      ...(system.lab ? { lab: {} } : {}),
    }),
  gateway: (system) =>
    startGateway({
      ...common(system, 'gateway'),
      httpPort: system.ports.gatewayHttp,
      tlsPort: system.ports.gatewayTls,
      switchPort: system.ports.switch,
      switchTimeoutMs: LAB_GATEWAY_TIMEOUT_MS,
      lab: system.lab,
    }),
};

function hsmRole(system: SystemConfig, party: HsmParty): Promise<Running> {
  const log = createLog({ party: `hsm-${party}` });
  const port = system.ports[HSM_PORT[party]];
  return startHsm({ dataDir: system.dataDir, party, port, log: log.info });
}

/** What every party is told; its log goes to standard error, which `up` writes to a file. */
function common(system: SystemConfig, party: HsmParty) {
  const tokens = readHsmTokens(system.dataDir, party);
  return {
    databaseUrl: system.databaseUrl,
    schema: party,
    hsm: { port: system.ports[HSM_PORT[party]], tokenHex: tokens[party] ?? '' },
    dataDir: system.dataDir,
  };
}

/** Log file of a role that `up` started. */
export function roleLogPath(dataDir: string, role: string): string {
  return join(dataDir, 'logs', `${role}.log`);
}
