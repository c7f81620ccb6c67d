/** Shows the gateway client against a real HTTP server and a real WebSocket. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { PLUGIN_VERSIONS_PATH } from '@tapnpay/protocol/wire';
import { type WebSocket as PeerSocket, WebSocketServer } from 'ws';
import {
  askVersions,
  fromBase64,
  GatewayFault,
  gatewayClient,
  toBase64,
  VERSIONS_PATH,
} from './gateway.ts';
import { ORDER_ID, orderView } from './payment.test-kit.ts';
import { VERSIONS } from './plugin.test-kit.ts';

let server: Server;
let sockets: WebSocketServer;
let url = '';
let status = 200;
let body = '';
let asked = '';
let onPeer: (peer: PeerSocket, request: IncomingMessage) => void = () => {};

before(async () => {
  server = createServer((request, response) => {
    asked = `${request.method} ${request.url}`;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  sockets = new WebSocketServer({ server });
  sockets.on('connection', (peer, request) => onPeer(peer, request));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  for (const peer of sockets.clients) peer.terminate();
  sockets.close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

async function codeOf(act: Promise<unknown>): Promise<string> {
  const fault = await act.then(
    () => assert.fail('it was answered'),
    (thrown: unknown) => thrown,
  );
  assert.ok(fault instanceof GatewayFault);
  return fault.code;
}

describe('the view of an order', () => {
  test('is asked for and cancelled under its id', async () => {
    status = 200;
    body = JSON.stringify(orderView());
    assert.deepEqual(await gatewayClient(url).order(ORDER_ID), orderView());
    assert.equal(asked, `GET /v1/pay/${ORDER_ID}`);
    await gatewayClient(url).cancel(ORDER_ID);
    assert.equal(asked, `POST /v1/pay/${ORDER_ID}/cancel`);
  });

  test('an id cannot lead to another path', async () => {
    status = 404;
    body = JSON.stringify({ code: 'ERR_ORDER_NOT_FOUND' });
    assert.equal(await codeOf(gatewayClient(url).order('../orders')), 'ERR_ORDER_NOT_FOUND');
    assert.equal(asked, 'GET /v1/pay/..%2Forders');
  });

  for (const [name, answered, text, code] of [
    ['a refusal', 409, '{"code":"ERR_ORDER_PAID"}', 'ERR_ORDER_PAID'],
    ['trouble of the server', 500, '{"code":"ERR_INTERNAL"}', 'ERR_NETWORK'],
    ['a foreign refusal', 403, '{"error":"no"}', 'ERR_NETWORK'],
    ['no JSON', 200, '<html>', 'ERR_NETWORK'],
    ['no view', 200, '{}', 'ERR_NETWORK'],
    ['null', 200, 'null', 'ERR_NETWORK'],
    ['another order', 200, JSON.stringify(orderView({ orderId: 'x' })), 'ERR_NETWORK'],
    ['a wrong amount', 200, JSON.stringify(orderView({ amountMinor: '1.5' })), 'ERR_NETWORK'],
    ['no payment field', 200, '{"orderId":"x","amountMinor":"1"}', 'ERR_NETWORK'],
  ] as const) {
    test(`${name} is ${code}`, async () => {
      status = answered;
      body = text;
      assert.equal(await codeOf(gatewayClient(url).order(ORDER_ID)), code);
    });
  }

  test('nobody there is ERR_NETWORK', async () => {
    assert.equal(await codeOf(gatewayClient('http://127.0.0.1:1').order(ORDER_ID)), 'ERR_NETWORK');
  });
});

describe('the versions', () => {
  test('are asked for where the gateway has them', async () => {
    assert.equal(VERSIONS_PATH, PLUGIN_VERSIONS_PATH);
    status = 200;
    body = JSON.stringify(VERSIONS);
    assert.deepEqual(await askVersions(url), VERSIONS);
    assert.equal(asked, `GET ${PLUGIN_VERSIONS_PATH}`);
  });

  for (const [name, answered, text] of [
    ['no such route', 404, '{"code":"ERR_NOT_FOUND"}'],
    ['trouble of the server', 500, '{}'],
    ['no JSON', 200, '<html>'],
    ['another document', 200, '{"extension":{}}'],
    ['null', 200, 'null'],
  ] as const) {
    test(`${name}: nothing is offered or required`, async () => {
      status = answered;
      body = text;
      assert.equal(await askVersions(url), null);
    });
  }
});

describe('the bridge', () => {
  test('carries bytes both ways, in messages of at most 64 KiB', async () => {
    const got: Uint8Array[] = [];
    const large = Uint8Array.from({ length: 150_000 }, (_, at) => at % 251);
    const answer = await new Promise<string>((done) => {
      onPeer = (peer, request) => {
        assert.equal(request.url, '/v1/channel');
        peer.on('message', (data: Buffer) => {
          got.push(data);
          if (got.length === 3) peer.send(Buffer.from([0, 255, 128]));
        });
      };
      const channel = gatewayClient(url).openChannel({
        opened: () => channel.send(toBase64(large)),
        received: (base64) => {
          channel.close();
          done(base64);
        },
        closed: () => assert.fail('our own close is not told'),
      });
    });
    assert.deepEqual([...fromBase64(answer)], [0, 255, 128]);
    assert.deepEqual(
      got.map(({ length }) => length),
      [65_536, 65_536, 18_928],
    );
    assert.deepEqual(Buffer.concat(got), Buffer.from(large));
  });

  test('its loss is told', async () => {
    onPeer = (peer) => peer.close();
    await new Promise<void>((done) => {
      gatewayClient(url).openChannel({ opened: () => {}, received: () => {}, closed: done });
    });
  });

  test('a gateway that is away is a loss, and bytes for it are dropped', async () => {
    await new Promise<void>((done) => {
      const channel = gatewayClient('http://127.0.0.1:1').openChannel({
        opened: () => assert.fail('nobody there'),
        received: () => {},
        closed: done,
      });
      channel.send('AAAA');
    });
  });

  test('text from the gateway is none of ours', async () => {
    onPeer = (peer) => {
      peer.send('text');
      peer.send(Buffer.from([1]));
    };
    const received = await new Promise<string>((done) => {
      const channel = gatewayClient(url).openChannel({
        opened: () => {},
        received: (base64) => {
          channel.close();
          done(base64);
        },
        closed: () => {},
      });
    });
    assert.equal(received, 'AQ==');
  });
});
