/** Shows the same lines over real sockets on loopback: bytes, closing, and nobody listening. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectTcp, LineError, listenTcp, type Transport } from './index.ts';

const nothing = (): void => undefined;

test('bytes pass both ways and the close is heard on both sides', async () => {
  const server = await listenTcp({
    port: 0,
    onTransport: (transport: Transport) =>
      transport.listen({ onBytes: (chunk) => transport.send(chunk), onClose: nothing }),
  });
  const transport = await connectTcp({ port: server.port });
  const echoed = new Promise<Uint8Array>((resolve) => {
    transport.listen({ onBytes: resolve, onClose: nothing });
  });
  transport.send(Uint8Array.of(1, 2, 3));
  assert.deepEqual([...(await echoed)], [1, 2, 3]);
  transport.close();
  await server.close();
});

test('a listener that closes ends its connections', async () => {
  const server = await listenTcp({
    port: 0,
    onTransport: (transport) => transport.listen({ onBytes: nothing, onClose: nothing }),
  });
  const transport = await connectTcp({ port: server.port });
  const closed = new Promise<void>((resolve) => {
    transport.listen({ onBytes: nothing, onClose: () => resolve() });
  });
  await Promise.all([closed, server.close()]);
  transport.send(Uint8Array.of(1));
});

test('nobody listens: ERR_LINE_CONNECT', async () => {
  const server = await listenTcp({ port: 0, onTransport: nothing });
  await server.close();
  await assert.rejects(
    connectTcp({ port: server.port }),
    (thrown) => thrown instanceof LineError && thrown.code === 'ERR_LINE_CONNECT',
  );
});
