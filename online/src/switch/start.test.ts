/**
 * Shows the switch as its process runs it: PostgreSQL, HSMs behind their wires, and two members over
 * TCP that sign on and get their keys. Times are short; nothing waits for a fixed time.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { buildReply, type Iso8583Message, withFields } from '@tapnpay/protocol/iso8583';
import { readHsmTokens, runCeremony, startHsm } from '../hsm/index.ts';
import {
  connectHsm,
  connectTcp,
  type HsmClient,
  MemberLine,
  type PaymentParty,
  systemClock,
  systemRandom,
} from '../runtime/index.ts';
import { startTestDatabase } from '../runtime/test-database.ts';
import { macIsValid, withMac } from './messages.ts';
import { INSTITUTION_GATEWAY, INSTITUTION_ISSUER, INSTITUTION_SWITCH } from './ports.ts';
import { readRoutes, routesPath, writeRoutes } from './route-file.ts';
import { type RunningSwitch, startSwitch } from './start.ts';
import { openSwitchStore } from './store-postgres.ts';
import { codeOf, followUpOf, reversalOf, saleRequest, TEST_PAN } from './switch.test-kit.ts';

const OTHER_ISSUER = '62990000002';
const OTHER_PAN = '6299997700000015';

const database = await startTestDatabase();
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-switch-'));
const logFile = join(dataDir, 'logs', 'switch.log');
const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
  await database?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function startHsms(): Promise<Readonly<Record<PaymentParty, number>>> {
  const ports = { gateway: 0, switch: 0, issuer: 0 };
  const ceremony = new Map<PaymentParty, HsmClient>();
  for (const party of ['gateway', 'switch', 'issuer'] as const) {
    const hsm = await startHsm({ dataDir, party, port: 0 });
    closers.push(() => hsm.close());
    ports[party] = hsm.port;
    ceremony.set(party, await connectAs(party, hsm.port, 'ceremony'));
  }
  await runCeremony({
    dataDir,
    connect: (party) => {
      const hsm = ceremony.get(party);
      if (!hsm) throw new Error('no HSM');
      return hsm;
    },
  });
  return ports;
}

async function connectAs(
  party: PaymentParty,
  port: number,
  caller: PaymentParty | 'ceremony',
): Promise<HsmClient> {
  const tokenHex = readHsmTokens(dataDir, party)[caller] ?? '';
  const client = await connectHsm({ port, tokenHex, caller });
  closers.push(() => client.close());
  return client;
}

/** One end of a line with its HSM; the issuer's script decides what it answers. */
async function member(options: {
  readonly party: 'gateway' | 'issuer';
  /** Of a further issuer. */
  readonly institution?: string;
  readonly hsmPort: number;
  readonly switchPort: number;
  readonly answer?: (message: Iso8583Message) => Iso8583Message | null;
}) {
  const { party, answer } = options;
  const hsm = await connectAs(party, options.hsmPort, party);
  const keyFile = join(dataDir, 'keys', `${party}.json`);
  const zoneKey: string = JSON.parse(readFileSync(keyFile, 'utf8')).keys.zmk.keyBlock;
  const seen: Iso8583Message[] = [];
  const line: MemberLine = new MemberLine({
    localId:
      options.institution ?? (party === 'gateway' ? INSTITUTION_GATEWAY : INSTITUTION_ISSUER),
    remoteId: INSTITUTION_SWITCH,
    zoneKey,
    hsm,
    clock: systemClock,
    random: systemRandom,
    log: () => undefined,
    connect: () => connectTcp({ port: options.switchPort }),
    onRequest: async (message) => {
      seen.push(message);
      const mac = line.keys()?.mac ?? '';
      assert.ok(await macIsValid(hsm, [mac], message), 'the switch signs for this line');
      const reply = answer?.(message) ?? null;
      return reply && withMac(hsm, mac, reply);
    },
  });
  line.start();
  await line.established();
  closers.push(() => line.close());
  const send = async (message: Iso8583Message): Promise<Iso8583Message> => {
    const mac = line.keys()?.mac ?? '';
    const reply = await line.request(await withMac(hsm, mac, message), { timeoutMs: 5_000 });
    if (reply === 'timeout') throw new Error('no answer of the switch');
    assert.ok(await macIsValid(hsm, [mac], reply), 'the answer is signed for this line');
    return reply;
  };
  return { line, seen, send };
}

function unsignedSale(): Iso8583Message {
  // Without a PIN: the gateway's HSM makes PIN blocks of an element's only.
  return withFields(saleRequest(), [
    [22, '052'],
    [52, undefined],
    [53, undefined],
  ]);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await pause(25);
  }
  assert.fail('it did not come about');
}

