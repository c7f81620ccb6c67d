/**
 * Shows what each kind of job makes of a real card over both protocols and every key size, and what
 * stops one: wrong masters and data, forged answers, unsigned and altered files, revoked versions,
 * a card that is badly behaved. Nothing is sent that a card with other keys would count.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HsmAnswers, HsmRequest } from '@tapnpay/protocol/wire';
import { placementView } from '../drift.ts';
import { revokeVersion } from '../lifecycle/certification.ts';
import { addUser } from '../lifecycle/directory.ts';
import { moveElement, transferElement } from '../lifecycle/elements.ts';
import { type Job, type JobKind, placementId, versionId } from '../model.ts';
import { addRow, changeRow } from '../rows.ts';
import {
  APPLICATION,
  type Birth,
  Cut,
  contact,
  ISSUER,
  REVIEWER,
  type RelayOptions,
  SAMPLE_PROVIDER,
  samplePackage,
  type TestElement,
  type TestTsm,
  testTsm,
} from '../tsm.test-kit.ts';
import { cancelJob, createJob } from './create.ts';
import { previewJob } from './preview.ts';

const applicationIds = [APPLICATION.id];
const VERSION = versionId(APPLICATION.id, '1.0.0');

type Scene = { readonly tsm: TestTsm; readonly element: TestElement };

async function enrolled(
  options: { birth?: Birth; relay?: RelayOptions; profile?: Parameters<typeof testTsm>[0] } = {},
): Promise<Scene> {
  const tsm = await testTsm(options.profile);
  await tsm.release();
  const element = await tsm.element(options.birth);
  await job({ tsm, element }, 'enrol', options.relay);
  return { tsm, element };
}

/** Makes a job and lets one contact come; the job afterwards. */
async function job({ tsm, element }: Scene, kind: JobKind, relay: RelayOptions = {}): Promise<Job> {
  const ofElement = ['rotateKeys', 'repair', 'suspend', 'resume'].includes(kind);
  const { serial } = element;
  const ids = ofElement ? [] : applicationIds;
  const made = await createJob(tsm.ports, ISSUER, { serial, kind, applicationIds: ids });
  await contact(tsm.contacts(), element, relay);
  const after = await tsm.ports.store.find('jobs', made.id);
  assert.ok(after);
  return after;
}

function entryState({ element }: Scene): number | undefined {
  return element.stored.entries.find(({ aid }) => aid === APPLICATION.instanceAid)?.lifeCycle;
}

const EXTERNAL_AUTHENTICATE = /^8482/;

