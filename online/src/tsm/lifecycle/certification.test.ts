/** Shows the way of a version to its release, every check that stops it, and who may do what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApplicationManifest,
  encodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';
import { checkAuditLog } from '../../runtime/index.ts';
import { sha256 } from '../jobs/commands.ts';
import type { ApplicationVersion } from '../model.ts';
import {
  APPLICATION,
  ISSUER,
  PROVIDER,
  REVIEWER,
  SAMPLE_PROVIDER,
  samplePackage,
  type TestTsm,
  testTsm,
} from '../tsm.test-kit.ts';
import { releaseVersion, reviewVersion, revokeVersion, uploadVersion } from './certification.ts';
import { addApplication, addProvider } from './directory.ts';
import { LITERAL_CHARACTERS_MAX } from './intake.ts';

const MANIFEST: ApplicationManifest = {
  ...({ format: 1, interfaceVersion: 1, name: 'Card', version: '1.0.0' } as const),
  ...{ loadFileAid: APPLICATION.loadFileAid, memoryBytes: 4 * 1024 * 1024 },
  modules: [{ aid: APPLICATION.moduleAid, name: 'card' }],
};

function upload(
  tsm: TestTsm,
  bytes: Uint8Array,
  options: { number?: string; declaredHash?: string } = {},
): Promise<ApplicationVersion> {
  const { number = '1.0.0', declaredHash = sha256(bytes) } = options;
  const request = { applicationId: APPLICATION.id, number, declaredHash, bytes };
  return uploadVersion(tsm.ports, PROVIDER, request);
}

function failedChecks({ checks }: ApplicationVersion): readonly string[] {
  return checks.filter(({ isPassed }) => !isPassed).map(({ name }) => name);
}

test('upload, review by another, signature, release, revocation; each is in the audit log', async () => {
  const tsm = await testTsm();
  const { ports } = tsm;
  const checked = await upload(tsm, samplePackage());
  assert.equal(checked.state, 'checked');
  const review = { versionId: checked.id, isAccepted: true, note: 'read' };
  await assert.rejects(reviewVersion(ports, PROVIDER, review), { code: 'ERR_TSM_OWN_REVIEW' });
  await assert.rejects(releaseVersion(ports, ISSUER, checked.id), {
    code: 'ERR_TSM_VERSION_STATE',
  });
  await reviewVersion(ports, REVIEWER, review);
  await assert.rejects(reviewVersion(ports, REVIEWER, review), { code: 'ERR_TSM_VERSION_STATE' });
  const released = await releaseVersion(ports, ISSUER, checked.id);
  assert.equal(released.signature?.kind, 'ecdsaP256');
  const revocation = { versionId: checked.id, reason: 'a fault' };
  assert.equal((await revokeVersion(ports, ISSUER, revocation)).state, 'revoked');
  await assert.rejects(revokeVersion(ports, ISSUER, revocation), {
    code: 'ERR_TSM_VERSION_STATE',
  });
  const actions = tsm.audit.records.map(({ action }) => action);
  for (const action of ['version.upload', 'version.review', 'version.release', 'version.revoke']) {
    assert.ok(actions.includes(action), action);
  }
  assert.equal((await checkAuditLog(tsm.audit)).fault, null);
  const second = await upload(tsm, samplePackage('1.0.1'), { number: '1.0.1' });
  const refusal = { versionId: second.id, isAccepted: false, note: 'unclear' };
  assert.equal((await reviewVersion(ports, REVIEWER, refusal)).state, 'rejected');
});

test('what no check lets pass', async () => {
  const bundles: readonly (readonly [check: string, bundle: string])[] = [
    ['forbidden', 'export const x = await import("node:fs");\n'],
    ['forbidden', 'import { x } from "y";\n'],
    ['forbidden', 'export const x = eval("1");\n'],
    ['forbidden', 'export const x = new Function("return 1")();\n'],
    ['forbidden', 'export const x = (() => 1).constructor.constructor("return 1")();\n'],
    ['forbidden', 'export const x = {}["constructor"];\n'],
    ['forbidden', 'export const x = 1; /* */import{y}from"z";\n'],
    ['forbidden', 'export const x = import.meta.url;\n'],
    ['forbidden', 'export const x = {}.__proto__;\n'],
    ['forbidden', 'export const x = \\u0065val("1");\n'],
    ['forbidden', 'export const x = new WebAssembly.Module(y);\n'],
    ['literals', `export const x = "${'A'.repeat(LITERAL_CHARACTERS_MAX + 1)}";\n`],
    ['literals', `export const x = [${'1, '.repeat(LITERAL_CHARACTERS_MAX)}];\n`],
    ['characters', 'export const x = "\u202e1";\n'],
  ];
  for (const [index, [name, bundle]] of bundles.entries()) {
    const tsm = await testTsm();
    const bytes = encodeApplicationPackage({ manifest: MANIFEST, bundle });
    const version = await upload(tsm, bytes);
    assert.equal(version.state, 'rejected', `${index} ${bundle.slice(0, 60)}`);
    assert.deepEqual(failedChecks(version), [name], `${index} ${bundle.slice(0, 60)}`);
    assert.equal(await tsm.ports.store.package(version.hash), null, 'its bytes are not kept');
  }
});

