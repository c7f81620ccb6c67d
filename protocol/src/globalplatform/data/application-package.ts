/**
 * The code of a load file: a manifest and one JavaScript module in one run of bytes. The hash of a
 * load file, which DAP signs and the element keeps, is over exactly these bytes.
 *
 * `TPLF` 01, four bytes of manifest length, the manifest (canonical JSON), then the module, both in
 * UTF-8.
 */
import {
  asciiToBytes,
  bytesToUint,
  bytesToUtf8,
  concatBytes,
  equalBytes,
  TapError,
  uintToBytes,
  utf8ToBytes,
} from '../../bytes/index.ts';
import { AID_BYTES_MAX, AID_BYTES_MIN } from './commands.ts';
import { GlobalPlatformError, limitFault } from './errors.ts';

/** One module of a package: what INSTALL [for install] names. */
export type PackageModule = {
  /** Hex, upper case. */
  readonly aid: string;
  readonly name: string;
};
/** What a package says about itself. */
export type ApplicationManifest = {
  readonly format: 1;
  readonly name: string;
  /** Three numbers with dots. */
  readonly version: string;
  readonly loadFileAid: string;
  /** Of the interface between applet and element. */
  readonly interfaceVersion: 1;
  readonly modules: readonly PackageModule[];
  /** Memory that one running instance may take. */
  readonly memoryBytes: number;
  /** Where the source is, for whoever reviews it. */
  readonly origin?: string;
};
/** A whole package. */
export type ApplicationPackage = {
  readonly manifest: ApplicationManifest;
  /** The text of one ES module without imports. */
  readonly bundle: string;
};

/** Largest package. */
export const APPLICATION_PACKAGE_BYTES_MAX: number = 4 * 1024 * 1024;
/** Largest manifest. */
export const MANIFEST_BYTES_MAX = 8192;
/** Modules of one package. */
export const PACKAGE_MODULES_MAX = 16;
/** Memory that a manifest may ask for: at least what the interpreter itself takes. */
export const APPLET_MEMORY_BYTES_MIN: number = 2 * 1024 * 1024;
export const APPLET_MEMORY_BYTES_MAX: number = 64 * 1024 * 1024;

const MAGIC = asciiToBytes('TPLF');
const FORMAT_OFFSET = 4;
const LENGTH_OFFSET = 5;
const MANIFEST_OFFSET = 9;
const FORMAT = 1;
const NAME_CHARACTERS_MAX = 64;
const ORIGIN_CHARACTERS_MAX = 256;
const AID_PATTERN = new RegExp(`^(?:[0-9A-F]{2}){${AID_BYTES_MIN},${AID_BYTES_MAX}}$`);
const VERSION_PATTERN = /^(?:0|[1-9][0-9]{0,4})(?:\.(?:0|[1-9][0-9]{0,4})){2}$/;

/**
 * The bytes of a package; equal packages give equal bytes.
 * @throws GlobalPlatformError `ERR_GP_PACKAGE` with `fieldPath`, `ERR_GP_LIMIT`.
 */
export function encodeApplicationPackage({ manifest, bundle }: ApplicationPackage): Uint8Array {
  const text = utf8ToBytes(canonicalText(manifestOf(manifest)));
  const code = utf8ToBytes(bundle);
  if (code.length === 0) throw packageFault('bundle', 'is empty');
  if (bytesToUtf8(code) !== bundle) throw packageFault('bundle', 'is no well-formed text');
  const bytes = concatBytes(
    MAGIC,
    Uint8Array.of(FORMAT),
    uintToBytes(text.length, MANIFEST_OFFSET - LENGTH_OFFSET),
    ...[text, code],
  );
  assertSize(bytes, text.length);
  return bytes;
}

/**
 * Reads a package. Only the bytes that `encodeApplicationPackage` makes are one: a second spelling
 * of a manifest would be a second hash of the same code.
 * @throws GlobalPlatformError `ERR_GP_PACKAGE` with `fieldPath`, `ERR_GP_LIMIT`.
 */
export function decodeApplicationPackage(bytes: Uint8Array): ApplicationPackage {
  if (!equalBytes(bytes.subarray(0, FORMAT_OFFSET), MAGIC)) {
    throw packageFault('magic', 'is not TPLF');
  }
  if (bytes.length < MANIFEST_OFFSET) throw packageFault('header', 'is cut off');
  if (bytes[FORMAT_OFFSET] !== FORMAT) throw packageFault('format', 'is not 1');
  const manifestBytes = bytesToUint(bytes.subarray(LENGTH_OFFSET, MANIFEST_OFFSET));
  assertSize(bytes, manifestBytes);
  const codeOffset = MANIFEST_OFFSET + manifestBytes;
  if (bytes.length < codeOffset) throw packageFault('manifest', 'is cut off');
  if (bytes.length === codeOffset) throw packageFault('bundle', 'is empty');
  const text = textOf('manifest', bytes.subarray(MANIFEST_OFFSET, codeOffset));
  const manifest = manifestOf(parsed(text));
  if (canonicalText(manifest) !== text) {
    throw packageFault('manifest', 'is not in its canonical form');
  }
  return { manifest, bundle: textOf('bundle', bytes.subarray(codeOffset)) };
}