describe('every kind of job', () => {
  test('enrolment changes keys first, then domains, card, application; SCP03 and SCP02', async () => {
    for (const birth of [{}, { master: 'factoryOpen' }, { keyType: 'des' }] as const) {
      const { tsm, element } = await enrolled({ birth });
      const [row] = await tsm.ports.store.list('jobs');
      assert.equal(row?.state, 'done', JSON.stringify(row?.fault));
      assert.deepEqual(
        row.steps.map(({ name }) => name),
        [
          ...['putKeys', 'makeDomain', 'putKeys', 'putCertifierKey', 'makeDomain', 'putKeys'],
          ...['setCardState', 'setCardState', 'load', 'install', 'personalise'],
        ],
      );
      const versions = element.stored.entries.flatMap((entry) =>
        entry.kind === 'domain' ? [entry.keySets.map(({ version }) => version)] : [],
      );
      const first = element.keyType === 'aes' ? 0x30 : 0x20;
      assert.deepEqual(versions, [[first], [first, 0x73], [first]]);
      assert.equal((await tsm.ports.store.find('elements', element.serial))?.state, 'active');
      assert.equal(element.stored.lifeCycle, 0x0f);
    }
  });

  test('S8 and S16, with and without predictable challenges and protected answers', async () => {
    for (const scp03ParameterI of [0x00, 0x10, 0x60, 0x70, 0x01, 0x11, 0x61, 0x71]) {
      const { tsm } = await enrolled({ birth: { profile: { scp03ParameterI } } });
      const [row] = await tsm.ports.store.list('jobs');
      assert.equal(row?.state, 'done', `${scp03ParameterI} ${JSON.stringify(row?.fault)}`);
    }
  });

  test('keys of 16, 24 and 32 bytes, each rotated within its length', async () => {
    for (const lengthBytes of [16, 24, 32]) {
      const tsm = await testTsm();
      await tsm.release();
      const element = await tsm.element();
      const made = await tsm.ports.hsm.call({
        ...({ command: 'generateElementMaster', algorithm: 'A', lengthBytes } as const),
      });
      await addRow(tsm.ports.store, 'masters', {
        ...{ id: 'own', parent: '', state: 'inUse', keyType: 'aes', lengthBytes, ...made },
        createdAtMs: tsm.clock.nowMs(),
      });
      await changeRow(tsm.ports.store, 'elements', element.serial, () => ({ master: 'own' }));
      const scene = { tsm, element };
      for (const kind of ['enrol', 'rotateKeys', 'lock'] as const) {
        const done = await job(scene, kind);
        assert.equal(done.state, 'done', `${lengthBytes} ${kind} ${JSON.stringify(done.fault)}`);
      }
      const lengths = element.stored.entries.flatMap((entry) =>
        entry.kind === 'domain'
          ? entry.keySets
              .filter(({ version }) => version < 0x70)
              .flatMap(({ keys }) => keys.map(({ components }) => components[0]?.bytes.length))
          : [],
      );
      assert.deepEqual(new Set(lengths), new Set([lengthBytes]));
    }
  });

  test('a card of short commands gets blocks that fit exactly: report 15', async () => {
    for (const commandBytesMax of [96, 128, 255]) {
      const { tsm, element } = await enrolled({ birth: { profile: { commandBytesMax } } });
      const [row] = await tsm.ports.store.list('jobs');
      assert.equal(row?.state, 'done', `${commandBytesMax} ${JSON.stringify(row?.fault)}`);
      const longest = Math.max(...element.log.map((hex) => hex.length / 2 - 5));
      assert.ok(longest <= commandBytesMax + 1, `${longest}`);
    }
  });

  test('lock, unlock, delete: the registry and the books say the same', async () => {
    const scene = await enrolled();
    const view = async (): Promise<ReturnType<typeof placementView>> => {
      const { store } = scene.tsm.ports;
      const row = await store.find('elements', scene.element.serial);
      const id = placementId(scene.element.serial, APPLICATION.id);
      const placement = await store.find('placements', id);
      assert.ok(row && placement);
      return placementView(row, placement, APPLICATION);
    };
    assert.equal((await job(scene, 'lock')).state, 'done');
    assert.equal(entryState(scene), 0x87);
    assert.deepEqual([(await view()).actual, (await view()).drift], ['locked', []]);
    assert.equal((await job(scene, 'lock')).steps.length, 0, 'a second lock has nothing to do');
    assert.equal((await job(scene, 'unlock')).state, 'done');
    assert.equal(entryState(scene), 0x07);
    assert.equal((await job(scene, 'delete')).state, 'done');
    assert.equal(entryState(scene), undefined);
    assert.deepEqual([(await view()).actual, (await view()).drift], ['absent', []]);
    assert.equal((await job(scene, 'update')).state, 'done');
    assert.equal((await view()).actual, 'operable');
  });

  test('an update deletes the old file before the new one is sent, and personalises again', async () => {
    const scene = await enrolled();
    await scene.tsm.release('2.0.0');
    const done = await job(scene, 'update');
    assert.deepEqual(
      done.steps.map(({ name }) => name),
      ['deleteLoadFile', 'load', 'install', 'personalise'],
    );
    const file = scene.element.stored.loadFiles.find(({ aid }) => aid === APPLICATION.loadFileAid);
    assert.deepEqual(file?.code, samplePackage('2.0.0'));
  });

  test('rotation: another master and version in every domain; the one before opens nothing', async () => {
    const scene = await enrolled();
    const before = scene.element.essence();
    assert.equal((await job(scene, 'rotateKeys')).state, 'done');
    const after = await scene.tsm.ports.store.find('elements', scene.element.serial);
    assert.deepEqual(
      after?.keySets.map(({ keyVersionNumber, master }) => [keyVersionNumber, master]),
      Array.from({ length: 3 }, () => [0x31, after?.master]),
    );
    assert.notEqual(scene.element.essence(), before);
    assert.equal((await job(scene, 'lock')).state, 'done');
    assert.equal((await job(scene, 'rotateKeys')).state, 'done');
  });

  test('what somebody else changed is seen as drift and repaired', async () => {
    const scene = await enrolled();
    const wanted = scene.element.essence();
    const { stored } = scene.element;
    const entries = stored.entries.filter(({ aid }) => aid !== APPLICATION.instanceAid);
    scene.element.stored = { ...stored, entries };
    scene.element.restart();
    const repair = await job(scene, 'repair');
    assert.deepEqual(
      repair.steps.map(({ name }) => name),
      ['install', 'personalise'],
    );
    assert.equal(scene.element.essence(), wanted);
  });

  test('a suspended element is locked at its next contact, and resumed at the one after', async () => {
    const scene = await enrolled();
    const { serial } = scene.element;
    await moveElement(scene.tsm.ports, ISSUER, { serial, to: 'suspended' });
    await contact(scene.tsm.contacts(), scene.element);
    assert.equal(scene.element.stored.lifeCycle, 0x7f);
    await assert.rejects(job(scene, 'update'), { code: 'ERR_TSM_ELEMENT_STATE' });
    await moveElement(scene.tsm.ports, ISSUER, { serial, to: 'active' });
    await contact(scene.tsm.contacts(), scene.element);
    assert.equal(scene.element.stored.lifeCycle, 0x0f);
  });

  test('what was asked for before a suspension waits until the element is resumed', async () => {
    const scene = await enrolled();
    const { ports } = scene.tsm;
    const { serial } = scene.element;
    await createJob(ports, ISSUER, { serial, kind: 'delete', applicationIds });
    await moveElement(ports, ISSUER, { serial, to: 'suspended' });
    const suspended = await contact(scene.tsm.contacts(), scene.element);
    assert.deepEqual(
      suspended.jobs.map(({ kind }) => kind),
      ['suspend'],
    );
    assert.equal(entryState(scene), 0x07);
    await moveElement(ports, ISSUER, { serial, to: 'active' });
    const resumed = await contact(scene.tsm.contacts(), scene.element);
    assert.deepEqual(
      resumed.jobs.map(({ kind, state }) => [kind, state]),
      [
        ['delete', 'done'],
        ['resume', 'done'],
      ],
    );
  });

  test('data are asked for while an instance lacks them; a source that is away lets it wait', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    const { groupings } = tsm.ports.personalisation;
    let asked = 0;
    let isAway = true;
    tsm.ports.personalisation.groupings = async (request) => {
      asked++;
      if (isAway) throw new Error('secret words of another system');
      return groupings(request);
    };
    const scene = { tsm, element };
    await assert.rejects(job(scene, 'enrol'), { code: 'ERR_TSM_PERSONALISATION' });
    const [waiting] = await tsm.ports.store.list('jobs');
    assert.equal(waiting?.state, 'waiting');
    isAway = false;
    assert.equal((await job(scene, 'enrol')).state, 'done');
    asked = 0;
    for (const kind of ['lock', 'unlock', 'repair'] as const) {
      assert.equal((await job(scene, kind)).state, 'done');
    }
    assert.equal(asked, 0);
    tsm.ports.personalisation.groupings = groupings;
  });

  test('the data of a cardholder do not go to the next one', async () => {
    const scene = await enrolled();
    const { ports } = scene.tsm;
    const { serial } = scene.element;
    for (const id of ['ann', 'ben']) await addUser(ports, ISSUER, { id, name: id });
    await transferElement(ports, ISSUER, { serial, userId: 'ann' });
    await contact(scene.tsm.contacts(), scene.element);
    assert.equal(entryState(scene), 0x07);
    await transferElement(ports, ISSUER, { serial, userId: 'ben' });
    await contact(scene.tsm.contacts(), scene.element);
    assert.equal(entryState(scene), undefined);
    await assert.rejects(transferElement(ports, ISSUER, { serial, userId: 'nobody' }), {
      code: 'ERR_NOT_FOUND',
    });
  });

  test('a dry run shows the commands of a job and changes nothing', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    const { serial } = element;
    const shown = await previewJob(tsm.ports, { serial, kind: 'enrol', applicationIds });
    assert.equal(shown.length, 11);
    assert.match(shown[0]?.note ?? '', /version 30 for FF, master elementAes, check values/);
    assert.match(shown.find(({ name }) => name === 'load')?.commands[0] ?? '', /^80E60200/);
    const install = shown.find(({ name }) => name === 'install')?.commands[0] ?? '';
    assert.match(install, /^80E60C00.*04C9020102000/, 'parameters are wrapped once: report 18');
    const domain = shown.find(({ name }) => name === 'makeDomain')?.commands[0] ?? '';
    assert.match(domain, /820220208702/, 'extradition to and from: report 17');
    assert.equal((await tsm.ports.store.list('jobs')).length, 0);
    assert.equal(element.log.length, 0);
    await job({ tsm, element }, 'enrol');
    assert.deepEqual(await previewJob(tsm.ports, { serial, kind: 'repair' }), []);
    const rotation = await previewJob(tsm.ports, { serial, kind: 'rotateKeys' });
    assert.deepEqual(
      rotation.map(({ note }) => note),
      Array.from({ length: 3 }, () => 'PUT KEY version 31 for 30, a new master'),
    );
    const lock = await previewJob(tsm.ports, { serial, kind: 'lock', applicationIds });
    assert.deepEqual(
      lock.map(({ commands }) => commands),
      [[`80F0408706${APPLICATION.instanceAid}`]],
    );
  });
});

