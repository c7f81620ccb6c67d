/**
 * Shows which way to the agent a page takes, what it is told is missing, and that it goes on by
 * itself in every order in which the missing parts arrive.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NATIVE_FAULT_CODES, type PluginVersions } from '@tapnpay/protocol/wire';
import {
  AGENT_URL,
  CHROMIUM,
  FIREFOX,
  HELLO,
  TestWay,
  VERSIONS,
  welcomeOf,
} from './plugin.test-kit.ts';

const READY = { kind: 'ready', isInstalling: false };
const PAY = { type: 'pay', session: 's', orderId: 'o' } as const;

/** The gateway's document with other versions. */
function offering(change: {
  extension?: { latest?: string; required?: string };
  host?: { latest?: string; required?: string };
}): PluginVersions {
  return {
    ...VERSIONS,
    extension: { ...VERSIONS.extension, ...change.extension },
    host: { ...VERSIONS.host, ...change.host },
  };
}

describe('the extension is there', () => {
  test('a look finds extension and host, and asks nothing of the agent', async () => {
    const way = await new TestWay().look();
    assert.deepEqual(way.events, [READY]);
    assert.deepEqual(
      way.extension.heard.map(({ kind }) => kind),
      ['ping', 'open'],
    );
    assert.equal(way.loopback.probes, 0, 'nobody else is asked');
    const { way: chosen, extension, host, element, readers, update } = way.transport.facts ?? {};
    assert.deepEqual(
      { chosen, extension, host, element, readers, update },
      {
        chosen: 'extension',
        extension: '0.1.0',
        host: { version: '0.1.0', protocol: { min: 1, max: 1 } },
        element: HELLO.element,
        readers: HELLO.readers,
        update: 'ok',
      },
    );
    await way.pass(60_000);
    assert.equal(way.events.length, 1, 'what is there is not looked for again');
    assert.equal(way.extension.opened, 1);
  });

  test('the click takes the host that is open, and says hello once', async () => {
    const way = await new TestWay().look();
    await way.open();
    assert.equal(way.extension.opened, 1);
    assert.deepEqual(way.extension.told, [{ type: 'hello', version: 1, token: null }]);
    assert.deepEqual(way.events, [READY, READY]);
    way.transport.send(PAY);
    assert.deepEqual(way.extension.told.at(-1), PAY);
    assert.equal(way.loopback.opened, 0);
  });

  test('a click without a look before it', async () => {
    const way = await new TestWay().open();
    assert.deepEqual(way.events, [READY]);
    assert.equal(way.extension.opened, 1);
  });

  test('nothing is sent before the agent is ready, or after the end', async () => {
    const way = await new TestWay().look();
    way.transport.send(PAY);
    await way.open();
    way.transport.close();
    way.transport.send(PAY);
    await way.pass(0);
    assert.ok(!way.extension.told.some(({ type }) => type === 'pay'));
    assert.equal(way.extension.hosts, 0);
  });

  test('what the agent says is heard during a payment only', async () => {
    const way = await new TestWay().look();
    const message = { type: 'openChannel', session: 's' } as const;
    way.extension.say({ kind: 'message', message });
    assert.deepEqual(way.events, [READY]);
    await way.open();
    way.extension.say({ kind: 'message', message });
    const last = way.events.at(-1);
    assert.deepEqual(last?.kind === 'message' && last.message, message);
    way.transport.close();
    const count = way.events.length;
    way.extension.say({ kind: 'message', message });
    way.extension.lose('ERR_HOST_EXITED');
    assert.equal(way.events.length, count);
  });

  test('its window is the one that is shown', async () => {
    const way = await new TestWay().open();
    way.transport.show();
    assert.equal(way.extension.heard.at(-1)?.kind, 'show');
    assert.equal(way.loopback.shown, 0);
  });

  test('an application that is not installed yet is installed by the payment', async () => {
    const way = new TestWay();
    const fresh = { ...HELLO, element: { id: null, state: 'notEnrolled' as const } };
    way.extension.host = fresh;
    way.extension.welcome = welcomeOf(fresh);
    await way.open();
    assert.deepEqual(way.events, [{ kind: 'ready', isInstalling: true }]);
  });
});

