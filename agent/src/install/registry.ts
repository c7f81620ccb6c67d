/** The registry of Windows, by its own program: there a browser finds the host's manifest. */
import { execFile } from 'node:child_process';
import { NATIVE_HOST_NAME } from '@tapnpay/protocol/wire';
import { InstallError } from './errors.ts';

const REG_TIMEOUT_MS = 5_000;

/** Runs `reg.exe` with these arguments; resolves with what it prints, null when it refuses. */
export type RunRegistry = (args: readonly string[]) => Promise<string | null>;

/** The machine's own. */
export const runRegistry: RunRegistry = (args) =>
  new Promise((resolve) => {
    execFile('reg.exe', [...args], { timeout: REG_TIMEOUT_MS }, (fault, text) =>
      resolve(fault === null ? text : null),
    );
  });

/** The key of our host below a browser's key. */
export function hostKey(browserKey: string): string {
  return `${browserKey}\\${NATIVE_HOST_NAME}`;
}

/** What a person types where this program may not. */
export function registryLine(key: string, manifestPath: string): string {
  return `reg add "${key}" /ve /t REG_SZ /d "${manifestPath}" /f`;
}

/** Names the manifest in the key's default value. @throws InstallError `ERR_INSTALL_REGISTRY`. */
export async function putKey(run: RunRegistry, key: string, manifestPath: string): Promise<void> {
  const args = ['add', key, '/ve', '/t', 'REG_SZ', '/d', manifestPath, '/f'];
  if ((await run(args)) !== null) return;
  const line = registryLine(key, manifestPath);
  throw new InstallError('ERR_INSTALL_REGISTRY', `the registry refuses; as its owner: ${line}`, {
    path: key,
  });
}

/** Removes the key when it names our manifest. @throws InstallError `ERR_INSTALL_REGISTRY`. */
export async function takeKey(run: RunRegistry, key: string): Promise<void> {
  if ((await readKey(run, key)) === null) return;
  if ((await run(['delete', key, '/f'])) !== null) return;
  throw new InstallError('ERR_INSTALL_REGISTRY', `the registry refuses: reg delete "${key}" /f`, {
    path: key,
  });
}

/** The manifest that a key names, or null. The value's name is in the system's language. */
export async function readKey(run: RunRegistry, key: string): Promise<string | null> {
  const text = await run(['query', key, '/ve']);
  return /REG_SZ\s+(.+?)\s*$/m.exec(text ?? '')?.[1] ?? null;
}
