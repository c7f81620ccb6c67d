/**
 * The bytes of an application package: known bytes, round trip, and each wrong part by its path.
 * Bytes that only look like a package (another spelling, a byte more or less) are none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, fromHex, TapError, toHex, utf8ToBytes } from '../../bytes/index.ts';
import {
  APPLET_MEMORY_BYTES_MAX,
  APPLICATION_PACKAGE_BYTES_MAX,
  type ApplicationManifest,
  decodeApplicationPackage,
  encodeApplicationPackage,
  LAB_RID,
  LOYALTY_INSTANCE_AID,
  LOYALTY_LOAD_FILE_AID,
  LOYALTY_MODULE_AID,
  MANIFEST_BYTES_MAX,
  PAYMENT_INSTANCE_AID,
  PAYMENT_LOAD_FILE_AID,
  PAYMENT_MODULE_AID,
} from './index.ts';

const MANIFEST: ApplicationManifest = {
  ...{ format: 1, name: '忠诚卡 Loyalty', version: '1.2.3', loadFileAid: 'F054415002' },
  ...{ interfaceVersion: 1, modules: [{ aid: 'F05441500201', name: 'card' }] },
  memoryBytes: 8_388_608,
};
const BUNDLE = 'export const createApplet = () => ({});\n';
const BYTES = encodeApplicationPackage({ manifest: MANIFEST, bundle: BUNDLE });

/** A package with any manifest text, as a hostile writer makes it. */
function written(manifest: unknown, bundle = BUNDLE): Uint8Array {
  const text = utf8ToBytes(typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  const header = Uint8Array.of(0x54, 0x50, 0x4c, 0x46, 1, 0, 0, text.length >> 8, text.length);
  return concatBytes(header, text, utf8ToBytes(bundle));
}

function refusal(bytes: Uint8Array): readonly [string, unknown] {
  try {
    decodeApplicationPackage(bytes);
  } catch (thrown) {
    assert.ok(thrown instanceof TapError, String(thrown));
    return [thrown.code, thrown.data['fieldPath'] ?? thrown.data['limit']];
  }
  throw new assert.AssertionError({ message: 'it was taken' });
}

test('a package has exactly these bytes, in front of the module the manifest in one order', () => {
  const text = JSON.stringify(MANIFEST);
  assert.equal(toHex(BYTES.subarray(0, 5)), '54504C4601');
  assert.equal(toHex(BYTES), toHex(written(text)));
  const shuffled = Object.fromEntries(Object.entries(MANIFEST).reverse()) as ApplicationManifest;
  assert.deepEqual(encodeApplicationPackage({ manifest: shuffled, bundle: BUNDLE }), BYTES);
  assert.deepEqual(decodeApplicationPackage(BYTES), { manifest: MANIFEST, bundle: BUNDLE });
  const manifest = { ...MANIFEST, origin: 'https://example.org/src' };
  const bytes = encodeApplicationPackage({ manifest, bundle: BUNDLE });
  assert.deepEqual(decodeApplicationPackage(bytes).manifest, manifest);
});

test('a package that is cut off anywhere in front of its module is none', () => {
  const code = BYTES.length - BUNDLE.length;
  for (let length = 0; length <= code; length++) {
    assert.equal(refusal(BYTES.subarray(0, length))[0], 'ERR_GP_PACKAGE', `${length} bytes`);
  }
});

test('bytes after the module are part of it: the hash is another, and text must be text', () => {
  const longer = concatBytes(BYTES, Uint8Array.of(0x0a));
  assert.equal(decodeApplicationPackage(longer).bundle, `${BUNDLE}\n`);
  assert.deepEqual(refusal(concatBytes(BYTES, Uint8Array.of(0xff))), ['ERR_GP_PACKAGE', 'bundle']);
});

const changed = (change: object): Uint8Array => written({ ...MANIFEST, ...change });
const module = { aid: 'F05441500201', name: 'card' };
for (const [what, bytes, path] of [
  ['another magic', fromHex('54504C47010000000241'), 'magic'],
  ['nothing', new Uint8Array(), 'magic'],
  ['another format', concatBytes(fromHex('54504C4602'), BYTES.subarray(5)), 'format'],
  ['no module text', written(MANIFEST, ''), 'bundle'],
  ['no JSON', written('{"format":1'), 'manifest'],
  ['a list', written([]), 'manifest'],
  ['null', written('null'), 'manifest'],
  ['no UTF-8', concatBytes(fromHex('54504C460100000001FF41')), 'manifest'],
  ['blanks', written(JSON.stringify(MANIFEST, null, 1)), 'manifest'],
  ['another order', written(Object.fromEntries(Object.entries(MANIFEST).reverse())), 'manifest'],
  [
    'an escaped letter',
    written(JSON.stringify(MANIFEST).replace('card', '\\u0063ard')),
    'manifest',
  ],
  ['a name twice', written(JSON.stringify(MANIFEST).replace('{', '{"format":1,')), 'manifest'],
  ['an unknown field', changed({ privileges: 'all' }), 'manifest'],
  ['a prototype', written(`{"__proto__":1,${JSON.stringify(MANIFEST).slice(1)}`), 'manifest'],
  ['format of its own', changed({ format: 2 }), 'manifest.format'],
  ['format as text', changed({ format: '1' }), 'manifest.format'],
  ['no name', changed({ name: '' }), 'manifest.name'],
  ['a long name', changed({ name: 'x'.repeat(65) }), 'manifest.name'],
  ['a name that turns direction', changed({ name: 'pay\u202eyap' }), 'manifest.name'],
  ['a name of two lines', changed({ name: 'a\nb' }), 'manifest.name'],
  ['a version of two numbers', changed({ version: '1.0' }), 'manifest.version'],
  ['a version with zeros', changed({ version: '01.0.0' }), 'manifest.version'],
  ['a short AID', changed({ loadFileAid: 'F0544150' }), 'manifest.loadFileAid'],
  ['a long AID', changed({ loadFileAid: 'F0'.repeat(17) }), 'manifest.loadFileAid'],
  ['an AID in small letters', changed({ loadFileAid: 'f054415002' }), 'manifest.loadFileAid'],
  ['another interface', changed({ interfaceVersion: 2 }), 'manifest.interfaceVersion'],
  ['no modules', changed({ modules: [] }), 'manifest.modules'],
  ['modules that are no list', changed({ modules: module }), 'manifest.modules'],
  ['a module that is no object', changed({ modules: ['x'] }), 'manifest.modules[0]'],
  [
    'a module with a field more',
    changed({ modules: [{ ...module, path: '/' }] }),
    'manifest.modules[0]',
  ],
  ['two modules of one name', changed({ modules: [module, module] }), 'manifest.modules[1].aid'],
  ['half a byte of memory', changed({ memoryBytes: 8_388_608.5 }), 'manifest.memoryBytes'],
  ['too little memory', changed({ memoryBytes: 1 }), 'manifest.memoryBytes'],
  ['memory as text', changed({ memoryBytes: '8388608' }), 'manifest.memoryBytes'],
  ['an origin that is no text', changed({ origin: 1 }), 'manifest.origin'],
] as const) {
  test(`no package: ${what}`, () => {
    assert.deepEqual(refusal(bytes), ['ERR_GP_PACKAGE', path]);
  });
}

test('a package, its manifest, its modules and its memory have their limits', () => {
  const huge = new Uint8Array(APPLICATION_PACKAGE_BYTES_MAX + 1).fill(0x20);
  huge.set(BYTES);
  assert.deepEqual(refusal(huge), ['ERR_GP_LIMIT', 'packageBytes']);
  const long = changed({ origin: 'x'.repeat(MANIFEST_BYTES_MAX) });
  assert.deepEqual(refusal(long), ['ERR_GP_LIMIT', 'manifestBytes']);
  const modules = Array.from({ length: 17 }, (_, index) => ({
    aid: `F0544150${index + 10}`,
    name: 'x',
  }));
  assert.deepEqual(refusal(changed({ modules })), ['ERR_GP_LIMIT', 'packageModules']);
  const memoryBytes = APPLET_MEMORY_BYTES_MAX + 1;
  assert.deepEqual(refusal(changed({ memoryBytes })), ['ERR_GP_LIMIT', 'appletMemoryBytes']);
});

test('what cannot be read back is not written', () => {
  for (const bad of [
    { manifest: { ...MANIFEST, name: '' }, bundle: BUNDLE },
    { manifest: MANIFEST, bundle: '' },
    { manifest: MANIFEST, bundle: '"\ud800"' },
  ]) {
    assert.throws(
      () => encodeApplicationPackage(bad),
      (thrown) => thrown instanceof TapError && thrown.code === 'ERR_GP_PACKAGE',
    );
  }
  const bundle = ' '.repeat(APPLICATION_PACKAGE_BYTES_MAX);
  assert.throws(
    () => encodeApplicationPackage({ manifest: MANIFEST, bundle }),
    (thrown) => thrown instanceof TapError && thrown.code === 'ERR_GP_LIMIT',
  );
});

test('of any bytes, the decoder throws its own faults or gives what encodes to the same bytes', () => {
  const near = fc
    .tuple(fc.nat(BYTES.length - 1), fc.integer({ min: 0, max: 255 }))
    .map(([index, value]) => BYTES.with(index, value));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), near), (bytes) => {
      try {
        assert.deepEqual(encodeApplicationPackage(decodeApplicationPackage(bytes)), bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof TapError, String(thrown));
      }
    }),
  );
});

test('names of our own begin with our identifier, and no two are equal', () => {
  const files = [PAYMENT_LOAD_FILE_AID, LOYALTY_LOAD_FILE_AID];
  const modules = [PAYMENT_MODULE_AID, LOYALTY_MODULE_AID];
  for (const aid of [...files, ...modules]) assert.ok(aid.startsWith(LAB_RID), aid);
  assert.equal(new Set([...files, ...modules]).size, 4);
  assert.equal(PAYMENT_INSTANCE_AID, PAYMENT_MODULE_AID);
  assert.equal(LOYALTY_INSTANCE_AID, LOYALTY_MODULE_AID);
});
