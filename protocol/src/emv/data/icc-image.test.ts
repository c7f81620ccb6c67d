/**
 * Shows the card image: what its shape allows and the path of what it does not, how stored
 * groupings become file control and state, and where a card's objects are looked up.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import * as data from './index.ts';

const AID = 'A000000333010101';
const APPLICATION = { kind: 'application', aid: AID } as const;
const BLANK = data.blankIccImage({
  ...{ aids: [AID, 'A000000333010106'], transportKey: new Uint8Array(16), lab: data.ICC_LAB_NONE },
  ...{ atr: data.ICC_ATR_T1, ats: data.ICC_ATS, hasPse: true, hasPpse: true },
});

const stored = (image: data.IccImage, target: data.StoreDataTarget, id: string, hex: string) =>
  data.withDgi(image, target, { id, value: fromHex(hex) });

/** The image with one value replaced, by the path of its names. */
function bent(path: readonly (string | number)[], value: unknown): string {
  const copy: unknown = JSON.parse(JSON.stringify(BLANK));
  let place = copy as Record<string | number, unknown>;
  for (const name of path.slice(0, -1)) place = place[name] as Record<string | number, unknown>;
  const last = path.at(-1) ?? '';
  if (value === undefined) delete place[last];
  else place[last] = value;
  return JSON.stringify(copy);
}

for (const [path, value, at] of [
  [['atr'], '3b', 'image.atr'],
  [['life'], 'dead', 'image.life'],
  [['transportKey'], '00', 'image.transportKey'],
  [['pse', 'fci'], 7, 'image.pse.fci'],
  [['pse', 'records'], { '01': '70' }, 'image.pse.records'],
  [['ppse'], [], 'image.ppse'],
  [['applications'], {}, 'image.applications'],
  [['applications', 1, 'aid'], 'A0', 'image.applications[1].aid'],
  [['applications', 0, 'dgis'], { '0101': '7' }, 'image.applications[0].dgis.0101'],
  [['applications', 0, 'state', 'atc'], 65536, 'image.applications[0].state.atc'],
  [['applications', 0, 'state', 'atc'], '1', 'image.applications[0].state.atc'],
  [['applications', 0, 'state', 'log'], ['zz'], 'image.applications[0].state.log[0]'],
  [['applications', 0, 'state', 'lastSdaFailed'], 0, 'image.applications[0].state.lastSdaFailed'],
  [
    ['applications', 0, 'state', 'scriptCounter'],
    undefined,
    'image.applications[0].state.scriptCounter',
  ],
  [
    ['applications', 0, 'state', 'electronicCash'],
    { balanceMinor: '-1', secondBalanceMinor: '0' },
    'image.applications[0].state.electronicCash.balanceMinor',
  ],
  [['cardBlocked'], null, 'image.cardBlocked'],
  [['lab', 'contactlessRefusal'], '6985', 'image.lab.contactlessRefusal'],
  [['lab', 'selectStatusWords'], { A0: '6A82' }, 'image.lab.selectStatusWords'],
  [['extra'], 1, 'image'],
] as const) {
  test(`an image with ${path.join('.')} ${JSON.stringify(value)} is refused at ${at}`, () => {
    assert.throws(
      () => data.parseIccImage(bent(path, value)),
      (thrown) =>
        thrown instanceof TapError && thrown.code === 'ERR_EMV_IMAGE' && thrown.data['path'] === at,
    );
  });
}

test('an image of another version is refused with what to do', () => {
  const old = bent(['version'], 2);
  assert.throws(
    () => data.parseIccImage(old),
    (thrown) =>
      thrown instanceof TapError &&
      thrown.code === 'ERR_EMV_IMAGE_VERSION' &&
      /version 2.*anew/.test(thrown.message),
  );
});

test('a blank image survives its JSON text', () => {
  assert.deepEqual(data.parseIccImage(JSON.stringify(BLANK)), BLANK);
  assert.equal(BLANK.life, 'personalisation');
});

test('a stored A5 template becomes an FCI with its name; anything else is given out as it is', () => {
  const name = fromHex(AID);
  assert.equal(toHex(data.fciOfStored(name, fromHex('A500'))), `6F0C8408${AID}A500`);
  assert.equal(toHex(data.fciOfStored(name, fromHex('6F02A500'))), '6F02A500');
});

test('directories take their template and records of file 1, and nothing else', () => {
  let image = stored(BLANK, { kind: 'pse' }, '9102', 'A500');
  image = stored(image, { kind: 'pse' }, '0101', '7000');
  image = stored(image, { kind: 'ppse' }, '9102', 'A503BF0C00');
  const pse = toHex(asciiToBytes(data.PSE_NAME));
  assert.deepEqual(image.pse, { fci: `6F12840E${pse}A500`, records: { '0101': '7000' } });
  assert.match(image.ppse?.fci ?? '', /A503BF0C00$/);
  for (const [target, id] of [
    [{ kind: 'pse' }, '0201'],
    [{ kind: 'pse' }, '0D01'],
    [{ kind: 'ppse' }, '0101'],
    [{ kind: 'application', aid: 'A000000003' }, '0101'],
  ] as const) {
    assert.throws(() => stored(BLANK, target, id, '00'), { code: 'ERR_STORE_DATA' });
  }
  const without = { ...BLANK, pse: null };
  assert.throws(() => stored(without, { kind: 'pse' }, '9102', 'A500'), { code: 'ERR_STORE_DATA' });
});

