/**
 * The small program that a browser starts: it names interpreter, host and configuration by absolute
 * paths, because a browser has another search path and another folder than a terminal.
 */
import { join, sep } from 'node:path';
import { InstallError } from './errors.ts';

/** What the wrapper starts; all paths absolute. */
export type WrapperFacts = {
  readonly platform: NodeJS.Platform;
  readonly nodePath: string;
  /** The host's program, built or as source. */
  readonly entry: string;
  readonly configPath: string;
  /** Where Node keeps compiled code, so that the next start is a fast one. */
  readonly cacheDir: string;
};

/** Nothing may attach to the host, and its own warnings are of no use to a browser. */
const NODE_FLAGS = ['--disable-sigusr1', '--no-warnings'] as const;
/** Would load foreign code into the host, or change what it prints. */
const UNSET = ['NODE_OPTIONS', 'NODE_PATH', 'NODE_DEBUG', 'NODE_V8_COVERAGE'] as const;

/** Folder of the wrapper in a system's data folder. */
export function hostFolder(dataDir: string): string {
  return join(dataDir, 'agent', 'native-host');
}

/** Folder of compiled code, which may go at any time. */
export function cacheFolder(dataDir: string): string {
  return join(dataDir, 'agent', 'compile-cache');
}

/** The wrapper's path; a browser of Windows starts a batch file. */
export function wrapperPath(dataDir: string, platform: NodeJS.Platform): string {
  return join(hostFolder(dataDir), platform === 'win32' ? 'tapnpay-host.cmd' : 'tapnpay-host');
}

/** The wrapper's text. */
export function wrapperText(facts: WrapperFacts): string {
  return facts.platform === 'win32' ? batchText(facts) : shellText(facts);
}

/**
 * The cache of `npx` is emptied behind our back: what is registered from there works until then.
 * @throws InstallError `ERR_INSTALL_PLACE`.
 */
export function assertLastingPlace(...paths: readonly string[]): void {
  const path = paths.find((candidate) => candidate.split(sep).includes('_npx'));
  if (path === undefined) return;
  const message = `${path} is in the cache of npx and will vanish; install from a checkout`;
  throw new InstallError('ERR_INSTALL_PLACE', message, { path });
}

function shellText({ nodePath, entry, configPath, cacheDir }: WrapperFacts): string {
  const command = [nodePath, ...NODE_FLAGS, entry, '--config', configPath].map(shellWord);
  return `#!/bin/sh
# The native messaging host of Tap & Pay, started by a browser.
# Written by "tapnpay agent install"; "tapnpay agent uninstall" removes it.
unset ${UNSET.join(' ')}
export NODE_COMPILE_CACHE=${shellWord(cacheDir)}
ulimit -c 0
exec ${command.join(' ')} "$@"
`;
}

/** In single quotes nothing has a meaning but the quote itself. */
function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** UTF-8 is said first: names of people are in these paths. */
function batchText({ nodePath, entry, configPath, cacheDir }: WrapperFacts): string {
  const word = (text: string): string => `"${batchPart(text)}"`;
  const command = [word(nodePath), ...NODE_FLAGS, word(entry), '--config', word(configPath)];
  return [
    '@echo off',
    'setlocal',
    'chcp 65001 >nul',
    ...UNSET.map((name) => `set "${name}="`),
    `set "NODE_COMPILE_CACHE=${batchPart(cacheDir)}"`,
    `${command.join(' ')} %*`,
    '',
  ].join('\r\n');
}

/** A percent sign would begin a variable. */
function batchPart(text: string): string {
  return text.replaceAll('%', '%%');
}
