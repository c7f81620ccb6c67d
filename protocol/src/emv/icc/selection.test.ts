/**
 * Shows selection on cards with several applications: partial names in order, blocked ones, the
 * directories of both interfaces, and a lab card that answers what it was told to.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, findTlv } from '../../iso7816/index.ts';
import type { IccApplication, IccImage } from '../data/index.ts';
import { cardOf, commandOf, IMAGE, send } from './icc.test-kit.ts';

const RID = 'A000000333';
const PSE = toHex(asciiToBytes('1PAY.SYS.DDF01'));
const PPSE = toHex(asciiToBytes('2PAY.SYS.DDF01'));
const DEBIT = 'A000000333010101';
const CREDIT = 'A000000333010102';
const CASH = 'A000000333010106';

const [SAMPLE] = IMAGE.applications;
assert.ok(SAMPLE);
const base: IccApplication = SAMPLE;
const { '9103': _fci, ...contactOnly } = base.dgis;

/** Debit and e-cash on both interfaces, credit by contact only. */
function severalApplications(change: Partial<IccImage> = {}): IccImage {
  const applications = [base, { ...base, aid: CREDIT, dgis: contactOnly }, { ...base, aid: CASH }];
  return { ...IMAGE, applications, ...change };
}

const first = (name: string) => commandOf('00A40400', name);
const next = (name: string) => commandOf('00A40402', name);
function nameIn(answer: string): string {
  return toHex(findTlv(decodeTlv(fromHex(answer)), '84')?.value ?? new Uint8Array(0));
}

test('a partial name goes through the applications one by one (EMV 4.3 B1 §12.3.3)', () => {
  const card = cardOf(severalApplications());
  const names = [first(RID), next(RID), next(RID)].map((command) => {
    const { data, sw } = send(card, command);
    assert.equal(sw, '9000');
    return nameIn(data);
  });
  assert.deepEqual(names, [DEBIT, CREDIT, CASH]);
  assert.equal(send(card, next(RID)).sw, '6A82');
  assert.equal(nameIn(send(card, first(RID)).data), DEBIT, 'and from the start again');
});

test('a field shows what has a contactless side, and only that', () => {
  const card = cardOf(severalApplications(), 'contactless');
  assert.equal(nameIn(send(card, first(RID)).data), DEBIT);
  assert.equal(nameIn(send(card, next(RID)).data), CASH);
  assert.equal(send(card, first(CREDIT)).sw, '6A82');
});

test('each application has its own counter and state', () => {
  const card = cardOf(severalApplications());
  send(card, first(CREDIT));
  assert.equal(send(card, '80A8000006830401560156').sw, '9000');
  const counters = card.image().applications.map(({ state }) => state.atc);
  assert.deepEqual(counters, [0, 1, 0]);
});

test('a blocked application is named with 6283 and its FCI, the others with 9000', () => {
  const blocked = { ...base, state: { ...base.state, applicationBlocked: true } };
  const image = severalApplications();
  const card = cardOf({ ...image, applications: [blocked, ...image.applications.slice(1)] });
  const { data, sw } = send(card, first(RID));
  assert.equal(sw, '6283');
  assert.equal(nameIn(data), DEBIT);
  assert.equal(send(card, next(RID)).sw, '9000');
});

test('a name that is not found leaves what was selected', () => {
  const card = cardOf(severalApplications());
  send(card, first(CREDIT));
  assert.equal(send(card, first('A0000000031010')).sw, '6A82');
  assert.equal(send(card, '80A8000006830401560156').sw, '9000');
  assert.equal(card.image().applications[1]?.state.atc, 1);
});

test('a card without directories, with odd ones and with answers of the lab', () => {
  assert.equal(send(cardOf(severalApplications({ pse: null })), first(PSE)).sw, '6A82');
  const noPpse = cardOf(severalApplications({ ppse: null }), 'contactless');
  assert.equal(send(noPpse, first(PPSE)).sw, '6A82');
  const odd = cardOf(severalApplications({ pse: { fci: '6F00', records: { '0102': '7000' } } }));
  assert.equal(send(odd, first(PSE)).data, '6F00');
  assert.equal(send(odd, '00B2010C00').sw, '6A83');
  assert.equal(send(odd, '00B2020C00').data, '7000');
  const lab = { ...IMAGE.lab, selectStatusWords: { [PSE]: '6984', [RID]: '6999', [CASH]: '1234' } };
  const told = cardOf(severalApplications({ lab }));
  assert.deepEqual(send(told, first(PSE)), { data: '', sw: '6984' });
  assert.deepEqual(send(told, first(RID)), { data: '', sw: '6999' });
  assert.deepEqual(send(told, first(CASH)), { data: '', sw: '6A82' });
  assert.equal(send(told, first(DEBIT)).sw, '9000');
});

test('the directory has no next one, and its records go with another SELECT', () => {
  const card = cardOf(severalApplications());
  assert.equal(send(card, first(PSE)).sw, '9000');
  assert.equal(send(card, next(PSE)).sw, '6A82');
  send(card, first(DEBIT));
  assert.equal(send(card, '00B2010C00').sw, '6985');
});
