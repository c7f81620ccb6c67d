/**
 * The issuer as it runs: real HSM servers, keys of a ceremony, a personalised card, PostgreSQL and
 * a switch's line over TCP, through a restart and a lost answer.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { deriveSessionKey } from '@tapnpay/protocol/crypto';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { type Iso8583Message, macBlock, makeMessage, withFields } from '@tapnpay/protocol/iso8583';
import type { Hsm } from '@tapnpay/protocol/wire';
import { imageUdk } from '../../../protocol/src/emv/data/icc-image.test-kit.ts';
import {
  LAB_CARDS,
  personaliseCards,
  type RunningHsm,
  readHsmTokens,
  runCeremony,
  startHsm,
} from '../hsm/index.ts';
import {
  connectHsm,
  HostLines,
  type HsmParty,
  listenTcp,
  readPartyKeys,
  systemClock,
  systemRandom,
  type TcpListener,
} from '../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import { type Answer, commonFields, iccDataOf, readAnswer, tdesCard } from './issuer.test-kit.ts';
import { dropReplyPath } from './lab-faults.ts';
import { ISSUER_INSTITUTION, type IssuerConfig, startIssuer } from './start.ts';

const PARTIES: readonly HsmParty[] = ['gateway', 'switch', 'issuer'];
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-issuer-'));
const log = (): void => undefined;
const closers: (() => Promise<unknown>)[] = [];
let database: TestDatabase | null = null;
let switchHsm: Hsm;
let lines: HostLines;
let config: IssuerConfig;

before(async () => {
  database = await startTestDatabase();
  if (!database) return;
  const hsms = new Map<HsmParty, RunningHsm>();
  const connect = async (party: HsmParty, caller: 'ceremony' | 'bureau' | 'switch') => {
    const tokenHex = readHsmTokens(dataDir, party)[caller] ?? '';
    const hsm = await connectHsm({ port: hsms.get(party)?.port ?? 0, tokenHex, caller });
    closers.push(() => hsm.close());
    return hsm;
  };
  const masters = new Map<HsmParty, Hsm>();
  for (const party of PARTIES) {
    const hsm = await startHsm({ dataDir, party, port: 0 });
    closers.push(() => hsm.close());
    hsms.set(party, hsm);
    masters.set(party, await connect(party, 'ceremony'));
  }
  const ceremony = (party: HsmParty): Hsm => masters.get(party) ?? assert.fail(party);
  await runCeremony({ dataDir, connect: ceremony });
  await personaliseCards({
    dataDir,
    bureau: await connect('issuer', 'bureau'),
    ceremony: ceremony('issuer'),
    specs: LAB_CARDS.slice(0, 1),
  });
  switchHsm = await connect('switch', 'switch');
  const listener = await openSwitch();
  closers.push(() => lines.close());
  config = {
    databaseUrl: database.url,
    schema: 'issuer',
    dataDir,
    logFile: join(dataDir, 'issuer.log'),
    hsm: {
      port: hsms.get('issuer')?.port ?? 0,
      tokenHex: readHsmTokens(dataDir, 'issuer').issuer ?? '',
    },
    switchPort: listener.port,
    lab: {},
  };
});

after(async () => {
  for (const close of closers.reverse()) await close();
  await database?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function openSwitch(): Promise<TcpListener> {
  const zone = readPartyKeys(dataDir, 'switch').keys.zmkIssuer.keyBlock;
  lines = new HostLines({
    localId: '00010000000',
    zoneKeys: new Map([[ISSUER_INSTITUTION, zone]]),
    hsm: switchHsm,
    clock: systemClock,
    random: systemRandom,
    log,
    onRequest: async () => null,
    onLateReply: () => undefined,
  });
  const listener = await listenTcp({ port: 0, onTransport: (link) => lines.accept(link) });
  closers.push(() => listener.close());
  return listener;
}

function purchase(stan: string, atc: number): Iso8583Message {
  const image = parseIccImage(readFileSync(join(dataDir, 'cards', 'debit.json'), 'utf8'));
  const counter = Uint8Array.of(atc >> 8, atc & 0xff);
  const amount = '000000001234';
  const key = deriveSessionKey(imageUdk(image, 'udkAc'), counter);
  return makeMessage('0200', [
    ...commonFields({ pan: iccSummary(image).pan, amount, stan }),
    [14, iccSummary(image).expiryYymm],
    [22, '052'],
    [55, iccDataOf(tdesCard(key), { atc, amount, pin: null })],
  ]);
}

async function send(message: Iso8583Message): Promise<Answer | 'timeout'> {
  // The switch hears of the second key's acceptance a moment after the issuer gave it.
  while (!lines.keys(ISSUER_INSTITUTION)) await setImmediate();
  const key = lines.keys(ISSUER_INSTITUTION)?.mac ?? assert.fail('no line');
  const data = toHex(macBlock(message));
  const { mac } = await switchHsm.call({ command: 'generateMac', key, data });
  const signed = withFields(message, [[128, fromHex(mac)]]);
  const reply = await lines.request(ISSUER_INSTITUTION, signed, { timeoutMs: 1_000 });
  return reply === 'timeout' ? reply : readAnswer(reply);
}

test('a purchase over the wire, an answer that is lost, a restart: one debit each', async (t) => {
  if (!database) return t.skip('no database');
  const first = await startIssuer(config);
  t.after(() => first.close());
  assert.ok(first.isLineUp());
  const approved = await send(purchase('000001', 1));
  assert.ok(approved !== 'timeout');
  assert.deepEqual([approved.code, approved.reason, approved.arqcVerified], ['00', null, true]);

  mkdirSync(dirname(dropReplyPath(dataDir)), { recursive: true });
  writeFileSync(dropReplyPath(dataDir), '');
  assert.equal(await send(purchase('000002', 2)), 'timeout');
  const repeated = await send(purchase('000002', 2));
  assert.ok(repeated !== 'timeout');
  assert.equal(repeated.code, '00');
  await first.close();

  const second = await startIssuer(config);
  t.after(() => second.close());
  const again = await send(purchase('000001', 1));
  assert.ok(again !== 'timeout');
  assert.equal(again.ledgerEntryId, approved.ledgerEntryId);
  const copied = await send(purchase('000003', 1));
  assert.ok(copied !== 'timeout');
  assert.deepEqual([copied.code, copied.reason], ['05', 'atcReplayed']);
  await second.close();

  const limited = await startIssuer({ ...config, limits: { singleAmountMinor: '1233' } });
  t.after(() => limited.close());
  const above = await send(purchase('000004', 4));
  assert.ok(above !== 'timeout');
  assert.deepEqual([above.code, above.reason], ['61', 'amountLimit']);
  await limited.close();

  const written = readFileSync(join(dataDir, 'issuer.log'), 'utf8');
  assert.match(written, /"event":"hop"/);
  assert.doesNotMatch(written, /629999[0-9]{7}/);
  assert.equal(statSync(join(dataDir, 'keys', 'issuer-lookup.key')).mode & 0o777, 0o600);
});

test('a start without a part it needs is refused by a code', async (t) => {
  if (!database) return t.skip('no database');
  await assert.rejects(startIssuer({ ...config, switchPort: 0 }), { code: 'ERR_CONFIG' });
  await assert.rejects(startIssuer({ ...config, limits: { dayCount: '-1' } }), {
    code: 'ERR_CONFIG',
  });
  const tokenHex = '00'.repeat(32);
  const hsm = { ...config.hsm, tokenHex };
  await assert.rejects(startIssuer({ ...config, hsm }), { code: 'ERR_HSM_REFUSED' });
  await assert.rejects(startIssuer({ ...config, dataDir: '/nonexistent' }), {
    code: 'ERR_PARTY_KEYS',
  });
  writeFileSync(join(dataDir, 'issuer-cards.json'), '[{"pan":"6299990000000"}]');
  await assert.rejects(startIssuer(config), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_ISSUER_CARDS');
    assert.doesNotMatch(error.message, /629999/);
    return true;
  });
});