describe('wrong keys', () => {
  test('an element of another factory: stopped before EXTERNAL AUTHENTICATE: reports 1, 4', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    const { serial } = element;
    await changeRow(tsm.ports.store, 'elements', serial, () => ({
      factory: [{ master: 'factoryOpen', way: 'kdf3' as const }],
    }));
    const failed = await job({ tsm, element }, 'enrol');
    assert.equal(failed.fault?.code, 'ERR_TSM_CARD_CRYPTOGRAM');
    assert.ok(!element.log.some((command) => EXTERNAL_AUTHENTICATE.test(command)));
    const [domain] = element.stored.entries;
    assert.ok(domain?.kind === 'domain');
    assert.equal(domain.failures.count, 0, 'the card counted nothing');
  });

  test('other diversification data than the list has: another element', async () => {
    const scene = await enrolled();
    const { store } = scene.tsm.ports;
    const { serial } = scene.element;
    await changeRow(store, 'elements', serial, () => ({
      keyDiversificationData: '5441FFFFFFFFFFFFFFFF',
    }));
    scene.element.log.length = 0;
    await assert.rejects(job(scene, 'lock'), { code: 'ERR_TSM_OTHER_ELEMENT' });
    assert.ok(!scene.element.log.some((command) => EXTERNAL_AUTHENTICATE.test(command)));
    const [waiting] = await store.list('jobs', { state: 'waiting' });
    assert.equal(waiting?.kind, 'lock', 'the job waits for its own element');
  });

  test('a forged cryptogram, MAC and key check value each stop the job', async () => {
    const flip = (answer: string, at: number): string => {
      const digit = (Number.parseInt(answer[at] ?? '0', 16) ^ 1).toString(16).toUpperCase();
      return answer.slice(0, at) + digit + answer.slice(at + 1);
    };
    const forgeOf = (test: RegExp, at: number): RelayOptions => ({
      forge: (answer, _index, command) => (test.test(command) ? flip(answer, at) : answer),
    });
    const cryptogram = await job(await enrolled(), 'lock', forgeOf(/^8050/, 44));
    assert.equal(cryptogram.fault?.code, 'ERR_TSM_CARD_CRYPTOGRAM');
    const mac = await job(await enrolled(), 'lock', forgeOf(/^84F2/, 3));
    assert.equal(mac.fault?.code, 'ERR_TSM_ANSWER');
    // Without protected answers a relay can change a check value: it is compared all the same.
    const birth = { profile: { scp03ParameterI: 0x00 } };
    const scene = await enrolled({ birth });
    const put = await job(scene, 'rotateKeys', forgeOf(/^84D8/, 3));
    assert.equal(put.fault?.code, 'ERR_TSM_ANSWER');
    // Both sets are tried then, and the rotation goes on.
    assert.equal((await job(scene, 'rotateKeys')).state, 'done');
  });

  test('a relay cannot take the MACs of answers away: parameter i stays what it was', async () => {
    const scene = await enrolled();
    scene.element.log.length = 0;
    const forge: RelayOptions['forge'] = (answer, _index, command) =>
      command.startsWith('8050') ? `${answer.slice(0, 24)}10${answer.slice(26)}` : answer;
    await assert.rejects(job(scene, 'lock', { forge }), { code: 'ERR_TSM_OTHER_ELEMENT' });
    assert.ok(!scene.element.log.some((command) => EXTERNAL_AUTHENTICATE.test(command)));
    assert.equal((await job(scene, 'lock')).state, 'done');
  });

  test('an HSM that is away ends the contact; the job waits', async () => {
    let isAway = false;
    const tsm = await testTsm({
      wrapHsm: (hsm) => ({
        call: async <R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> => {
          if (!isAway) return hsm.call(request);
          const { TapError } = await import('@tapnpay/protocol/bytes');
          throw new TapError('ERR_HSM_LOST', 'the connection to the HSM was lost');
        },
      }),
    });
    await tsm.release();
    const element = await tsm.element();
    isAway = true;
    await assert.rejects(job({ tsm, element }, 'enrol'), { code: 'ERR_TSM_HSM' });
    isAway = false;
    const { jobs } = await contact(tsm.contacts(), element);
    assert.deepEqual(
      jobs.map(({ state }) => state),
      ['done'],
    );
  });
});