describe('a host that cannot be had', () => {
  for (const code of NATIVE_FAULT_CODES) {
    test(`${code} is told, looked for each second, and goes on by itself`, async () => {
      const way = new TestWay();
      way.extension.host = [code, 'the browser’s own text'];
      await way.look();
      assert.deepEqual(way.events, [{ kind: 'missing', code, detail: 'the browser’s own text' }]);
      await way.pass(3_000);
      assert.equal(way.extension.opened, 4, 'once a second');
      way.extension.host = HELLO;
      await way.pass(1_000);
      assert.equal(way.last, 'ready');
      assert.equal(way.extension.hosts, 1);
    });
  }

  test('after the click it goes on to the payment, without another click', async () => {
    const way = new TestWay();
    way.extension.host = ['ERR_HOST_MISSING', ''];
    await way.open();
    assert.equal(way.last, 'ERR_HOST_MISSING');
    way.extension.host = HELLO;
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
    way.transport.send(PAY);
    assert.deepEqual(way.extension.told.at(-1), PAY);
  });

  test('a host that does not say hello is told after 5 s, and let go', async () => {
    const way = new TestWay();
    way.extension.host = null;
    await way.look();
    await way.pass(4_999);
    assert.equal(way.last, 'nothing');
    await way.pass(1);
    assert.equal(way.last, 'ERR_HOST_TIMEOUT');
    assert.equal(way.extension.hosts, 0);
  });

  for (const [name, welcome, code] of [
    ['does not answer the hello', null, 'ERR_HOST_TIMEOUT'],
    [
      'does not serve this page',
      { type: 'refused', error: { code: 'ERR_ORIGIN', message: 'no', data: {} } },
      'ERR_ORIGIN',
    ],
    [
      'speaks another version',
      { type: 'refused', error: { code: 'ERR_VERSION', message: 'no', data: {} } },
      'ERR_VERSION',
    ],
    ['says something else', { type: 'channelEnd', session: 's' }, 'ERR_HOST_PROTOCOL'],
  ] as const) {
    test(`one that ${name}: ${code}, and again`, async () => {
      const way = new TestWay();
      way.extension.welcome = welcome;
      await way.open();
      await way.pass(5_000);
      assert.equal(way.last, code);
      assert.ok(!way.events.some(({ kind }) => kind === 'ready'));
      way.extension.welcome = welcomeOf(HELLO);
      await way.pass(1_000);
      await way.pass(5_000);
      assert.equal(way.last, 'ready');
    });
  }

  for (const [name, change, code] of [
    ['a locked application', { element: { id: 'E1', state: 'locked' } }, 'ERR_ELEMENT_LOCKED'],
    ['no reader', { readers: [] }, 'ERR_NO_READER'],
  ] as const) {
    test(`${name} is told before the click and after it, and goes on by itself`, async () => {
      for (const act of ['look', 'open'] as const) {
        const way = new TestWay();
        way.extension.host = { ...HELLO, ...change };
        await way[act]();
        assert.equal(way.last, code);
        assert.equal(way.extension.hosts, 0, 'it is asked anew');
        way.extension.host = HELLO;
        await way.pass(1_000);
        assert.equal(way.last, 'ready');
      }
    });
  }

  test('what only the welcome tells', async () => {
    const way = new TestWay();
    way.extension.welcome = welcomeOf({ ...HELLO, readers: [] });
    await way.open();
    assert.equal(way.last, 'ERR_NO_READER');
    way.extension.welcome = welcomeOf(HELLO);
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
  });

  test('a host that dies before the click is started again', async () => {
    const way = await new TestWay().look();
    way.extension.lose('ERR_HOST_EXITED', 'Native host has exited.');
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
    assert.equal(way.extension.hosts, 1);
  });

  test('one that dies in a payment is lost, and nothing starts by itself', async () => {
    for (const code of ['ERR_HOST_EXITED', 'ERR_WORKER_STOPPED', 'ERR_HOST_PROTOCOL'] as const) {
      const way = await new TestWay().open();
      way.extension.lose(code, 'text');
      const last = way.events.at(-1);
      assert.equal(last?.kind, 'lost');
      assert.equal(last?.kind === 'lost' && last.code, code);
      await way.pass(60_000);
      assert.equal(way.events.at(-1), last);
      assert.equal(way.extension.opened, 1);
    }
  });
});

