/** A machine of a test's own: a home and a root with the names that people have. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostConfig } from '../native/config.ts';
import type { InstallRequest } from './install.ts';
import type { PlaceFacts } from './places.ts';

export const EXTENSION_ID = 'jidnflbmgkkgnjdalbnigbchcpbbdbpf';
export const GECKO_ID = 'plugin@tapnpay.org';
export const UPDATE_MANIFEST = 'http://127.0.0.1:8420/plugin/update.xml';
export const XPI = 'http://127.0.0.1:8420/plugin/tapnpay.xpi';

export type TestMachine = {
  readonly folder: string;
  readonly dataDir: string;
  readonly places: PlaceFacts;
  readonly config: HostConfig;
  readonly request: (over?: Partial<InstallRequest>) => InstallRequest;
  readonly remove: () => void;
};

/** Spaces, Chinese characters and a quote in every path. */
export function testMachine(platform: NodeJS.Platform = 'linux'): TestMachine {
  const folder = mkdtempSync(join(tmpdir(), "支付 测试 it's "));
  const [home, root, dataDir] = ['home', 'root', '数据 data'].map((name) => join(folder, name));
  if (home === undefined || root === undefined || dataDir === undefined) throw new Error('paths');
  for (const path of [home, root, dataDir]) mkdirSync(path);
  const config: HostConfig = {
    dataDir,
    gatewayOrigins: ['http://127.0.0.1:8420'],
    gatewayUrl: 'http://127.0.0.1:8420',
    serverName: 'gateway.tapnpay.test',
    pairing: 'operator',
    managerUrl: null,
    readers: false,
    extensionId: EXTENSION_ID,
    geckoId: GECKO_ID,
  };
  const places: PlaceFacts = { platform, home, env: {}, root };
  const request = (over: Partial<InstallRequest> = {}): InstallRequest => ({
    config,
    target: { scope: 'user' },
    places,
    nodePath: process.execPath,
    entry: join(folder, 'host.mjs'),
    ...over,
  });
  const remove = () => rmSync(folder, { recursive: true });
  return { folder, dataDir, places, config, request, remove };
}