test('the last block gives the first state; the card is operational when all is written', () => {
  let image = stored(BLANK, APPLICATION, '9010', '0205');
  image = stored(
    image,
    APPLICATION,
    '0D01',
    '9F360200079F130200059F7906000000001234DF7906000000000005',
  );
  image = data.withLastStoreData(image, APPLICATION);
  const [application] = image.applications;
  assert.ok(application?.isPersonalised);
  assert.deepEqual(application.state, {
    ...data.ICC_STATE_BLANK,
    ...{ atc: 7, lastOnlineAtc: 5, pinTryCounter: 2 },
    electronicCash: { balanceMinor: '1234', secondBalanceMinor: '5' },
  });
  assert.equal(image.life, 'personalisation', 'another application is not written yet');
  image = data.withLastStoreData(image, { kind: 'application', aid: 'A000000333010106' });
  assert.equal(image.life, 'personalisation', 'the directories are not written yet');
  image = stored(image, { kind: 'pse' }, '9102', 'A500');
  image = data.withLastStoreData(image, { kind: 'pse' });
  assert.equal(image.life, 'personalisation');
  image = stored(image, { kind: 'ppse' }, '9102', 'A500');
  image = data.withLastStoreData(image, { kind: 'ppse' });
  assert.equal(image.life, 'operational');
  assert.equal(image.transportKey, '');
});

test('objects are found in internal data first, then FCIs, then records; no TLV is passed over', () => {
  const dgis = { '0201': '70035A0102', '0101': '70035A0101', '0301': 'FFFF', '9102': 'A503500141' };
  const objectOf = (tag: string, more: Record<string, string> = {}) =>
    toHex(data.iccObject({ dgis: { ...dgis, ...more } }, tag) ?? new Uint8Array(0));
  assert.equal(objectOf('5A'), '01');
  assert.equal(objectOf('5A', { '0D01': '5A0103' }), '03');
  assert.equal(objectOf('50'), '41');
  assert.equal(objectOf('57', { '0101': '7005', '0401': '7003570109' }), '09');
  assert.equal(objectOf('9F26'), '');
});

test('the summary of a card without an application is empty', () => {
  const summary = data.iccSummary({ ...BLANK, applications: [] });
  assert.deepEqual([summary.pan, summary.interfaces], ['', []]);
});

test('the first protocol of an ATR decides between T=0 and T=1 (EMV 4.3 B1 §8.3)', () => {
  assert.equal(data.atrProtocol(data.ICC_ATR_T1), 'T=1');
  assert.equal(data.atrProtocol(data.ICC_ATR_T0), 'T=0');
  assert.equal(data.atrProtocol('3B9F95801F'), 'T=0', 'TA1 and TD1 = 80');
  assert.equal(data.atrProtocol('3B00'), 'T=0');
  assert.equal(data.atrProtocol('3B8001'), 'T=1');
});

test('grouping 0D02 has five bytes', () => {
  const value = fromHex('0201170401');
  const parameters = data.decodeCryptogramParameters(value);
  assert.equal(parameters.algorithm, data.IAD_ALGORITHM_SM4);
  assert.deepEqual(data.encodeCryptogramParameters(parameters), value);
  for (const hex of ['', '02011704', '020117040100']) {
    assert.throws(() => data.decodeCryptogramParameters(fromHex(hex)), { code: 'ERR_DGI_LENGTH' });
  }
});

test('SM is chosen by DF69 where the card has it, or where it has nothing else (PBOC P5)', () => {
  const of = (dgis: Record<string, string>, indicator?: string) =>
    data.isSmChosen({ dgis }, indicator === undefined ? undefined : fromHex(indicator));
  assert.equal(of({ '8000': '00' }, '01'), false);
  assert.equal(of({ '8000': '00', '8001': '00' }, '01'), true);
  assert.equal(of({ '8000': '00', '8001': '00' }, '00'), false);
  assert.equal(of({ '8000': '00', '8001': '00' }), false);
  assert.equal(of({ '8001': '00' }), true);
});

test('the options of e-cash give way to the plain ones, never to those of another algorithm', () => {
  const dgis = { '9104': '01', '9105': '02', '9106': '03', '9207': '04' };
  const of = (choice: Partial<data.OptionsChoice>) => {
    const whole = {
      interface: 'contact',
      isSm: false,
      isElectronicCash: false,
      ...choice,
    } as const;
    return toHex(data.processingOptions({ dgis }, whole) ?? new Uint8Array(0));
  };
  assert.equal(of({}), '01');
  assert.equal(of({ isElectronicCash: true }), '02');
  assert.equal(of({ isSm: true, isElectronicCash: true }), '03');
  assert.equal(of({ interface: 'contactless', isElectronicCash: true }), '04');
  assert.equal(of({ interface: 'contactless', isSm: true }), '');
});
