/**
 * The card's store: every state comes back whole, only what changed is written, nothing that was
 * altered on the disk is taken, and nothing of it can be read there.
 */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { Application, CardState, LoadFile } from '@tapnpay/protocol/globalplatform/oncard';
import { ElementStore } from '../store.ts';
import { systemRandom } from '../system.ts';
import { BLOB_FILE_BYTES_MAX } from './blobs.ts';
import { CardFolder, plainState } from './card.test-kit.ts';
import { CARD_ROOT_BYTES_MAX, ElementCardStore } from './card-store.ts';

const MIB = 1024 * 1024;

function storeOf({ directory }: CardFolder): ElementCardStore {
  const store = ElementCardStore.open(new ElementStore(directory, systemRandom), systemRandom);
  assert.ok(store);
  return store;
}

function loadFile(aid: string, code: Uint8Array): LoadFile {
  const [domainAid, moduleAids] = ['A000000151000000', [`${aid}01`]];
  return { ...{ aid, domainAid, moduleAids, isBuiltIn: false }, code, hash: code.slice(0, 32) };
}

function application(aid: string, persistent: Uint8Array): Application {
  return {
    ...{ kind: 'application', aid, lifeCycle: 7, isLockedGlobally: false, privileges: 0 },
    ...{ domainAid: 'A000000151000000', loadFileAid: aid.slice(0, 10), moduleAid: aid },
    ...{ memoryBytesMax: MIB, persistent },
  };
}

const withFile = (state: CardState, file: LoadFile): CardState => ({
  ...{ ...state, loadFiles: [...state.loadFiles, file] },
});
const withEntry = (state: CardState, entry: Application): CardState => ({
  ...state,
  entries: [...state.entries.filter(({ aid }) => aid !== entry.aid), entry],
});
/** Bytes of the disk that a step changes. */
function written({ directory }: CardFolder, step: () => void): number {
  const read = () =>
    new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]));
  const before = read();
  step();
  let changed = 0;
  for (const [name, bytes] of read()) {
    const old = before.get(name) ?? Buffer.alloc(0);
    for (let index = 0; index < bytes.length; index++) {
      if (bytes[index] !== old[index]) changed += 1;
    }
  }
  return changed;
}

test('states with load files up to 4 MB, long and short data come back as they were', () => {
  using folder = new CardFolder();
  folder.bear();
  let store = storeOf(folder);
  let state = store.load();
  const steps: ((before: CardState) => CardState)[] = [
    (before) => withFile(before, loadFile('F054415001', new Uint8Array(4 * MIB).fill(0x4a))),
    (before) => withEntry(before, application('F05441500101', new Uint8Array(70_000).fill(1))),
    (before) => withEntry(before, application('F05441500101', new Uint8Array(3))),
    (before) => withFile(before, loadFile('F054415002', new Uint8Array(MIB).fill(7))),
    (before) => ({ ...before, loadFiles: before.loadFiles.slice(0, 1) }),
    (before) => ({ ...before, entries: before.entries.slice(0, 1), lifeCycle: 0x0f }),
  ];
  for (const step of steps) {
    state = step(state);
    store.commit(state);
    assert.deepEqual(plainState(storeOf(folder).load()), plainState(state));
    // A store that is opened anew goes on from there.
    store = storeOf(folder);
    state = store.load();
  }
});

test('a small change writes little, whatever else is there; the same object is not written', () => {
  using folder = new CardFolder();
  folder.bear();
  const store = storeOf(folder);
  const large = loadFile('F054415001', new Uint8Array(systemRandom.bytes(2 * MIB)));
  let state = withFile(store.load(), large);
  assert.ok(written(folder, () => store.commit(state)) > MIB);
  state = withEntry(state, application('F05441500101', Uint8Array.of(1)));
  const small = written(folder, () => store.commit(state));
  assert.ok(small > 0 && small < 8_192, `${small} bytes`);
  state = withEntry(state, application('F05441500101', systemRandom.bytes(20_000)));
  const middle = written(folder, () => store.commit(state));
  assert.ok(middle > 15_000 && middle < 30_000, `${middle} bytes`);
});

test('what is replaced makes room: the file of blobs does not grow without end', () => {
  using folder = new CardFolder();
  folder.bear();
  const store = storeOf(folder);
  let state = store.load();
  for (let round = 0; round < 40; round++) {
    state = withEntry(state, application('F05441500101', systemRandom.bytes(100_000 + round)));
    store.commit(state);
  }
  const bytes = readFileSync(join(folder.directory, 'card.blobs')).length;
  assert.ok(bytes < 4 * 104_000, `${bytes} bytes`);
  assert.ok(BLOB_FILE_BYTES_MAX > 2 * 8 * MIB && CARD_ROOT_BYTES_MAX > 256 * 2_100);
});

test('the object of an older state that comes again is written again', () => {
  using folder = new CardFolder();
  folder.bear();
  const store = storeOf(folder);
  const first = withEntry(store.load(), application('F05441500101', systemRandom.bytes(5_000)));
  const second = withEntry(store.load(), application('F05441500101', systemRandom.bytes(5_000)));
  for (const state of [first, second, second, first, second, first]) {
    store.commit(state);
    assert.deepEqual(plainState(storeOf(folder).load()), plainState(state));
  }
});

