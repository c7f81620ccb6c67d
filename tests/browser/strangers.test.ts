/**
 * Who gets nothing from the agent, tried with a real browser and with raw requests: pages of other
 * origins, other Host names, browsers that were never paired.
 */
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { browserSuite, Payer, windowState } from './browser.test-kit.ts';

const { skip, system, browser } = browserSuite({
  prepare: async () => {
    agentUrl = new URL(system.ready.wallet).origin;
    await new Promise<void>((done) => stranger.listen(0, '127.0.0.1', done));
  },
  finish: async () => {
    stranger.close();
  },
});
let agentUrl = '';
const stranger = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html').end('<!doctype html><title>stranger</title>');
});

/** What a page hears on a WebSocket until it is closed: its messages, or that it never opened. */
type Heard = { readonly opened: boolean; readonly messages: readonly string[] };

/** Opens the agent's socket from a page and says hello with this token. */
async function helloFrom(pageUrl: string, path: string, token: string | null): Promise<Heard> {
  const context = await browser().newContext();
  const page = await context.newPage();
  // The gateway's own page would forbid the console's socket: its policy is not what is tried here.
  await page.goto(pageUrl);
  const heard = await page.evaluate(
    ([url, hello]) =>
      new Promise<{ opened: boolean; messages: string[] }>((done) => {
        const messages: string[] = [];
        let opened = false;
        const socket = new WebSocket(url ?? '');
        socket.onopen = () => {
          opened = true;
          socket.send(hello ?? '');
        };
        socket.onmessage = (event) => messages.push(String(event.data));
        socket.onclose = () => done({ opened, messages });
        setTimeout(() => done({ opened, messages }), 3_000);
      }),
    [
      `${agentUrl.replace('http', 'ws')}${path}`,
      JSON.stringify({ type: 'hello', version: 1, token }),
    ],
  );
  await context.close();
  return heard;
}

test('a page of an unknown origin opens no socket and reads no answer', { skip }, async () => {
  const foreign = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/`;
  for (const path of ['/v1/session', '/v1/window']) {
    assert.deepEqual(await helloFrom(foreign, path, null), { opened: false, messages: [] }, path);
  }
  const context = await browser().newContext();
  const page = await context.newPage();
  await page.goto(foreign);
  for (const path of ['/v1/health', '/wallet', '/v1/pairing']) {
    const read = await page.evaluate(
      (url) =>
        fetch(url).then(
          () => 'read',
          () => 'refused',
        ),
      `${agentUrl}${path}`,
    );
    assert.equal(read, 'refused', path);
  }
  const framed = await page.evaluate(
    (url) =>
      new Promise<number>((done) => {
        const frame = document.createElement('iframe');
        frame.src = url;
        frame.onload = () => done(frame.contentDocument === null ? 0 : 1);
        document.body.append(frame);
      }),
    `${agentUrl}/wallet`,
  );
  assert.equal(framed, 0, 'no frame of ours in a foreign page');
  await context.close();
});

test("the gateway's page without a token, or with a guessed one, is refused", {
  skip,
}, async () => {
  const { payUrl } = await system.createOrder({ amount: '1.00' });
  for (const token of [null, 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']) {
    const heard = await helloFrom(payUrl, '/v1/session', token);
    assert.equal(heard.messages.length, 1);
    assert.match(heard.messages[0] ?? '', /ERR_NOT_PAIRED/);
  }
});

test('the positive control: a paired browser is welcome, and only on its origin', {
  skip,
}, async () => {
  const payer = await Payer.open(browser(), system);
  const { payUrl } = await payer.order('1.00');
  const page = await payer.openPayPage(payUrl);
  const window = await payer.pressPay(page);
  await window.locator('[data-state=pairing]').waitFor();
  await window.locator('[data-test=pairing-code]').fill('AAAA-AAAA');
  await window.locator('[data-test=pairing-ok]').click();
  await window.locator('[role=alert]').first().waitFor();
  assert.equal(await windowState(window), 'pairing', 'a wrong code pairs nobody');
  await window.locator('[data-test=pairing-code]').fill(system.ready.pairingCode);
  await window.locator('[data-test=pairing-ok]').click();
  await window.locator('[data-state=consent]').waitFor();
  await payer.close();
});

/** One raw request with any Host and Origin; the status and the body. */
function raw(path: string, headers: Readonly<Record<string, string>>, method = 'GET') {
  return new Promise<{ status: number; body: string; cors: unknown }>((done, fail) => {
    const { port } = new URL(agentUrl);
    const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => {
        const cors = response.headers['access-control-allow-origin'];
        done({ status: response.statusCode ?? 0, body, cors });
      });
    });
    asked.on('error', fail);
    asked.end();
  });
}

test('another Host name gets a coded refusal and nothing else, on every path', {
  skip,
}, async () => {
  for (const path of ['/wallet', '/window', '/v1/health', '/v1/pairing', '/assets/x.js', '/']) {
    for (const host of ['evil.example', '127.0.0.1', 'localhost:1', '[::1]']) {
      const { status, body, cors } = await raw(path, { host });
      assert.ok(status === 403 || status === 421, `${path} ${host}: ${status}`);
      assert.deepEqual(Object.keys(JSON.parse(body)), ['code', 'message', 'data']);
      assert.equal(cors, undefined);
    }
  }
});