describe('no extension', () => {
  const alone = (): TestWay => {
    const way = new TestWay();
    way.extension.version = null;
    return way;
  };

  test('is told after its second, with what the gateway offers', async () => {
    const way = await alone().look();
    await way.pass(999);
    assert.equal(way.last, 'nothing');
    await way.pass(1);
    assert.deepEqual(way.events, [
      { kind: 'missing', code: 'ERR_EXTENSION_MISSING', detail: AGENT_URL },
    ]);
    assert.deepEqual(way.transport.facts?.versions, VERSIONS);
    assert.equal(way.transport.facts?.extension, null);
  });

  test('one that arrives under the open page goes on at once, without a reload', async () => {
    for (const act of ['look', 'open'] as const) {
      const way = await alone()[act]();
      await way.pass(5_000);
      assert.equal(way.last, 'ERR_EXTENSION_MISSING');
      way.extension.arrive('0.1.0');
      await way.pass(0);
      assert.equal(way.last, 'ready', act);
      const isPaying = way.extension.told.length === 1;
      assert.equal(isPaying, act === 'open', 'pressed once is enough');
    }
  });

  test('one that does not announce itself is found within two seconds', async () => {
    const way = await alone().look();
    await way.pass(3_000);
    way.extension.version = '0.1.0';
    await way.pass(2_000);
    assert.equal(way.last, 'ready');
  });

  test('the extension first, its host later', async () => {
    const way = alone();
    way.extension.host = ['ERR_HOST_MISSING', 'not found'];
    await way.open();
    await way.pass(2_000);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
    way.extension.arrive('0.1.0');
    await way.pass(0);
    assert.equal(way.last, 'ERR_HOST_MISSING');
    way.extension.host = HELLO;
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
  });

  test('the host first, the extension later', async () => {
    const way = await alone().open();
    await way.pass(2_000);
    way.extension.host = HELLO;
    await way.pass(5_000);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
    way.extension.arrive('0.1.0');
    await way.pass(0);
    assert.equal(way.last, 'ready');
  });

  test('a slow answer of the extension is not lost', async () => {
    const way = await alone().look();
    await way.pass(1_500);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
    way.extension.version = '0.1.0';
    way.extension.say({ kind: 'here', version: '0.1.0' });
    await way.pass(0);
    assert.equal(way.last, 'ready');
  });

  test('it is gone again: told so', async () => {
    const way = await new TestWay().look();
    way.extension.version = null;
    way.extension.lose('ERR_EXTENSION_RELOADED', 'Extension context invalidated.');
    await way.pass(3_000);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
  });

  for (const [name, userAgent, versions, code] of [
    ['Chromium', CHROMIUM, VERSIONS, 'ERR_EXTENSION_MISSING'],
    ['Firefox', FIREFOX, VERSIONS, 'ERR_EXTENSION_MISSING'],
    [
      'an old Chromium',
      CHROMIUM.replace('Chrome/150', 'Chrome/115'),
      VERSIONS,
      'ERR_BROWSER_UNSUPPORTED',
    ],
    [
      'an old Firefox',
      FIREFOX.replace('Firefox/153', 'Firefox/115'),
      VERSIONS,
      'ERR_BROWSER_UNSUPPORTED',
    ],
    [
      'Safari',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15',
      VERSIONS,
      'ERR_BROWSER_UNSUPPORTED',
    ],
    [
      'a telephone',
      'Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36',
      VERSIONS,
      'ERR_BROWSER_UNSUPPORTED',
    ],
    ['no user agent', '', VERSIONS, 'ERR_BROWSER_UNSUPPORTED'],
    ['a gateway that has no extension', CHROMIUM, null, 'ERR_HOST_MISSING'],
  ] as const) {
    test(`${name}: ${code}`, async () => {
      const way = alone();
      way.userAgent = userAgent;
      way.versions = versions;
      await way.look();
      await way.pass(1_000);
      assert.equal(way.last, code);
    });
  }

  test('a browser that is shut off from hosts is told apart from a missing one', async () => {
    for (const [userAgent, code] of [
      [`${CHROMIUM} snap`, 'ERR_BROWSER_SANDBOXED'],
      [`${CHROMIUM} Flatpak`, 'ERR_BROWSER_SANDBOXED'],
      [FIREFOX.replace('X11;', 'X11; Ubuntu;'), 'ERR_BROWSER_SANDBOXED'],
      [FIREFOX, 'ERR_HOST_MISSING'],
    ] as const) {
      const way = new TestWay();
      way.userAgent = userAgent;
      way.extension.host = ['ERR_HOST_MISSING', 'No such native application org.tapnpay.host'];
      await way.look();
      assert.equal(way.last, code, userAgent);
      way.extension.host = HELLO;
      await way.pass(1_000);
      assert.equal(way.last, 'ready', 'if it is there after all, it is taken');
      way.extension.lose('ERR_HOST_EXITED');
      way.extension.host = ['ERR_HOST_EXITED', ''];
      await way.pass(1_000);
      assert.equal(way.last, 'ERR_HOST_EXITED', 'only a missing one is meant');
    }
  });
});

