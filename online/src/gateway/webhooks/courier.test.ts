/** Shows the SSRF guard: which addresses, names that change or lie, redirects, endless answers. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createCourier, isAllowedAddress, type Resolve } from './courier.ts';

const refused = { code: 'ERR_NOTIFY_URL' };
const seen: { url: string; host: string; body: string }[] = [];
let server: Server;
let port: number;

before(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      seen.push({ url: request.url ?? '', host: request.headers.host ?? '', body });
      if (request.url === '/endless') {
        response.writeHead(200);
        const timer = setInterval(() => response.write('x'.repeat(65_536)), 1);
        response.on('close', () => clearInterval(timer));
        return;
      }
      const isMoved = request.url === '/moved';
      const location = 'http://169.254.169.254/latest/meta-data';
      response.writeHead(isMoved ? 307 : 204, isMoved ? { location } : {}).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => new Promise((resolve) => server.close(resolve)));

/** Answers by turns, and counts. */
function dns(...answers: readonly (readonly string[])[]): Resolve & { calls: number } {
  const resolve = Object.assign(
    async () => {
      const addresses = answers[Math.min(resolve.calls, answers.length - 1)] ?? [];
      resolve.calls++;
      return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
    { calls: 0 },
  );
  return resolve;
}

test('special addresses of every form are refused, public ones allowed (RFC 6890)', () => {
  for (const address of [
    ...['10.1.2.3', '127.0.0.1', '169.254.169.254', '172.31.255.255', '192.168.0.1'],
    ...['100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '198.18.0.1', '192.88.99.1'],
    ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:a9fe:a9fe', 'fe80::1'],
    ...[
      'fd00:ec2::254',
      'fec0::1',
      '64:ff9b::a9fe:a9fe',
      '2002:7f00:1::',
      '2001:0:1::1',
      'ff02::1',
    ],
    ...['', 'shop.example', '0x7f.1', '127.1'],
  ]) {
    assert.equal(isAllowedAddress('public', address), false, address);
  }
  for (const address of ['93.184.215.14', '172.32.0.1', '192.167.0.1', '2606:2800:21f::1']) {
    assert.equal(isAllowedAddress('public', address), true, address);
    assert.equal(isAllowedAddress('loopback', address), false, address);
  }
});

test('the address that was checked is the one connected to; the name is resolved once', async () => {
  const resolve = dns(['127.0.0.1'], ['10.0.0.1']);
  const courier = createCourier('loopback', resolve);
  assert.equal(await courier.post(`http://shop.test:${port}/a`, {}, 'body'), 204);
  assert.equal(resolve.calls, 1);
  assert.deepEqual(seen.at(-1), { url: '/a', host: `shop.test:${port}`, body: 'body' });
  await assert.rejects(courier.post(`http://shop.test:${port}/b`, {}, ''), refused);
  assert.notEqual(seen.at(-1)?.url, '/b');
});

test('a name that points inward, now or later or among others, is refused each time', async () => {
  for (const answers of [
    [['127.0.0.1']],
    [['169.254.169.254']],
    [['::ffff:7f00:1']],
    [['93.184.215.14', '127.0.0.1']],
    [['fd00:ec2::254', '2606:2800:21f::1']],
    [[]],
  ]) {
    const before_ = seen.length;
    const courier = createCourier('public', dns(...answers));
    await assert.rejects(courier.post(`https://shop.test:${port}/`, {}, ''), refused);
    assert.equal(seen.length, before_);
  }
});

test('literal addresses in any spelling, other schemes and no URL are refused without a look-up', async () => {
  const resolve = dns(['93.184.215.14']);
  const courier = createCourier('public', resolve);
  for (const url of [
    `https://127.0.0.1:${port}/`,
    `https://2130706433:${port}/`,
    `https://0x7f000001:${port}/`,
    `https://0177.0.0.1:${port}/`,
    `https://[::1]:${port}/`,
    `https://[::ffff:127.0.0.1]:${port}/`,
    'https://169.254.169.254/latest/meta-data',
    'http://93.184.215.14/',
    'ftp://93.184.215.14/',
    'no url',
  ]) {
    await assert.rejects(courier.post(url, {}, ''), refused, url);
    await assert.rejects(async () => courier.check?.(url), refused, url);
  }
  assert.equal(resolve.calls, 0);
  await courier.check?.('https://shop.example/hook');
});

test('a redirect is an answer like any other; an endless one ends with its status', async () => {
  const courier = createCourier('loopback');
  assert.equal(await courier.post(`http://127.0.0.1:${port}/moved`, {}, ''), 307);
  assert.equal(await courier.post(`http://127.0.0.1:${port}/endless`, {}, ''), 200);
  await assert.rejects(courier.post('http://127.0.0.1:1/', {}, ''), { code: 'ECONNREFUSED' });
});