test('names, numbers and hashes that are not the provider’s', async () => {
  const of = (changes: Partial<ApplicationManifest>): Uint8Array =>
    encodeApplicationPackage({
      ...{ manifest: { ...MANIFEST, ...changes }, bundle: 'export const x = 1;\n' },
    });
  const cases: readonly (readonly [readonly string[], Uint8Array, string?])[] = [
    [['loadFileAid', 'aidOfProvider'], of({ loadFileAid: 'F054415001' })],
    [['module', 'aidOfProvider'], of({ modules: [{ aid: 'A000000333', name: 'x' }] })],
    [['version'], of({ version: '1.0.1' })],
    [['hash'], of({}), '00'.repeat(32)],
    [['package'], samplePackage().slice(0, 40)],
    [['package'], new Uint8Array(100)],
  ];
  for (const [names, bytes, declaredHash] of cases) {
    const tsm = await testTsm();
    const version = await upload(tsm, bytes, declaredHash ? { declaredHash } : {});
    assert.deepEqual(failedChecks(version), names);
    assert.equal(version.state, 'rejected');
  }
  const tsm = await testTsm();
  const long = new Uint8Array(2 * 1024 * 1024);
  await assert.rejects(upload(tsm, long), { code: 'ERR_BODY_TOO_LARGE' });
});

test('providers and applications keep to their own', async () => {
  const { ports } = await testTsm();
  const foreign = { ...PROVIDER, providerId: 'other' };
  const bytes = samplePackage();
  const request = { applicationId: APPLICATION.id, number: '1.0.0', bytes };
  const declaredHash = sha256(bytes);
  await assert.rejects(uploadVersion(ports, foreign, { ...request, declaredHash }), {
    code: 'ERR_ROLE',
  });
  const another = { ...APPLICATION, id: 'another' };
  await assert.rejects(addApplication(ports, foreign, another), { code: 'ERR_ROLE' });
  await assert.rejects(addApplication(ports, PROVIDER, another), { code: 'ERR_TSM_EXISTS' });
  const outside = { ...another, loadFileAid: 'F054415009' };
  await assert.rejects(addApplication(ports, PROVIDER, outside), { code: 'ERR_REQUEST' });
  const provider = { ...SAMPLE_PROVIDER, id: 'thief', domainAid: 'F05441500DEE' };
  await assert.rejects(addProvider(ports, ISSUER, { ...provider, aidPrefixes: ['F05441500201'] }), {
    code: 'ERR_TSM_EXISTS',
  });
  await assert.rejects(
    addProvider(ports, ISSUER, { ...SAMPLE_PROVIDER, id: 'thief', aidPrefixes: ['F0544155'] }),
    { code: 'ERR_TSM_EXISTS' },
  );
});