describe('what may be loaded', () => {
  test('an altered package is not sent, and is refused by the element if it were', async () => {
    const tsm = await testTsm();
    const { hash } = await tsm.release();
    const element = await tsm.element();
    const altered = samplePackage('1.0.0', 416);
    const { store } = tsm.ports;
    const original = store.package.bind(store);
    store.package = async () => altered;
    const stopped = await job({ tsm, element }, 'enrol');
    assert.equal(stopped.fault?.code, 'ERR_TSM_PACKAGE');
    assert.ok(!element.log.some((command) => command.startsWith('84E8')));
    // Somebody changed the books too: the certifier's signature is over another hash.
    const { sha256 } = await import('./commands.ts');
    await changeRow(store, 'versions', VERSION, () => ({ hash: sha256(altered) }));
    const refused = await job({ tsm, element }, 'enrol');
    assert.deepEqual(
      [refused.fault?.code, refused.fault?.message],
      [...['ERR_TSM_STATUS', 'LOAD was answered by 6A80']],
    );
    assert.ok(!element.stored.loadFiles.some(({ aid }) => aid === APPLICATION.loadFileAid));
    store.package = original;
    await changeRow(store, 'versions', VERSION, () => ({ hash }));
    assert.equal((await job({ tsm, element }, 'enrol')).state, 'done');
  });

  test('a missing signature is refused by the element itself', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    const { store } = tsm.ports;
    await changeRow(store, 'versions', VERSION, () => ({ signature: null }));
    assert.equal((await job({ tsm, element }, 'enrol')).fault?.code, 'ERR_TSM_REVOKED');
    // A signature for a domain that the element does not know.
    const ports = { ...tsm.ports, profile: { ...tsm.ports.profile } };
    await changeRow(store, 'versions', VERSION, () => ({
      signature: { kind: 'ecdsaP256' as const, value: '00'.repeat(64) },
    }));
    const scene = { tsm: { ...tsm, ports }, element };
    assert.equal((await job(scene, 'update')).fault?.message, 'LOAD was answered by 6A80');
  });

  test('RSA signatures are taken as well', async () => {
    const { tsm } = await enrolled({ profile: { profile: { signatureKind: 'rsaPss' } } });
    const [row] = await tsm.ports.store.list('jobs');
    assert.equal(row?.state, 'done', JSON.stringify(row?.fault));
  });

  test('a revoked version is locked at the next contact, and unlocked only by an update', async () => {
    const scene = await enrolled();
    const { ports } = scene.tsm;
    const { serial } = scene.element;
    await revokeVersion(ports, REVIEWER, { versionId: VERSION, reason: 'a fault' });
    const { jobs } = await contact(scene.tsm.contacts(), scene.element);
    assert.deepEqual(
      jobs.map(({ kind, state }) => [kind, state]),
      [['lock', 'done']],
    );
    assert.equal(entryState(scene), 0x87);
    assert.deepEqual((await contact(scene.tsm.contacts(), scene.element)).jobs, []);
    await assert.rejects(createJob(ports, ISSUER, { serial, kind: 'unlock', applicationIds }), {
      code: 'ERR_TSM_REVOKED',
    });
    await assert.rejects(createJob(ports, ISSUER, { serial, kind: 'update', applicationIds }), {
      code: 'ERR_TSM_NO_RELEASE',
    });
    await scene.tsm.release('1.0.1');
    assert.equal((await job(scene, 'update')).state, 'done');
    assert.equal(entryState(scene), 0x07);
  });
});

