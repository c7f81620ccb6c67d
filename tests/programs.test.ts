/**
 * The built programs: the host and the element of one build pay as their sources do, the element
 * under the same permissions, and the second payment's channel is a warm one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { ElementPayResult, WindowMessage } from '@tapnpay/protocol/wire';
import {
  CARD,
  type HostClient,
  isMessage,
  isShown,
  RelayingPage,
  SESSION,
  SESSION_2,
  TestSystem,
} from '../agent/src/native/host.test-kit.ts';

const project = join(import.meta.dirname, '..');
const BUILT = join(project, 'web/dist-programs');
const build = () => promisify(execFile)(process.execPath, [join(project, 'web/programs.ts')]);

let system: TestSystem;
before(async () => {
  await build();
  system = await TestSystem.start();
});
after(async () => {
  await system.close();
});

async function opened(): Promise<RelayingPage> {
  const host = system.host({ entry: join(BUILT, 'host.mjs') });
  const page = new RelayingPage(host, system.tlsPort);
  await host.open(system.origin);
  host.send({ type: 'windowOpened' });
  return page;
}

const say = (host: HostClient, message: WindowMessage): void =>
  host.send({ type: 'window', message });

/** A whole payment with consent and a tap below the limit of a PIN; what the page is told. */
async function paidOn(page: RelayingPage, session = SESSION): Promise<ElementPayResult> {
  const { host } = page;
  system.freshGateway();
  page.pay(session);
  await host.next(isShown('consent'), 'consent');
  say(host, { type: 'consent', session, given: true });
  await host.next(isShown('waitCard'), 'waitCard');
  say(host, { type: 'present', card: CARD, interface: 'contactless', liftAfter: null });
  return (await host.next(isMessage('result'), 'result')).message.result;
}

test('a built program imports nothing but what Node has and its own build', () => {
  const programs = readdirSync(BUILT).filter((name) => name.endsWith('.mjs'));
  for (const name of ['host.mjs', 'element.mjs', 'reader.mjs']) {
    assert.ok(programs.includes(name), name);
  }
  for (const name of programs) {
    const text = readFileSync(join(BUILT, name), 'utf8');
    for (const [, from = ''] of text.matchAll(/^import .*?from "(.+?)";$/gm)) {
      const isNode = from.startsWith('node:') && builtinModules.includes(from.slice(5));
      assert.ok(isNode || programs.includes(from.slice(2)), `${from} in ${name}`);
    }
  }
});

test('nothing is built again while nothing changes', async () => {
  const builtAtMs = statSync(join(BUILT, 'host.mjs')).mtimeMs;
  await build();
  assert.equal(statSync(join(BUILT, 'host.mjs')).mtimeMs, builtAtMs);
});

test('host and element of one build pay; the element has its permissions and no more', async () => {
  const page = await opened();
  const first = await paidOn(page);
  assert.deepEqual([first.outcome, first.charged], ['approved', 'yes']);
  assert.deepEqual(first.channel, { protocol: 'TLSv1.3', mutual: true, resumed: false });
  const [pid = 0] = system.elements();
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const store = join(system.dataDir, 'element');
  assert.deepEqual(words.slice(1), [
    ...['--permission', '--disable-sigusr1', '--no-warnings'],
    ...['--no-experimental-sqlite', '--no-experimental-webstorage'],
    ...[`--allow-fs-read=${BUILT}`, `--allow-fs-read=${store}`, `--allow-fs-write=${store}`],
    ...[join(BUILT, 'element.mjs'), store, join(BUILT, 'payment.tplf')],
    readFileSync(join(BUILT, 'payment.tplf.sha256'), 'utf8').trim(),
  ]);
  assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /NODE|HOME|PATH/);
  const second = await paidOn(page, SESSION_2);
  assert.equal(second.outcome, 'approved');
  assert.equal(second.channel?.resumed, true);
  await page.host.end();
  assert.ok(page.host.isClean);
});

test("the next host's first channel is a warm one, too", async () => {
  const page = await opened();
  assert.equal((await paidOn(page)).channel?.resumed, true);
  await page.host.end();
});