test('sign-on, sale, lost answer, reversal, restart', { skip: database === null }, async () => {
  const databaseUrl = database?.url ?? '';
  const ports = await startHsms();
  const start = (port: number): Promise<RunningSwitch> =>
    startSwitch({
      databaseUrl,
      schema: 'switch',
      hsm: {
        port: ports.switch,
        tokenHex: readHsmTokens(dataDir, 'switch').switch ?? '',
      },
      dataDir,
      logFile,
      port,
      issuerTimeoutMs: 300,
      advicePausesMs: [50],
    });
  let running = await start(0);
  closers.push(() => running.close());
  const { port } = running.facts;
  const store = await openSwitchStore({ databaseUrl, schema: 'switch' });
  closers.push(() => store.close());
  const gateway = await member({ party: 'gateway', hsmPort: ports.gateway, switchPort: port });
  assert.equal(codeOf(await gateway.send(unsignedSale())), '91');

  let silent = false;
  const issuer = await member({
    party: 'issuer',
    hsmPort: ports.issuer,
    switchPort: port,
    answer: (message) => (silent ? null : buildReply(message, '00', [[38, 'A1B2C3']])),
  });
  const sale = unsignedSale();
  assert.equal(codeOf(await gateway.send(sale)), '00');
  assert.equal(codeOf(await gateway.send(reversalOf(sale))), '00');
  await until(async () => issuer.seen.some(({ mti }) => mti === '0420'));

  silent = true;
  assert.equal(codeOf(await gateway.send(unsignedSale())), '98');
  await until(async () => issuer.seen.some(({ mti }) => mti === '0421'));
  await running.close();
  running = await start(port);
  silent = false;
  await until(async () => (await store.advices()).every((row) => row.settledAtMs !== null));
  const states = (await store.transactions()).map(({ state }) => state);
  assert.deepEqual(states.sort(), ['answered', 'reversed', 'reversed']);

  const log = readFileSync(logFile, 'utf8');
  const hops = log
    .split('\n')
    .filter((line) => line.includes('"hop"'))
    .map((line) => JSON.parse(line));
  assert.equal(hops.length, 3);
  assert.equal(hops[1].n, 9);
  assert.equal(hops[1].retrievalReference, sale.fields.get(37));
  assert.deepEqual(hops[0].facts, {
    refusedBy: 'switch',
    responseCode: '91',
    reason: 'issuerDown',
  });
  assert.ok(!log.includes(TEST_PAN));
});

test('a further issuer by the table, advices of both, and a change of keys', {
  skip: database === null,
}, async () => {
  const databaseUrl = database?.url ?? '';
  const ports = await startHsms();
  const zones = JSON.parse(readFileSync(join(dataDir, 'keys', 'switch.json'), 'utf8')).keys;
  const running = await startSwitch({
    ...{ databaseUrl, schema: 'switch2', dataDir, logFile, port: 0, issuerTimeoutMs: 2_000 },
    hsm: { port: ports.switch, tokenHex: readHsmTokens(dataDir, 'switch').switch ?? '' },
    advicePausesMs: [50],
    members: [{ institution: OTHER_ISSUER, zoneKey: zones.zmkIssuer.keyBlock, isAcquirer: false }],
  });
  closers.push(() => running.close());
  const { port } = running.facts;
  const store = await openSwitchStore({ databaseUrl, schema: 'switch2' });
  closers.push(() => store.close());
  const gateway = await member({ party: 'gateway', hsmPort: ports.gateway, switchPort: port });
  const answer = (message: Iso8583Message): Iso8583Message =>
    buildReply(message, '00', [[38, 'A1B2C3']]);
  const issuerAt = { party: 'issuer', hsmPort: ports.issuer, switchPort: port, answer } as const;
  const issuer = await member(issuerAt);
  const other = await member({ ...issuerAt, institution: OTHER_ISSUER });
  const own = unsignedSale();
  const foreign = withFields(unsignedSale(), [
    [2, OTHER_PAN],
    [35, `${OTHER_PAN}D3012`],
  ]);
  for (const sale of [own, foreign]) assert.equal(codeOf(await gateway.send(sale)), '00');
  assert.deepEqual([issuer.seen.length, other.seen.length], [2, 0]);

  // The table is the first start's; a change is read while the switch runs.
  const path = routesPath(dataDir);
  writeRoutes(path, [
    ...readRoutes(path),
    { prefix: OTHER_PAN.slice(0, 8), institutionId: OTHER_ISSUER },
  ]);
  const again = (): Iso8583Message => {
    const trace = unsignedSale();
    return withFields(foreign, [
      [11, trace.fields.get(11)],
      [37, trace.fields.get(37)],
    ]);
  };
  await until(async () => {
    await gateway.send(again());
    return other.seen.length > 0;
  });
  for (const institution of [INSTITUTION_GATEWAY, INSTITUTION_ISSUER, OTHER_ISSUER]) {
    await running.changeKeys(institution);
  }
  const refund = followUpOf('refund', own, { changes: [[38, 'A1B2C3']] });
  const taken = await gateway.send(refund);
  assert.deepEqual([taken.mti, codeOf(taken)], ['0230', '00']);
  await until(async () => issuer.seen.some(({ mti }) => mti === '0220'));
  await until(async () => (await store.advices()).every(({ state }) => state === 'settled'));
  const [day] = await store.days(1);
  assert.equal(day?.closedAtMs, null);
  const unknown = followUpOf('refund', unsignedSale());
  assert.equal(codeOf(await gateway.send(unknown)), '25');
});

test('a broken BIN table stops the start, and says where it is broken', async () => {
  const path = routesPath(dataDir);
  const before = readFileSync(path, 'utf8');
  writeFileSync(path, before.replace('"629999"', '"62999x"'));
  try {
    const config = {
      ...{ databaseUrl: 'postgres://127.0.0.1:1/none', schema: 'switch', dataDir, port: 0 },
      hsm: { port: 1, tokenHex: '00'.repeat(16) },
    };
    await assert.rejects(startSwitch(config), { code: 'ERR_SWITCH_ROUTES', message: /route 1/ });
  } finally {
    writeFileSync(path, before);
  }
});

test('a configuration that is no good is refused by name', async () => {
  const wrong = {
    databaseUrl: 'nowhere',
    schema: 'switch',
    hsm: { port: 1, tokenHex: '' },
    dataDir,
    port: -1,
  };
  await assert.rejects(startSwitch(wrong), { code: 'ERR_CONFIG', message: /port/ });
});