describe('badly behaved cards', () => {
  test('a registry with an empty name, production data that are garbage or missing', async () => {
    const scene = await enrolled();
    const { stored } = scene.element;
    const [first] = stored.entries.filter(({ kind }) => kind === 'application');
    assert.ok(first);
    scene.element.stored = { ...stored, entries: [...stored.entries, { ...first, aid: '' }] };
    scene.element.restart();
    assert.equal((await job(scene, 'lock')).state, 'done', 'report 8');
    const row = await scene.tsm.ports.store.find('elements', scene.element.serial);
    assert.ok(row?.reading?.entries.some(({ aid }) => aid === ''));
    assert.equal(row?.reading?.cplc?.length, 84, 'report 9: kept as it is');
    // One without production data, in an unprotected session so that the relay can say so.
    const plain = await enrolled({ birth: { profile: { scp03ParameterI: 0x00 } } });
    const forge: RelayOptions['forge'] = (answer, _index, command) =>
      /^84CA9F7F|^04CA9F7F/.test(command) ? '6A88' : answer;
    assert.equal((await job(plain, 'lock', { forge })).state, 'done');
    const other = await plain.tsm.ports.store.find('elements', plain.element.serial);
    assert.equal(other?.reading?.cplc, null);
  });

  test('a registry of many pages (6310) and an empty one (6A88): reports 5, 7', async () => {
    const scene = await enrolled();
    const { stored } = scene.element;
    const [first] = stored.entries.filter(({ kind }) => kind === 'application');
    assert.ok(first);
    const many = Array.from({ length: 40 }, (_, index) => ({
      ...{ ...first, aid: `F0544150FF${String(index).padStart(4, '0')}` },
    }));
    scene.element.stored = { ...stored, entries: [...stored.entries, ...many] };
    scene.element.restart();
    scene.element.log.length = 0;
    assert.equal((await job(scene, 'lock')).state, 'done');
    const pages = scene.element.log.filter((command) => command.startsWith('84F24003'));
    assert.ok(pages.length > 2, 'pages behind the first one');
    const row = await scene.tsm.ports.store.find('elements', scene.element.serial);
    assert.equal(row?.reading?.entries.length, 43);
    // A new card has no application at all, which is no fault.
    const fresh = await testTsm();
    const element = await fresh.element();
    const made = await createJob(fresh.ports, ISSUER, { serial: element.serial, kind: 'enrol' });
    await contact(fresh.contacts(), element);
    assert.equal((await fresh.ports.store.find('jobs', made.id))?.state, 'done');
  });

  test('a card that does not know INSTALL [for personalization]: its own channel: report 23', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    // The answer is protected: only a card that says so itself can be shown, by its word 6A86.
    const real = element.send.bind(element);
    let isAsked = false;
    element.send = (command) => {
      if (isAsked || !command.startsWith('84E620')) return real(command);
      isAsked = true;
      element.log.push(command);
      return '6A86';
    };
    const done = await job({ tsm, element }, 'enrol');
    // The sample application has no channel of its own, and says 6D00 or the like.
    assert.equal(done.state, 'failed');
    const selected = `00A4040006${APPLICATION.instanceAid}00`;
    assert.ok(element.log.includes(selected), 'it went on in the channel of the application');
  });

  test('a listing that is cut: what it does not show is deleted all the same: report 6', async () => {
    const scene = await enrolled({ birth: { profile: { scp03ParameterI: 0x00 } } });
    const forge: RelayOptions['forge'] = (answer, _index, command) =>
      /^84F2[24]0/.test(command) ? `${answer.slice(0, 60)}9000` : answer;
    const done = await job(scene, 'delete', { forge });
    assert.equal(done.state, 'done');
    assert.deepEqual(
      done.steps.map(({ name }) => name),
      ['deleteLoadFile'],
    );
    assert.equal(entryState(scene), undefined);
    const row = await scene.tsm.ports.store.find('elements', scene.element.serial);
    assert.equal(row?.reading?.isTruncated, true);
  });

  test('factory keys of another version than FF are replaced as well: report 12', async () => {
    for (const [factoryVersion, keyType] of [
      [0x01, 'des'],
      [0x20, 'des'],
    ] as const) {
      const { tsm, element } = await enrolled({ birth: { factoryVersion, keyType } });
      const [row] = await tsm.ports.store.list('jobs');
      assert.equal(row?.state, 'done', JSON.stringify(row?.fault));
      const [domain] = element.stored.entries;
      assert.ok(domain?.kind === 'domain');
      const version = factoryVersion === 0x20 ? 0x21 : 0x20;
      assert.deepEqual(
        domain.keySets.map((set) => set.version),
        [version],
      );
    }
  });

  test('what was loaded before its answer was lost is not loaded again', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element();
    const { serial } = element;
    await createJob(tsm.ports, ISSUER, { serial, kind: 'enrol', applicationIds });
    const real = element.send.bind(element);
    element.send = (command) => {
      const answer = real(command);
      if (/^84E880/.test(command)) throw new Cut();
      return answer;
    };
    await assert.rejects(contact(tsm.contacts(), element), Cut);
    element.send = real;
    element.restart();
    element.log.length = 0;
    const { jobs } = await contact(tsm.contacts(), element);
    assert.equal(jobs[0]?.state, 'done');
    assert.ok(!element.log.some((command) => /^84E[48]/.test(command)), 'no DELETE, no LOAD');
  });

  test('a card that is too small says 6A84, and the job says where', async () => {
    const tsm = await testTsm();
    await tsm.release();
    const element = await tsm.element({ profile: { domainMemoryBytes: 100 } });
    const failed = await job({ tsm, element }, 'enrol');
    assert.equal(failed.fault?.message, 'LOAD was answered by 6A84');
    assert.equal(failed.steps.at(-1)?.name, 'load');
  });
});