test('a state that does not fit is refused, and the one before stays', () => {
  using folder = new CardFolder();
  folder.bear();
  const store = storeOf(folder);
  const state = store.load();
  const objects = Array.from({ length: 800 }, (_, index) => ({
    ...application(`F0544150${String(index).padStart(4, '0')}`, new Uint8Array(500)),
  }));
  const most = { ...state, entries: [...state.entries, ...objects, ...objects, ...objects] };
  assert.throws(() => store.commit(most), { code: 'ERR_STORE_SIZE' });
  const huge = loadFile('F054415001', new Uint8Array(BLOB_FILE_BYTES_MAX + 1));
  assert.throws(() => store.commit(withFile(state, huge)), { code: 'ERR_STORE_SIZE' });
  assert.deepEqual(plainState(storeOf(folder).load()), plainState(state));
  store.commit(withEntry(state, application('F05441500101', new Uint8Array(9))));
});

test('nothing of the card can be read on the disk: keys, code, data', () => {
  using folder = new CardFolder();
  const card = folder.bear();
  const store = storeOf(folder);
  const marked = Buffer.from('THE-CODE-OF-AN-APPLICATION'.repeat(40));
  store.commit(withFile(store.load(), loadFile('F054415001', new Uint8Array(marked))));
  const [domain] = card.state().entries;
  assert.ok(domain?.kind === 'domain');
  const key = domain.keySets[0]?.keys[0]?.components[0]?.bytes ?? new Uint8Array();
  assert.equal(key.length, 16);
  for (const name of readdirSync(folder.directory)) {
    const bytes = readFileSync(join(folder.directory, name));
    const text = bytes.toString('latin1');
    for (const secret of [
      marked.toString('latin1'),
      toHex(key),
      Buffer.from(key).toString('latin1'),
    ])
      assert.ok(!text.includes(secret.slice(0, 26)), name);
    assert.ok(!text.includes(Buffer.from(key).toString('base64')), name);
  }
});

for (const name of ['card.store', 'card.blobs'] as const) {
  test(`code that is altered on the disk is not run: one bit of ${name}`, () => {
    using folder = new CardFolder();
    folder.bear();
    const code = systemRandom.bytes(10_000);
    storeOf(folder).commit(withFile(storeOf(folder).load(), loadFile('F054415001', code)));
    const path = join(folder.directory, name);
    const bytes = readFileSync(path);
    const places = name === 'card.blobs' ? [5_000] : [100, CARD_ROOT_BYTES_MAX + 100];
    for (const place of places) bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    assert.throws(() => folder.open(), { code: 'ERR_STORE_CORRUPT' });
  });
}

test('an older file of blobs beside a newer root does not open', () => {
  using folder = new CardFolder();
  folder.bear();
  const store = storeOf(folder);
  const [path, copy] = ['card.blobs', 'copy'].map((name) => join(folder.directory, name));
  assert.ok(path && copy);
  let state = store.load();
  for (let round = 0; round < 2; round++) {
    copyFileSync(path, copy);
    state = withEntry(state, application('F05441500101', systemRandom.bytes(5_000)));
    store.commit(state);
  }
  copyFileSync(copy, path);
  assert.throws(() => folder.open(), { code: 'ERR_STORE_CORRUPT' });
});

test('two processes on one card: the second to write is refused before it writes', () => {
  using folder = new CardFolder();
  folder.bear();
  const [one, other] = [storeOf(folder), storeOf(folder)];
  const state = withEntry(one.load(), application('F05441500101', systemRandom.bytes(5_000)));
  one.commit(state);
  const harm = written(folder, () => {
    assert.throws(() => other.commit({ ...other.load(), lifeCycle: 0xff }), {
      code: 'ERR_STORE_FORK',
    });
  });
  assert.equal(harm, 0);
  assert.deepEqual(plainState(storeOf(folder).load()), plainState(state));
});

test('birth happens once; a killed birth is done again', () => {
  using folder = new CardFolder();
  writeFileSync(join(folder.directory, 'card.store.new'), 'cut off');
  writeFileSync(join(folder.directory, 'card.blobs'), 'of nobody');
  const { serialNumber } = folder.bear().facts();
  assert.throws(() => folder.bear(), { code: 'ERR_ELEMENT_BORN' });
  assert.equal(folder.open().facts().serialNumber, serialNumber);
});

test('a key file that others may read is refused', { skip: process.platform === 'win32' }, () => {
  using folder = new CardFolder();
  folder.bear();
  const path = join(folder.directory, 'element.key');
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode);
    assert.throws(() => folder.open(), { code: 'ERR_STORE_RIGHTS' });
  }
  chmodSync(path, 0o600);
  rmSync(join(folder.directory, 'card.blobs'));
  assert.equal(folder.open().facts().serialNumber.length, 16, 'nothing lay there yet');
  assert.deepEqual(fromHex(folder.open().facts().keyDiversificationData).length, 10);
});
