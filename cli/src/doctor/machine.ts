/** What the doctor can ask of the machine; tests give it a machine of their own. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync, statfsSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { type HostSight, thisSight } from '@tapnpay/agent';

const RUN_TIMEOUT_MS = 4_000;
const CONNECT_TIMEOUT_MS = 1_500;

/** The machine that is looked at. */
export interface Machine extends HostSight {
  readonly nodeVersion: string;
  readonly arch: string;
  isWritable(path: string): boolean;
  freeBytes(path: string): number | null;
  /** Behind all links; the path itself when there is nothing. */
  realPath(path: string): string;
  /** Full path of a program on the search path. */
  findProgram(name: string): string | null;
  /** What a program prints; null when it fails or takes too long. */
  run(path: string, args: readonly string[]): Promise<string | null>;
  isPortOpen(host: string, port: number): Promise<boolean>;
}

/** The machine that this program runs on. */
export const thisMachine: Machine = {
  ...thisSight,
  nodeVersion: process.versions.node,
  arch: process.arch,
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
  realPath(path) {
    try {
      return realpathSync(path);
    } catch {
      return path;
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
};
