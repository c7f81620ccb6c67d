/**
 * Shows that a job of every kind, cut at every command, before the element has worked on it or
 * behind that, goes on at the next contact and ends as the uncut one, also when the manager was
 * started again in between. Nothing is remembered but the rows and what the element says.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CardState } from '@tapnpay/protocol/globalplatform/oncard';
import { Contacts } from '../contacts.ts';
import type { JobKind } from '../model.ts';
import { MemoryTsmStore } from '../store-memory.ts';
import {
  APPLICATION,
  type Birth,
  Cut,
  type CutAt,
  contact,
  ISSUER,
  SAMPLE_PROVIDER,
  type TestElement,
  type TestTsm,
  testTsm,
} from '../tsm.test-kit.ts';
import { createJob } from './create.ts';

const applicationIds = [APPLICATION.id];
/** Contacts that a cut job may need. */
const CONTACTS_MAX = 4;

type Scene = {
  readonly kind: JobKind;
  readonly ids?: readonly string[];
  readonly birth?: Birth;
  /** What the element has behind it. */
  readonly before: readonly JobKind[];
  /** Somebody else has locked the application and made the card another one. */
  readonly isSpoiled?: boolean;
  /** Released after that. */
  readonly release?: string;
};

const SCENES: readonly Scene[] = [
  { kind: 'enrol', ids: applicationIds, before: [] },
  { kind: 'enrol', ids: applicationIds, birth: { keyType: 'des' }, before: [] },
  { kind: 'update', ids: applicationIds, before: ['enrol'], release: '2.0.0' },
  { kind: 'lock', ids: applicationIds, before: ['enrol'] },
  { kind: 'unlock', ids: applicationIds, before: ['enrol', 'lock'] },
  { kind: 'delete', ids: applicationIds, before: ['enrol'] },
  { kind: 'personalise', ids: applicationIds, before: ['enrol'] },
  { kind: 'rotateKeys', before: ['enrol'] },
  { kind: 'rotateKeys', birth: { keyType: 'des' }, before: ['enrol'] },
  { kind: 'repair', before: ['enrol'], isSpoiled: true },
];

async function prepared(scene: Scene): Promise<{ tsm: TestTsm; element: TestElement }> {
  const tsm = await testTsm();
  await tsm.release();
  const element = await tsm.element(scene.birth);
  const { serial } = element;
  for (const kind of scene.before) {
    await createJob(tsm.ports, ISSUER, { serial, kind, applicationIds });
    const { jobs } = await contact(tsm.contacts(), element);
    assert.ok(
      jobs.every(({ state }) => state === 'done'),
      JSON.stringify(jobs),
    );
  }
  if (scene.isSpoiled) element.stored = spoiled(element.stored);
  element.restart();
  if (scene.release !== undefined) await tsm.release(scene.release);
  const { kind, ids } = scene;
  await createJob(tsm.ports, ISSUER, { serial, kind, applicationIds: ids });
  return { tsm, element };
}

type Prepared = Awaited<ReturnType<typeof prepared>>;

/** The application is gone, its file is there, and the provider's domain has lost its keys. */
function spoiled(state: CardState): CardState {
  const entries = state.entries
    .filter(({ aid }) => aid !== APPLICATION.instanceAid)
    .map((entry) =>
      entry.kind === 'domain' && entry.aid === SAMPLE_PROVIDER.domainAid
        ? { ...entry, keySets: [] }
        : entry,
    );
  return { ...state, entries };
}

/** Cuts, then lets contacts come until nothing is open; what became of the element. */
async function cutRun(
  { tsm, element }: Prepared,
  cut: CutAt,
  isRestarted: boolean,
): Promise<string> {
  assert.ok(tsm.ports.store instanceof MemoryTsmStore);
  const ports = { ...tsm.ports, store: new MemoryTsmStore(tsm.ports.store) };
  let contacts = new Contacts(ports);
  await assert.rejects(contact(contacts, element, { cut }), Cut);
  element.restart();
  for (let left = CONTACTS_MAX; left > 0; left--) {
    if (isRestarted) contacts = new Contacts(ports);
    const { jobs } = await contact(contacts, element);
    assert.ok(
      jobs.every(({ state }) => state === 'done'),
      JSON.stringify(jobs),
    );
    if (jobs.length === 0) break;
  }
  const open = await ports.store.list('jobs', { state: 'waiting' });
  assert.equal(open.length, 0);
  const row = await ports.store.find('elements', element.serial);
  assert.deepEqual(row?.sentKeySets, []);
  return element.essence();
}

for (const scene of SCENES) {
  const name = `${scene.kind} of an element with ${scene.birth?.keyType ?? 'aes'} keys`;
  describe(name, () => {
    test('cut at every command it ends as uncut', async () => {
      const ready = await prepared(scene);
      const { tsm, element } = ready;
      const before = element.stored;
      const again = (): void => {
        element.stored = before;
        element.restart();
      };
      assert.ok(tsm.ports.store instanceof MemoryTsmStore);
      const ports = { ...tsm.ports, store: new MemoryTsmStore(tsm.ports.store) };
      const whole = await contact(new Contacts(ports), element);
      assert.ok(
        whole.jobs.every(({ state }) => state === 'done'),
        JSON.stringify(whole.jobs),
      );
      const wanted = element.essence();
      let runs = 0;
      for (let index = 0; index < whole.commands; index++) {
        // Every cut of the usual keys; every other one of the others, whose steps are the same.
        const isUsual = scene.birth === undefined;
        for (const isAnswerLost of isUsual ? [false, true] : [index % 2 === 0]) {
          const isRestarted = (index + (isAnswerLost ? 1 : 0)) % 2 === 0;
          again();
          const got = await cutRun(ready, { index, isAnswerLost }, isRestarted);
          assert.equal(got, wanted, `command ${index}, answer lost ${isAnswerLost}`);
          runs++;
        }
      }
      assert.ok(runs >= whole.commands && runs > 10, `${runs} cuts`);
    });
  });
}
