/** Imports = package.json dependencies = project references, and exact versions everywhere. */
import { builtinModules } from 'node:module';
import { type Finding, importsOf, isTest, sources, type Tree } from './tree.ts';

type Manifest = {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};
type Project = { readonly references?: readonly { readonly path: string }[] };

/** Rule: what a package imports is what its manifest and its tsconfig name, and the reverse. */
export function checkManifests(tree: Tree): readonly Finding[] {
  const manifests = tree.files.filter((file) => /^[a-z]+\/package\.json$/.test(file.path));
  return manifests.flatMap((file) => {
    const room = file.path.split('/')[0] ?? '';
    const manifest = JSON.parse(file.text) as Manifest;
    const used = usedPackages(tree, room, manifest.name ?? '');
    return [
      ...compareDependencies(file.path, manifest, used),
      ...compareReferences(tree, room, used),
    ];
  });
}

/** Rule: no version range in any manifest. */
export function checkExactVersions(tree: Tree): readonly Finding[] {
  const manifests = tree.files.filter((file) => /(^|\/)package\.json$/.test(file.path));
  return manifests.flatMap((file) => {
    const manifest = JSON.parse(file.text) as Manifest;
    const all = {
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    };
    return Object.entries(all)
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/.test(version))
      .map(([name, version]) => ({
        path: file.path,
        line: 1,
        message: `${name} ${version} is not an exact version`,
      }));
  });
}

function usedPackages(tree: Tree, room: string, self: string): ReadonlySet<string> {
  const builtin = new Set(builtinModules);
  const used = new Set<string>();
  for (const file of sources(tree)) {
    if (!file.path.startsWith(`${room}/`) || isTest(file.path)) continue;
    for (const { specifier } of importsOf(file)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      const parts = specifier.split('/');
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
      if (name !== self && !builtin.has(name)) used.add(name);
    }
  }
  return used;
}

function compareDependencies(
  path: string,
  manifest: Manifest,
  used: ReadonlySet<string>,
): readonly Finding[] {
  const named = new Set(Object.keys(manifest.dependencies ?? {}));
  const missing = [...used].filter((name) => !named.has(name));
  const unused = [...named].filter((name) => !used.has(name));
  return [
    ...missing.map((name) => ({ path, line: 1, message: `${name} is imported but not named` })),
    ...unused.map((name) => ({ path, line: 1, message: `${name} is named but never imported` })),
  ];
}

function compareReferences(
  tree: Tree,
  room: string,
  used: ReadonlySet<string>,
): readonly Finding[] {
  const path = `${room}/tsconfig.json`;
  const file = tree.files.find((candidate) => candidate.path === path);
  if (!file) return [{ path, line: 1, message: 'every package has a project' }];
  const project = JSON.parse(file.text) as Project;
  const referred = new Set(
    (project.references ?? []).map(({ path: to }) => to.split('/')[1] ?? ''),
  );
  const rooms = new Set(
    [...used]
      .filter((name) => name.startsWith('@tapnpay/'))
      .map((name) => name.split('/')[1] ?? ''),
  );
  const missing = [...rooms].filter((name) => !referred.has(name));
  const unused = [...referred].filter((name) => !rooms.has(name));
  return [
    ...missing.map((name) => ({ path, line: 1, message: `reference to ${name} is missing` })),
    ...unused.map((name) => ({ path, line: 1, message: `reference to ${name} is not needed` })),
  ];
}
