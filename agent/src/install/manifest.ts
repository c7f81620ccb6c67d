/** The file by which a browser finds the host: written, and judged as a browser judges it. */
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import {
  type CheckCode,
  type Found,
  foundFault,
  foundOk,
  NATIVE_HOST_NAME,
} from '@tapnpay/protocol/wire';
import { parsedJson, readWhole } from './files.ts';
import type { BrowserPlaces } from './places.ts';

/** Who may call the host, and which program it is. */
export type HostIdentity = {
  /** Chromium's id of the extension, and Firefox's. */
  readonly extensionId: string;
  readonly geckoId: string;
  /** Absolute path of the wrapper. */
  readonly program: string;
};

type Dialect = BrowserPlaces['dialect'];

/** Name of the file in a folder of registrations. */
export const MANIFEST_FILE: string = `${NATIVE_HOST_NAME}.json`;

/** What the browsers show of the host. */
const DESCRIPTION = 'Tap & Pay: secure element and card readers';
const SHOWN_CHARACTERS_MAX = 100;

/** The manifest for one family of browsers. */
export function manifestText(dialect: Dialect, identity: HostIdentity): string {
  const { extensionId, geckoId, program } = identity;
  const callers =
    dialect === 'firefox'
      ? { allowed_extensions: [geckoId] }
      : { allowed_origins: [extensionOrigin(extensionId)] };
  const manifest = {
    name: NATIVE_HOST_NAME,
    description: DESCRIPTION,
    path: program,
    type: 'stdio',
    ...callers,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** What a browser of Chromium's family calls the extension. */
export function extensionOrigin(extensionId: string): string {
  return `chrome-extension://${extensionId}/`;
}

/** What a manifest should say; null where it is not known. */
export type WantedHost = Partial<HostIdentity>;

/** A manifest that a browser takes names this program. */
export type JudgedManifest = Found<'manifest'> & { readonly program: string | null };

/** Reads a manifest as a browser does. Null: there is no such file. */
export function judgeManifest(
  path: string,
  dialect: Dialect,
  wanted: WantedHost,
): JudgedManifest | null {
  const read = readWhole(path);
  if (read.text === null) {
    if (read.reason === 'ENOENT' || read.reason === 'ENOTDIR') return null;
    return fault('ERR_MANIFEST_UNREADABLE', { path, reason: read.reason });
  }
  const manifest = parsedJson(read.text);
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    return fault('ERR_MANIFEST_JSON', { path });
  }
  return judgeFields({ path, dialect, wanted, manifest: { ...manifest } });
}

type Judged = {
  readonly path: string;
  readonly dialect: Dialect;
  readonly wanted: WantedHost;
  readonly manifest: Readonly<Record<string, unknown>>;
};

function judgeFields({ path, dialect, wanted, manifest }: Judged): JudgedManifest {
  const { name, type, path: program } = manifest;
  if (name !== NATIVE_HOST_NAME) return fault('ERR_MANIFEST_NAME', { path, name: shown(name) });
  if (type !== 'stdio') return fault('ERR_MANIFEST_TYPE', { path, type: shown(type) });
  const forbidden = forbiddenCaller(dialect, wanted, manifest);
  if (forbidden !== null) return fault('ERR_HOST_FORBIDDEN', { path, wanted: forbidden });
  if (typeof program !== 'string' || program === '') {
    return fault('ERR_HOST_PATH_MISSING', { path, program: shown(program) });
  }
  return judgeProgram(path, program, wanted);
}

function judgeProgram(path: string, program: string, wanted: WantedHost): JudgedManifest {
  const facts = { path, program };
  if (!isAbsolute(program)) return fault('ERR_HOST_PATH_RELATIVE', facts);
  if (!existsSync(program)) return fault('ERR_HOST_PATH_MISSING', facts);
  if (!isExecutable(program)) return fault('ERR_HOST_NOT_EXECUTABLE', facts);
  const isOther = wanted.program !== undefined && realOf(wanted.program) !== realOf(program);
  // It may work: it is asked all the same.
  if (isOther)
    return { ...foundFault<'manifest'>('warn', 'ERR_HOST_OTHER_SYSTEM', facts), program };
  return { ...foundOk(facts), program };
}

/** The extension that is not let in; null when it is, or is not known. */
function forbiddenCaller(
  dialect: Dialect,
  { extensionId, geckoId }: WantedHost,
  manifest: Judged['manifest'],
): string | null {
  const [field, caller, id] =
    dialect === 'firefox'
      ? ['allowed_extensions', geckoId, geckoId]
      : ['allowed_origins', extensionId && extensionOrigin(extensionId), extensionId];
  if (caller === undefined || id === undefined) return null;
  const callers = manifest[field];
  return Array.isArray(callers) && callers.includes(caller) ? null : id;
}

function fault(
  code: CheckCode<'manifest'>,
  facts: Readonly<Record<string, string>>,
): JudgedManifest {
  return { ...foundFault<'manifest'>('broken', code, facts), program: null };
}

/** Foreign text for a person. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return text.replaceAll(/\p{Cc}/gu, ' ').slice(0, SHOWN_CHARACTERS_MAX);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function realOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
