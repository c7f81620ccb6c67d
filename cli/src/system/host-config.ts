/** What the native messaging host of a system is told, and where its program is. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type HostConfig, type PlaceFacts, seeVersions, thisSight } from '@tapnpay/agent';
import { TapError } from '@tapnpay/protocol/bytes';
import { GATEWAY_SERVER_NAME, type PluginVersions } from '@tapnpay/protocol/wire';
import { managerUrlOf, projectRoot, type SystemConfig, urlOf } from './layout.ts';

/** The configuration of a system's host; the extension's ids come from its gateway. */
export function hostConfigOf(system: SystemConfig, versions: PluginVersions): HostConfig {
  const gatewayUrl = urlOf(system, 'gatewayHttp');
  return {
    dataDir: resolve(system.dataDir),
    gatewayOrigins: [gatewayUrl],
    gatewayUrl,
    serverName: GATEWAY_SERVER_NAME,
    pairing: 'operator',
    managerUrl: managerUrlOf(system),
    readers: system.readers ?? false,
    extensionId: versions.extension.id,
    geckoId: versions.extension.geckoId,
  };
}

/** The running gateway's versions. @throws TapError `ERR_GATEWAY_DOWN`, `ERR_VERSIONS_MISSING`. */
export async function versionsOf(system: SystemConfig): Promise<PluginVersions> {
  const seen = await seeVersions(thisSight, urlOf(system, 'gatewayHttp'));
  if (seen.versions !== null) return seen.versions;
  const { url, reason } = seen;
  if (reason === 'no answer') {
    const text = `${url} does not answer; start the system first: npm start`;
    throw new TapError('ERR_GATEWAY_DOWN', text, { url });
  }
  const text = `${url} gives no versions of the plug-in (${reason})`;
  throw new TapError('ERR_VERSIONS_MISSING', text, { url, reason });
}

/** The host's program: the built one, which starts faster, or else its source. */
export function hostEntry(): string {
  const built = join(projectRoot, 'web/dist-programs/host.mjs');
  return existsSync(built) ? built : join(projectRoot, 'agent/src/native/main.ts');
}

/** This user's and this machine's places. @param root in front of the machine's own folders. */
export function thesePlaces(root = ''): PlaceFacts {
  return { platform: process.platform, home: homedir(), env: process.env, root };
}
