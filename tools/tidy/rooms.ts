/** Rooms and walls: which package, and which folder inside one, may import which. */
import {
  type Finding,
  importsOf,
  isTest,
  resolveRelative,
  type SourceFile,
  sources,
  type Tree,
} from './tree.ts';

/** Arrows between packages: the importer and what it may import. The complete list. */
const PACKAGE_ARROWS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  applet: ['protocol'],
  element: ['protocol'],
  samples: ['protocol'],
  agent: ['protocol'],
  plugin: ['protocol'],
  online: ['protocol'],
  sdk: [],
  web: ['protocol', 'plugin'],
  cli: ['protocol', 'agent', 'online', 'sdk'],
  tests: ['protocol', 'applet', 'samples', 'element', 'agent', 'plugin', 'online', 'sdk', 'cli'],
  bench: ['protocol', 'applet', 'element', 'agent', 'online', 'cli'],
};

/** Walls inside `protocol/src`: folder -> folders it may import. */
const PROTOCOL_WALLS: Readonly<Record<string, readonly string[]>> = {
  bytes: [],
  iso7816: ['bytes'],
  crypto: ['bytes'],
  'emv/data': ['bytes', 'iso7816', 'crypto'],
  'emv/terminal': ['bytes', 'iso7816', 'crypto', 'emv/data'],
  'emv/icc': ['bytes', 'iso7816', 'crypto', 'emv/data'],
  'emv/issuer': ['bytes', 'iso7816', 'crypto', 'emv/data'],
  'globalplatform/data': ['bytes', 'iso7816', 'crypto'],
  'globalplatform/applet': ['bytes', 'iso7816', 'crypto'],
  'globalplatform/oncard': ['bytes', 'iso7816', 'crypto', 'globalplatform/data'],
  'globalplatform/offcard': ['bytes', 'iso7816', 'crypto', 'globalplatform/data'],
  iso8583: ['bytes'],
  explain: [
    ...['bytes', 'iso7816', 'crypto', 'iso8583', 'emv/data', 'emv/issuer'],
    ...['globalplatform/data'],
  ],
  wire: ['bytes'],
};

/** Rule: an import crosses only where an arrow or a wall's door is. */
export function checkRooms(tree: Tree): readonly Finding[] {
  return sources(tree).flatMap((file) => [...checkArrows(file), ...checkWalls(file)]);
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function checkArrows(file: SourceFile): readonly Finding[] {
  const room = roomOf(file.path);
  const allowed = PACKAGE_ARROWS[room];
  if (!allowed) return [];
  return importsOf(file).flatMap(({ specifier, line }) => {
    const target = packageOf(specifier) ?? roomOf(resolveRelative(file.path, specifier) ?? room);
    const isOutside = target !== room && target in PACKAGE_ARROWS;
    const isOpen = allowed.includes(target) || (isTest(file.path) && target === 'protocol');
    if (!isOutside || isOpen) return [];
    return [{ path: file.path, line, message: `${room} may not import ${target} (${specifier})` }];
  });
}

function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('@tapnpay/')) return specifier.split('/')[1];
  return specifier === 'tapnpay' || specifier.startsWith('tapnpay/') ? 'cli' : undefined;
}

function checkWalls(file: SourceFile): readonly Finding[] {
  return importsOf(file).flatMap(({ specifier, line }) => {
    const target = resolveRelative(file.path, specifier);
    if (!target) return [];
    const message = wallMessage(file.path, target);
    return message ? [{ path: file.path, line, message }] : [];
  });
}

function wallMessage(from: string, target: string): string | undefined {
  if (from.startsWith('protocol/src/')) {
    const room = protocolFolder(from);
    const other = protocolFolder(target);
    if (isTest(from) || room === other) return undefined;
    if (!target.startsWith('protocol/src/')) return `pure code may not import ${target}`;
    const open = PROTOCOL_WALLS[room]?.includes(other) ?? false;
    return open ? undefined : `protocol's ${room} may not import ${other}`;
  }
  if (from.startsWith('online/src/') && target.startsWith('online/src/')) {
    const room = from.split('/')[2] ?? '';
    const other = target.split('/')[2] ?? '';
    if (isTest(from) || room === other || other === 'runtime') return undefined;
    return `party ${room} reaches ${other} only over its wire`;
  }
  return undefined;
}

function protocolFolder(path: string): string {
  const parts = path.split('/').slice(2);
  const isNested = parts[0] === 'emv' || parts[0] === 'globalplatform';
  return isNested ? `${parts[0]}/${parts[1]}` : (parts[0] ?? '');
}