describe('jobs that are refused', () => {
  test('by the state of the element, the application and the job', async () => {
    const { tsm, element } = await enrolled();
    const { ports } = tsm;
    const { serial } = element;
    const ask = (kind: JobKind, ids: readonly string[]): Promise<Job> =>
      createJob(ports, ISSUER, { serial, kind, applicationIds: ids });
    await assert.rejects(ask('lock', []), { code: 'ERR_REQUEST' });
    await assert.rejects(ask('rotateKeys', applicationIds), { code: 'ERR_REQUEST' });
    await assert.rejects(ask('lock', ['nothing']), { code: 'ERR_NOT_FOUND' });
    await addRow(ports.store, 'applications', {
      ...{ ...APPLICATION, id: 'bare', loadFileAid: 'F05441500299', state: 'active' },
    });
    await assert.rejects(ask('update', ['bare']), { code: 'ERR_TSM_NO_RELEASE' });
    await assert.rejects(ask('unlock', ['bare']), { code: 'ERR_NOT_FOUND' });
    const unknown = { serial: 'FF', kind: 'repair' } as const;
    await assert.rejects(createJob(ports, ISSUER, unknown), { code: 'ERR_TSM_ELEMENT_UNKNOWN' });
    const waiting = await ask('lock', applicationIds);
    assert.equal((await ask('lock', applicationIds)).id, waiting.id, 'asked twice, made once');
    const wanted = async (): Promise<string | undefined> =>
      (await ports.store.find('placements', placementId(serial, APPLICATION.id)))?.state;
    assert.equal(await wanted(), 'locked');
    assert.equal((await cancelJob(ports, ISSUER, waiting.id)).state, 'cancelled');
    assert.equal(await wanted(), 'operable', 'a job that is called off wants nothing');
    await assert.rejects(cancelJob(ports, ISSUER, waiting.id), { code: 'ERR_TSM_JOB_STATE' });
    await moveElement(ports, ISSUER, { serial, to: 'retired' });
    await assert.rejects(ask('lock', applicationIds), { code: 'ERR_TSM_ELEMENT_STATE' });
    await assert.rejects(contact(tsm.contacts(), element), { code: 'ERR_TSM_ELEMENT_STATE' });
    await assert.rejects(moveElement(ports, ISSUER, { serial, to: 'active' }), {
      code: 'ERR_TSM_ELEMENT_STATE',
    });
    assert.equal(SAMPLE_PROVIDER.id, APPLICATION.parent);
  });
});