describe('versions', () => {
  for (const [name, versions, code, detail] of [
    [
      'the extension',
      offering({ extension: { latest: '0.2.0', required: '0.2.0' } }),
      'ERR_EXTENSION_OUTDATED',
      '0.1.0 < 0.2.0',
    ],
    [
      'the host',
      offering({ host: { latest: '0.3.0', required: '0.1.1' } }),
      'ERR_HOST_OUTDATED',
      '0.1.0 < 0.1.1',
    ],
  ] as const) {
    test(`${name} is too old: nothing starts, and it goes on when the new one is there`, async () => {
      for (const act of ['look', 'open'] as const) {
        const way = new TestWay();
        way.versions = versions;
        await way[act]();
        assert.deepEqual(way.events, [{ kind: 'missing', code, detail }]);
        assert.deepEqual(way.extension.told, []);
        assert.equal(way.extension.hosts, 0);
        if (name === 'the host') way.extension.host = { ...HELLO, version: '0.3.0' };
        else way.extension.arrive('0.2.0');
        await way.pass(1_000);
        assert.equal(way.last, 'ready');
      }
    });
  }

  test('a look has found a host already: it is let go, or the update would wait for it', async () => {
    const way = await new TestWay().look();
    assert.equal(way.extension.hosts, 1);
    way.versions = offering({ extension: { required: '0.2.0' } });
    await way.open();
    assert.equal(way.last, 'ERR_EXTENSION_OUTDATED');
    assert.equal(way.extension.hosts, 0);
    way.extension.arrive('0.2.0');
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
    assert.equal(way.extension.hosts, 1);
  });

  test('the gateway takes its requirement back: on by itself', async () => {
    const way = new TestWay();
    way.versions = offering({ host: { required: '0.2.0' } });
    await way.look();
    await way.pass(1_000);
    assert.equal(way.last, 'ERR_HOST_OUTDATED');
    way.versions = VERSIONS;
    await way.pass(1_000);
    assert.equal(way.last, 'ready');
  });

  test('a newer one is offered: told, and the payment goes on', async () => {
    for (const versions of [
      offering({ extension: { latest: '0.2.0' } }),
      offering({ host: { latest: '0.2.0' } }),
    ]) {
      const way = new TestWay();
      way.versions = versions;
      await way.look();
      await way.open();
      assert.equal(way.last, 'ready');
      assert.equal(way.transport.facts?.update, 'optional');
      assert.ok(!way.extension.heard.some(({ kind }) => kind === 'update'));
    }
  });

  test('the browser is asked for a forced update once; a button asks again', async () => {
    const way = new TestWay();
    way.versions = offering({ extension: { required: '0.2.0' } });
    await way.look();
    await way.pass(3_000);
    const updates = (): number =>
      way.extension.heard.filter(({ kind }) => kind === 'update').length;
    assert.equal(updates(), 1);
    way.transport.update();
    assert.equal(updates(), 2);
  });

  test('an update in the middle of a payment does not interrupt it', async () => {
    const way = await new TestWay().open();
    const { length } = way.events;
    way.versions = offering({ extension: { required: '9.0.0' }, host: { required: '9.0.0' } });
    way.extension.arrive('0.2.0');
    await way.pass(60_000);
    assert.equal(way.events.length, length);
    assert.equal(way.extension.opened, 1);
    way.transport.send(PAY);
    assert.deepEqual(way.extension.told.at(-1), PAY);
    assert.equal(way.asked, 1, 'and is not even asked for');
  });

  test('the next payment is judged by the newest document', async () => {
    const way = await new TestWay().open();
    way.transport.close();
    way.versions = offering({ host: { required: '0.2.0' } });
    await way.open();
    assert.equal(way.last, 'ERR_HOST_OUTDATED');
  });

  for (const [name, change] of [
    ['extension', { version: 'newest' }],
    ['host', { host: { ...HELLO, version: '' } }],
  ] as const) {
    test(`a version of the ${name} that is none`, async () => {
      const way = new TestWay();
      Object.assign(way.extension, change);
      await way.look();
      assert.equal(way.last, 'ERR_VERSION_INVALID');
      assert.equal(way.extension.hosts, 0);
    });
  }

  test('a document that makes no sense stops the payment too', async () => {
    const way = new TestWay();
    way.versions = offering({ host: { required: '?' } });
    await way.open();
    assert.equal(way.last, 'ERR_VERSION_INVALID');
  });

  test('a gateway without a document requires nothing', async () => {
    const way = new TestWay();
    way.versions = null;
    way.extension.version = 'any';
    await way.open();
    assert.equal(way.last, 'ready');
  });

  test('the extension was updated under the page: a reload, or the new script by itself', async () => {
    const way = await new TestWay().look();
    way.extension.isReloaded = true;
    way.extension.lose('ERR_EXTENSION_RELOADED', 'Extension context invalidated.');
    await way.pass(1_000);
    assert.equal(way.last, 'ERR_EXTENSION_RELOADED');
    await way.pass(5_000);
    assert.equal(way.last, 'ERR_EXTENSION_RELOADED');
    way.extension.arrive('0.2.0');
    await way.pass(0);
    assert.equal(way.last, 'ready');
    assert.equal(way.transport.facts?.extension, '0.2.0');
  });
});

