/** What the doctor can ask of the machine; tests give it a machine of their own. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { listReaders, type ReaderList } from '@tapnpay/agent';

const RUN_TIMEOUT_MS = 4_000;
const HTTP_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 1_500;
const TEXT_CHARACTERS_MAX = 65_536;

/** An HTTP answer; `body` is undefined when it is no JSON. */
export type HttpAnswer = { readonly status: number; readonly body: unknown };

/** The machine that is looked at. */
export interface Machine {
  readonly nodeVersion: string;
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  exists(path: string): boolean;
  isWritable(path: string): boolean;
  freeBytes(path: string): number | null;
  /** Null when there is no such file. */
  readText(path: string): string | null;
  /** Full path of a program on the search path. */
  findProgram(name: string): string | null;
  /** What a program prints; null when it fails or takes too long. */
  run(path: string, args: readonly string[]): Promise<string | null>;
  /** Null when nobody answers. */
  get(url: string): Promise<HttpAnswer | null>;
  isPortOpen(host: string, port: number): Promise<boolean>;
  listReaders(): Promise<ReaderList>;
}

/** The machine that this program runs on. */
export const thisMachine: Machine = {
  nodeVersion: process.versions.node,
  platform: process.platform,
  arch: process.arch,
  exists: existsSync,
  isWritable(path) {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  },
  freeBytes(path) {
    try {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    } catch {
      return null;
    }
  },
  readText(path) {
    try {
      return readFileSync(path, 'utf8').slice(0, TEXT_CHARACTERS_MAX);
    } catch {
      return null;
    }
  },
  findProgram(name) {
    const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
    return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
  },
  run: (path, args) =>
    new Promise((resolve) => {
      execFile(path, [...args], { timeout: RUN_TIMEOUT_MS }, (fault, stdout) =>
        resolve(fault ? null : stdout),
      );
    }),
  get: getJson,
  isPortOpen: (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
      const end = (isOpen: boolean): void => {
        socket.destroy();
        resolve(isOpen);
      };
      socket.once('connect', () => end(true));
      socket.once('timeout', () => end(false));
      socket.once('error', () => end(false));
    }),
  listReaders: () => listReaders(),
};

async function getJson(url: string): Promise<HttpAnswer | null> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    });
    text = (await response.text()).slice(0, TEXT_CHARACTERS_MAX);
  } catch {
    return null;
  }
  try {
    return { status: response.status, body: JSON.parse(text) as unknown };
  } catch {
    return { status: response.status, body: undefined };
  }
}