function assertSize(bytes: Uint8Array, manifestBytes: number): void {
  if (bytes.length > APPLICATION_PACKAGE_BYTES_MAX) {
    throw limitFault('packageBytes', bytes.length, APPLICATION_PACKAGE_BYTES_MAX);
  }
  if (manifestBytes > MANIFEST_BYTES_MAX) {
    throw limitFault('manifestBytes', manifestBytes, MANIFEST_BYTES_MAX);
  }
}

function textOf(part: string, bytes: Uint8Array): string {
  try {
    return bytesToUtf8(bytes);
  } catch (thrown) {
    if (thrown instanceof TapError) throw packageFault(part, 'is no UTF-8');
    throw thrown;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw packageFault('manifest', 'is no JSON');
  }
}

/** The names in one order, no blanks, nothing else. */
function canonicalText(manifest: ApplicationManifest): string {
  return JSON.stringify(manifest);
}

/** A manifest with exactly the known fields in their order. */
function manifestOf(value: unknown): ApplicationManifest {
  const fields = recordOf('manifest', value);
  const known = ['format', 'name', 'version', 'loadFileAid', 'interfaceVersion', 'modules'];
  assertKnown('manifest', fields, [...known, 'memoryBytes', 'origin']);
  const { origin } = fields;
  return {
    format: oneOf('manifest.format', fields['format']),
    name: line('manifest.name', fields['name'], NAME_CHARACTERS_MAX),
    version: matching('manifest.version', fields['version'], VERSION_PATTERN),
    loadFileAid: matching('manifest.loadFileAid', fields['loadFileAid'], AID_PATTERN),
    interfaceVersion: oneOf('manifest.interfaceVersion', fields['interfaceVersion']),
    modules: modulesOf(fields['modules']),
    memoryBytes: memoryOf(fields['memoryBytes']),
    ...(origin === undefined
      ? {}
      : { origin: line('manifest.origin', origin, ORIGIN_CHARACTERS_MAX) }),
  };
}

function modulesOf(value: unknown): readonly PackageModule[] {
  const path = 'manifest.modules';
  if (!Array.isArray(value) || value.length === 0) throw packageFault(path, 'names no module');
  if (value.length > PACKAGE_MODULES_MAX) {
    throw limitFault('packageModules', value.length, PACKAGE_MODULES_MAX);
  }
  const modules = value.map((item: unknown, index) => {
    const own = `${path}[${index}]`;
    const fields = recordOf(own, item);
    assertKnown(own, fields, ['aid', 'name']);
    return {
      aid: matching(`${own}.aid`, fields['aid'], AID_PATTERN),
      name: line(`${own}.name`, fields['name'], NAME_CHARACTERS_MAX),
    };
  });
  for (const [index, { aid }] of modules.entries()) {
    const isFirst = modules.findIndex((module) => module.aid === aid) === index;
    if (!isFirst) throw packageFault(`${path}[${index}].aid`, 'is there twice');
  }
  return modules;
}

function memoryOf(value: unknown): number {
  const path = 'manifest.memoryBytes';
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw packageFault(path, 'is no whole number');
  }
  if (value > APPLET_MEMORY_BYTES_MAX) {
    throw limitFault('appletMemoryBytes', value, APPLET_MEMORY_BYTES_MAX);
  }
  if (value < APPLET_MEMORY_BYTES_MIN) {
    throw packageFault(path, `is below ${APPLET_MEMORY_BYTES_MIN}`);
  }
  return value;
}

function recordOf(path: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw packageFault(path, 'is no object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function assertKnown(path: string, fields: object, known: readonly string[]): void {
  const foreign = Object.keys(fields).find((name) => !known.includes(name));
  if (foreign !== undefined) throw packageFault(path, 'has a field that is not known');
}

function oneOf(path: string, value: unknown): 1 {
  if (value === 1) return value;
  throw packageFault(path, 'is not 1');
}

function matching(path: string, value: unknown, pattern: RegExp): string {
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw packageFault(path, 'has another form');
}

/** A text of one line. */
function line(path: string, value: unknown, charactersMax: number): string {
  if (typeof value !== 'string' || value.length === 0) throw packageFault(path, 'is no text');
  if (value.length > charactersMax) throw packageFault(path, `exceeds ${charactersMax} characters`);
  // Directions and line breaks could make a reviewer read another name than the machine does.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(value)) throw packageFault(path, 'has a character of control');
  return value;
}

function packageFault(fieldPath: string, why: string): GlobalPlatformError {
  return new GlobalPlatformError('ERR_GP_PACKAGE', `${fieldPath} ${why}`, { fieldPath });
}
