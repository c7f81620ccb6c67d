/**
 * The three functions of `Reflect` metadata that tsyringe, under @peculiar/x509, asks for when it
 * loads (TC39 proposal "Metadata Reflection API"). Imported for its effect, before that library.
 */

type MetadataTable = Map<unknown, unknown>;
type MetadataReflect = {
  getMetadata?: (key: unknown, target: object) => unknown;
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
};

const tables = new WeakMap<object, MetadataTable>();

function getOwnMetadata(key: unknown, target: object): unknown {
  return tables.get(target)?.get(key);
}

function getMetadata(key: unknown, target: object): unknown {
  for (let owner: object | null = target; owner; owner = Reflect.getPrototypeOf(owner)) {
    const table = tables.get(owner);
    if (table?.has(key)) return table.get(key);
  }
  return undefined;
}

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const table: MetadataTable = tables.get(target) ?? new Map();
  table.set(key, value);
  tables.set(target, table);
}

const reflect = Reflect as MetadataReflect;
if (reflect.getMetadata === undefined) {
  Object.assign(reflect, { getMetadata, getOwnMetadata, defineMetadata });
}