describe('the loopback service', () => {
  const local = (): TestWay => {
    const way = new TestWay();
    way.extension.version = null;
    way.loopback.isThere = true;
    return way;
  };

  test('is taken when no extension answers, and its window opens inside the click', async () => {
    const way = await local().look();
    await way.pass(1_000);
    assert.deepEqual(way.events, [READY]);
    assert.equal(way.transport.facts?.way, 'loopback');
    way.transport.open(AGENT_URL);
    assert.equal(way.loopback.opened, 1, 'at once');
    way.loopback.listener({ kind: 'pairing' });
    way.loopback.listener({ kind: 'blocked' });
    way.loopback.listener({ kind: 'ready', isInstalling: false });
    assert.deepEqual(
      way.events.map(({ kind }) => kind),
      ['ready', 'pairing', 'blocked', 'ready'],
    );
    way.transport.send(PAY);
    assert.deepEqual(way.loopback.sent, [PAY]);
    way.transport.show();
    assert.equal(way.loopback.shown, 1);
    assert.ok(way.extension.heard.every(({ kind }) => kind === 'ping'));
  });

  test('a click before it was found opens it when it is', async () => {
    const way = await local().open();
    assert.equal(way.loopback.opened, 0);
    await way.pass(1_000);
    assert.equal(way.loopback.opened, 1);
    assert.deepEqual(way.events, [], 'it tells its own way on');
  });

  test('a click in the middle of a look does not wait its second anew', async () => {
    const way = await local().look();
    await way.pass(900);
    await way.open();
    await way.pass(100);
    assert.equal(way.loopback.opened, 1);
    assert.equal(way.asked, 1);
  });

  test('one that comes later is found while the page waits', async () => {
    const way = local();
    way.loopback.isThere = false;
    await way.open();
    await way.pass(3_000);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
    way.loopback.isThere = true;
    await way.pass(1_000);
    assert.equal(way.loopback.opened, 1);
  });

  test('an extension that arrives before anything is paid is taken instead', async () => {
    const way = await local().open();
    await way.pass(1_000);
    way.loopback.listener({ kind: 'pairing' });
    way.extension.arrive('0.1.0');
    await way.pass(0);
    assert.equal(way.last, 'ready');
    assert.equal(way.transport.facts?.way, 'extension');
    assert.ok(way.loopback.closed > 0);
    way.loopback.listener({ kind: 'lost', code: 'ERR_AGENT_GONE', detail: '' });
    assert.equal(way.last, 'ready');
  });

  test('one that arrives in a payment waits for the next', async () => {
    const way = await local().open();
    await way.pass(1_000);
    way.loopback.listener({ kind: 'ready', isInstalling: false });
    way.extension.arrive('0.1.0');
    await way.pass(1_000);
    assert.equal(way.transport.facts?.way, 'loopback');
    way.transport.send(PAY);
    assert.deepEqual(way.loopback.sent, [PAY]);
  });

  test('a module that does not load is an agent that is not there', async () => {
    const way = local();
    Object.assign(way, { loopback: null });
    Object.defineProperty(way, 'loopback', {
      get: () => {
        throw new Error('Failed to fetch dynamically imported module');
      },
    });
    way.transport.look(AGENT_URL);
    await way.pass(1_000);
    assert.equal(way.last, 'ERR_EXTENSION_MISSING');
    way.transport.close();
  });
});

describe('closed', () => {
  test('nothing is told any more, whatever was on its way', async () => {
    const way = new TestWay();
    way.transport.look(AGENT_URL);
    way.transport.close();
    await way.pass(60_000);
    assert.deepEqual(way.events, []);
    assert.equal(way.extension.hosts, 0);
    assert.equal(way.clock.timers.size, 0);
  });

  test('at each point of the way no host is left', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const way = new TestWay();
      way.transport.open(AGENT_URL);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      way.transport.close();
      await way.pass(10_000);
      assert.equal(way.extension.hosts, 0, `after ${turns} turns`);
    }
  });

  test('an extension that arrives then starts nothing', async () => {
    const way = await new TestWay().look();
    way.transport.close();
    way.extension.arrive('0.2.0');
    await way.pass(5_000);
    assert.equal(way.events.length, 1);
    assert.equal(way.extension.hosts, 0);
  });
});
