/** Lab faults: what an order may ask to go wrong, and where it strikes. Refused outside the lab. */
import { Hop, type HopName } from '@tapnpay/protocol/wire';
import type { GatewayPorts } from './ports.ts';

/**
 * `flip-mac`: one bit of F128 of the 0200 is wrong. `kill-gateway@HOP`: the
 * process ends at once when the payment is at that hop.
 */
export type LabFault = 'flip-mac' | `kill-gateway@${HopName}`;

/** All of them. */
export const LAB_FAULTS: readonly LabFault[] = [
  'flip-mac',
  ...(Object.keys(Hop) as HopName[]).map((hop): LabFault => `kill-gateway@${hop}`),
];

/** Hops that pass elsewhere while the payment application works on a signed order. */
export const HOPS_BEFORE_SEAL: readonly HopName[] = [
  'channel',
  'ask',
  'tap',
  'check',
  'cryptogram',
];
/** Hops that pass elsewhere between the 0200 and its answer. */
export const HOPS_BEFORE_RETURN: readonly HopName[] = ['route', 'decide'];
/** Time for the 0200 to leave before the process is killed at one of them. */
export const LEAVE_MS = 5;

/** Kills the process if the order asks for it at one of these hops; the caller is at it now. */
export function strike(
  ports: Pick<GatewayPorts, 'crash' | 'log'>,
  fault: LabFault | null,
  hops: readonly HopName[],
): void {
  const hop = hops.find((name) => fault === `kill-gateway@${name}`);
  if (hop === undefined || !ports.crash) return;
  ports.log({ event: 'labKill', hop });
  ports.crash();
}
