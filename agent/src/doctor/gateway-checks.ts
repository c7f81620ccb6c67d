/** The gateway, and whether it takes the versions that are on this machine. */
import { errorBody } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  type Found,
  foundFault,
  foundOk,
  NATIVE_PROTOCOL,
  nativeProtocolsMeet,
  type OfferedVersion,
  PLUGIN_VERSIONS_PATH,
  type PluginVersions,
  pluginVersionsShape,
  updateNeed,
} from '@tapnpay/protocol/wire';
import { HOST_VERSION } from '../native/version.ts';
import type { HostSight } from './sight.ts';

const HEALTH_PATH = '/v1/health';

/** A gateway that answers HTTP at all is up; 503 is its own word that it is not ready. */
export async function checkGateway(
  { get }: Pick<HostSight, 'get'>,
  url: string,
): Promise<Found<'gateway'>> {
  const answer = await get(new URL(HEALTH_PATH, url).href);
  if (answer === null) return foundFault('broken', 'ERR_GATEWAY_DOWN', { url });
  if (answer.body === undefined) return foundFault('broken', 'ERR_GATEWAY_OTHER', { url });
  if (answer.status >= 500) {
    return foundFault('broken', 'ERR_GATEWAY_NOT_READY', { url, status: String(answer.status) });
  }
  return foundOk({ url });
}

/** The gateway's document, or why there is none. */
export type SeenVersions =
  | { readonly versions: PluginVersions }
  | { readonly versions: null; readonly url: string; readonly reason: string };

/** Asks the gateway which versions it offers and requires. */
export async function seeVersions(
  { get }: Pick<HostSight, 'get'>,
  gatewayUrl: string,
): Promise<SeenVersions> {
  const { href: url } = new URL(PLUGIN_VERSIONS_PATH, gatewayUrl);
  const answer = await get(url);
  if (answer === null) return { versions: null, url, reason: 'no answer' };
  if (answer.status !== 200) return { versions: null, url, reason: `HTTP ${answer.status}` };
  try {
    return { versions: checkShape(pluginVersionsShape, answer.body, 'versions') };
  } catch (fault) {
    return { versions: null, url, reason: errorBody(fault).message };
  }
}

/** Whether the host of this program may take part. */
export function checkVersions(seen: SeenVersions): Found<'versions'> {
  if (seen.versions === null) {
    const { url, reason } = seen;
    return foundFault('warn', 'ERR_VERSIONS_MISSING', { url, reason });
  }
  const { host, extension, protocol } = seen.versions;
  if (!nativeProtocolsMeet(NATIVE_PROTOCOL, protocol)) {
    const facts = { ours: rangeText(NATIVE_PROTOCOL), theirs: rangeText(protocol) };
    return foundFault('broken', 'ERR_VERSION', facts);
  }
  const judged = judgeHostVersion(HOST_VERSION, host);
  if (judged !== null) return judged;
  const facts = { hostLatest: host.latest, extensionLatest: extension.latest };
  return foundOk({ version: HOST_VERSION, ...facts });
}

/** What is wrong with a host's version; null when nothing is. */
export function judgeHostVersion(
  version: string,
  offered: OfferedVersion,
): Found<'host' | 'versions'> | null {
  const facts = { version, required: offered.required, latest: offered.latest };
  switch (updateNeed(version, offered)) {
    case 'forced':
      return foundFault('broken', 'ERR_HOST_OUTDATED', facts);
    case 'optional':
      return foundFault('warn', 'ERR_HOST_UPDATE', facts);
    case 'ok':
      return null;
  }
}

/** `1-2`. */
export function rangeText({ min, max }: { readonly min: number; readonly max: number }): string {
  return min === max ? String(min) : `${min}-${max}`;
}
