/**
 * Shows the BIN table: longest prefix wins, broken tables are refused by row, and the file is read
 * again when it changes while a broken change leaves the table before in force.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openRouteFile, readRoutes, routesPath, writeRoutes } from './route-file.ts';
import { formatRoutes, issuerOf, issuersOf, parseRoutes, type Route } from './routing.ts';

const A = '62990000001';
const B = '62990000002';

test('the longest prefix wins (ISO/IEC 7812), whatever the order of the rows', () => {
  const rows: readonly Route[] = [
    { prefix: '6299', institutionId: A },
    { prefix: '62999911', institutionId: B },
    { prefix: '629999', institutionId: A },
    { prefix: '9', institutionId: B },
  ];
  for (const routes of [rows, rows.toReversed()]) {
    assert.equal(issuerOf(routes, '6299991112345678'), B);
    assert.equal(issuerOf(routes, '6299991212345678'), A);
    assert.equal(issuerOf(routes, '6299001212345678'), A);
    assert.equal(issuerOf(routes, '9111111111111111'), B);
    assert.equal(issuerOf(routes, '4111111111111111'), null);
    // Shorter than a prefix that it begins.
    assert.equal(issuerOf(routes, '629'), null);
    assert.deepEqual([...issuersOf(routes)].sort(), [A, B]);
  }
});

test('a table of 20000 prefixes answers at once', () => {
  const routes = Array.from({ length: 20_000 }, (_, index) => ({
    prefix: `62${String(index).padStart(6, '0')}`,
    institutionId: index % 2 === 0 ? A : B,
  }));
  issuerOf(routes, '6200000012345678');
  const beganAt = performance.now();
  for (let count = 0; count < 10_000; count++) {
    assert.equal(
      issuerOf(routes, `62${String(count).padStart(6, '0')}12345678`),
      count % 2 ? B : A,
    );
  }
  assert.ok(performance.now() - beganAt < 1_000);
});

test('a table reads back as it was written, in the order of its prefixes', () => {
  const routes = [
    { prefix: '629999', institutionId: B },
    { prefix: '6299', institutionId: A },
  ];
  const text = formatRoutes(routes);
  assert.deepEqual(parseRoutes(text), routes.toReversed());
  assert.equal(formatRoutes(parseRoutes(text)), text);
});

test('a broken table is refused, and the text names the row and what is wrong', () => {
  const row = { prefix: '629999', institutionId: A };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['{', /no JSON/],
    [[], /no list "routes"/],
    [{}, /no list "routes"/],
    [null, /no list "routes"/],
    [{ routes: [] }, /no route/],
    [{ routes: [row, null] }, /route 2 is no object/],
    [{ routes: [{ ...row, prefix: 629999 }] }, /route 1: prefix is 1 to 12 digits/],
    [{ routes: [{ ...row, prefix: '' }] }, /route 1: prefix/],
    [{ routes: [{ ...row, prefix: '6299990000001' }] }, /route 1: prefix/],
    [{ routes: [{ ...row, prefix: '62x' }] }, /route 1: prefix/],
    [{ routes: [row, { prefix: '1', institutionId: '12' }] }, /route 2 \(1\): institutionId is 11/],
    [{ routes: [row, row] }, /route 2: prefix 629999 is in route 1 as well/],
    [{ routes: [{ ...row, issuer: A }] }, /no field "issuer"/],
    [{ routes: Array.from({ length: 100_001 }, () => row) }, /more than 100000/],
  ];
  for (const [value, message] of cases) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    assert.throws(() => parseRoutes(text), { code: 'ERR_SWITCH_ROUTES', message });
  }
});

test('the file is made at the start, read at a change, and a broken change is only told', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-routes-'));
  const path = routesPath(dataDir);
  const log: string[] = [];
  assert.throws(() => readRoutes(path), { code: 'ERR_SWITCH_ROUTES', message: /cannot be read/ });
  const initial = [{ prefix: '629999', institutionId: A }];
  const file = openRouteFile({
    path,
    initial,
    log: ({ event }) => {
      log.push(String(event));
    },
  });
  const until = async (condition: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 200 && !condition(); tries++) await pause(25);
    assert.ok(condition());
  };
  try {
    assert.deepEqual(file.current(), initial);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.throws(() => writeRoutes(path, []), { code: 'ERR_SWITCH_ROUTES' });
    assert.deepEqual(readRoutes(path), initial);
    const changed = [...initial, { prefix: '62999977', institutionId: B }];
    writeRoutes(path, changed);
    await until(() => file.current().length === 2);
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, 40));
    await until(() => log.includes('routesRefused'));
    assert.deepEqual(file.current(), changed);
    file.close();
    // A switch does not start over a table that it cannot read.
    const again = { path, initial, log: () => undefined };
    assert.throws(() => openRouteFile(again), { code: 'ERR_SWITCH_ROUTES' });
  } finally {
    file.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
