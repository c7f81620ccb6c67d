/** `tapnpay` in a process of its own, with a home, a search path and a gateway of a test's own. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PluginVersions } from '@tapnpay/protocol/wire';

const MAIN = join(import.meta.dirname, '../main.ts');
export const EXTENSION_ID = 'jidnflbmgkkgnjdalbnigbchcpbbdbpf';

export type Ran = { readonly exit: number; readonly text: string; readonly error: string };

export type Desk = {
  readonly folder: string;
  readonly home: string;
  readonly dataDir: string;
  readonly gatewayUrl: string;
  /** What the gateway answers from now on; null: 404. */
  readonly serve: (versions: PluginVersions | null) => void;
  readonly versions: PluginVersions;
  readonly run: (...args: readonly string[]) => Promise<Ran>;
  readonly close: () => void;
};

/** Programs that say a browser's version, in a folder of the search path. */
const BROWSERS = { chromium: 'Chromium 156.0.1.2', firefox: 'Mozilla Firefox 153.8.0esr' };

/** A system's folder with a gateway that only tells versions. */
export async function openDesk(): Promise<Desk> {
  const folder = mkdtempSync(join(tmpdir(), "支付 测试 it's "));
  const [home, bin, dataDir] = [join(folder, '家 home'), join(folder, 'bin'), join(folder, '数据')];
  for (const path of [home, bin, dataDir]) mkdirSync(path);
  for (const [name, version] of Object.entries(BROWSERS)) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho '${version}'\n`);
    chmodSync(join(bin, name), 0o755);
  }
  let served: PluginVersions | null = null;
  const server = createServer(({ url }, response) => {
    if (url === '/v1/health') response.end('{"status":"up","switchLine":"established"}');
    else if (url === '/v1/plugin' && served !== null) response.end(JSON.stringify(served));
    else response.writeHead(404).end('{}');
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  const { port } = server.address() as AddressInfo;
  const gatewayUrl = `http://127.0.0.1:${port}`;
  const versions = versionsOf(gatewayUrl);
  served = versions;
  writeFileSync(join(dataDir, 'system.json'), JSON.stringify(systemOf(dataDir, port)));
  const { XDG_CONFIG_HOME: _xdg, CHROME_CONFIG_HOME: _chrome, LANG: _lang, ...rest } = process.env;
  const env = { ...rest, HOME: home, PATH: bin, LC_ALL: 'C.UTF-8' };
  const run = (...args: readonly string[]) =>
    new Promise<Ran>((resolve) => {
      const data = args.includes('--data') ? [] : ['--data', dataDir];
      const all = [MAIN, ...args, ...data];
      execFile(process.execPath, all, { env, maxBuffer: 1 << 26 }, (fault, text, error) => {
        resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
      });
    });
  return {
    ...{ folder, home, dataDir, gatewayUrl, versions, run },
    serve: (next) => {
      served = next;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
    },
  };
}

function versionsOf(gatewayUrl: string): PluginVersions {
  return {
    extension: {
      ...{ id: EXTENSION_ID, geckoId: 'plugin@tapnpay.org' },
      ...{ latest: '0.1.0', required: '0.1.0' },
    },
    host: { latest: '0.1.0', required: '0.1.0' },
    protocol: { min: 1, max: 1 },
    install: {
      crx: `${gatewayUrl}/plugin/tapnpay.crx`,
      updateManifest: `${gatewayUrl}/plugin/update.xml`,
      xpi: `${gatewayUrl}/plugin/tapnpay.xpi`,
      xpiUpdates: `${gatewayUrl}/plugin/updates.json`,
    },
  };
}

/** Only the gateway is there; port 9 answers nobody. */
function systemOf(dataDir: string, gatewayHttp: number) {
  const names = [
    ...['gatewayTls', 'switch', 'hsmGateway', 'hsmSwitch', 'hsmIssuer', 'shop', 'agent'],
    ...['observer', 'opsGateway', 'opsSwitch', 'opsIssuer', 'issuerTokens'],
    ...['hsmTsm', 'tsm', 'opsTsm'],
  ];
  const ports = Object.fromEntries(names.map((name) => [name, 9]));
  return { dataDir, ports: { ...ports, gatewayHttp }, databaseUrl: '', lab: true };
}
