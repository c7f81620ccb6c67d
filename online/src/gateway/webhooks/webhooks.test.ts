/**
 * Shows webhook endpoints: who hears what, two signatures while a secret changes, 72 hours of
 * tries, a failing endpoint taken out of use, replay; over the memory and over PostgreSQL.
 */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import type { GatewayCore } from '../core.ts';
import { GatewayError } from '../errors.ts';
import { type TestGateway, testGateway } from '../gateway.test-kit.ts';
import { webhookSecretBytes } from '../merchant-keys.ts';
import { paidOrder, wish } from '../operations/operations.test-kit.ts';
import { GATEWAY_DEFAULTS } from '../ports.ts';
import type { GatewayStore } from '../store.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import { openGatewayStore } from '../store-postgres.ts';
import { createCourier } from './courier.ts';
import {
  addEndpoint,
  ENDPOINT_FAILING_MS_MAX,
  ENDPOINTS_MAX,
  type NewEndpoint,
  orderSecret,
  ownDelivery,
  replayDelivery,
  rotateSecret,
  secretOf,
  secretsOf,
  switchEndpoint,
} from './endpoints.ts';
import type { Delivery } from './model.ts';

const HOUR_MS = 3_600_000;
const owner = { merchantId: '898110000000001', mode: 'test' } as const;
let count = 0;

type Rule = (title: string, check: (gateway: TestGateway) => Promise<void>) => void;

function suite(name: string, open: () => Promise<GatewayStore | null>): void {
  describe(name, () => {
    let gateway: TestGateway | null = null;
    before(async () => {
      const store = await open();
      gateway = store && (await testGateway({ store, seed: ++count }));
    });
    after(() => gateway?.store.close());
    const rule: Rule = (title, check) => {
      test(title, async (context) => {
        if (!gateway) return context.skip('no database here');
        gateway.posts.length = 0;
        gateway.courier.status = 200;
        await check(gateway);
        for (const { endpointId } of await gateway.store.listEndpoints(owner)) {
          await switchEndpoint(gateway.ports, owner, { endpointId, state: 'disabled' });
        }
        gateway.courier.status = 200;
        await drain(gateway);
      });
    };
    endpointRules(rule);
    deliveryRules(rule);
  });
}

/** Works until nothing is due. */
async function drain({ core }: { readonly core: GatewayCore }): Promise<void> {
  while ((await core.tick()).notifications > 0);
}

const identity = (): string => createHash('sha256').update(String(++count)).digest('hex');

async function anEndpoint(
  { ports }: TestGateway,
  url = 'https://a.example/',
): Promise<NewEndpoint> {
  return addEndpoint(ports, owner, { url, identity: identity() });
}

function isSignedBy(
  post: { readonly headers: Readonly<Record<string, string>>; readonly body: string } | undefined,
  secret: string,
): boolean {
  const { headers, body } = post ?? { headers: {}, body: '' };
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const mac = createHmac('sha256', webhookSecretBytes(secret)).update(signed).digest('base64');
  return (headers['webhook-signature'] ?? '').split(' ').includes(`v1,${mac}`);
}

function endpointRules(rule: Rule): void {
  rule(
    'every enabled endpoint of the merchant and mode hears every event, once',
    async (gateway) => {
      const { ports, posts, core } = gateway;
      const a = await anEndpoint(gateway);
      const b = await anEndpoint(gateway, 'https://b.example/');
      const foreign = { ...owner, merchantId: '629990000000002' };
      const live = { ...owner, mode: 'live' } as const;
      for (const other of [foreign, live]) {
        await addEndpoint(ports, other, { url: 'https://c.example/', identity: identity() });
      }
      await paidOrder(gateway, { notifyUrl: 'https://order.example/' });
      await drain(gateway);
      const urls = posts.map(({ url }) => url).sort();
      assert.deepEqual(urls, [
        'https://a.example/',
        'https://b.example/',
        'https://order.example/',
      ]);
      assert.equal(new Set(posts.map(({ headers }) => headers['webhook-id'])).size, 3);
      assert.equal(new Set(posts.map(({ body }) => body)).size, 1);
      for (const { endpoint, secret } of [a, b]) {
        const post = posts.find(({ url }) => url === endpoint.url);
        assert.ok(isSignedBy(post, secret));
        assert.ok(!isSignedBy(post, a === b ? '' : `whsec_${'A'.repeat(32)}`));
      }
      await switchEndpoint(ports, owner, { endpointId: b.endpoint.endpointId, state: 'disabled' });
      posts.length = 0;
      const { paymentId } = await paidOrder(gateway);
      await core.operate(wish('refund', paymentId, { amount: '1' }));
      await drain(gateway);
      const told = posts.map(({ url, body }) => [url, JSON.parse(body).type]);
      assert.deepEqual(told.sort(), [
        ['https://a.example/', 'payment.approved'],
        ['https://a.example/', 'refund.succeeded'],
      ]);
    },
  );

  rule(
    'a secret is shown, kept sealed, and rotated with two signatures meanwhile',
    async (gateway) => {
      const { ports, posts, store, clock } = gateway;
      const first = await anEndpoint(gateway);
      const { endpointId } = first.endpoint;
      assert.match(first.secret, /^whsec_[A-Za-z0-9+/]{32}$/);
      assert.ok(
        !JSON.stringify(await store.findEndpoint(endpointId)).includes(first.secret.slice(6)),
      );
      const wanted = { endpointId, overlapMs: 24 * HOUR_MS, identity: identity() };
      const second = await rotateSecret(ports, owner, wanted);
      const again = await rotateSecret(ports, owner, wanted);
      assert.equal(again.secret, second.secret, 'a repeat makes no third secret');
      const tell = async () => {
        posts.length = 0;
        await paidOrder(gateway);
        await drain(gateway);
        return [first.secret, second.secret].map((secret) => isSignedBy(posts[0], secret));
      };
      assert.deepEqual(await tell(), [true, true]);
      assert.equal(posts[0]?.headers['webhook-signature']?.split(' ').length, 2);
      clock.advance(24 * HOUR_MS - 1);
      assert.deepEqual(await tell(), [true, true]);
      clock.advance(1);
      assert.deepEqual(await tell(), [false, true]);
      assert.equal(posts[0]?.headers['webhook-signature']?.split(' ').length, 1);
      const none = { ...wanted, overlapMs: 0, identity: identity() };
      const third = await rotateSecret(ports, owner, none);
      assert.deepEqual(await tell(), [false, false]);
      assert.ok(isSignedBy(posts[0], third.secret));
    },
  );

  rule(
    'an endpoint is made once per key; others’ do not exist; their number is limited',
    async (gateway) => {
      const { ports } = gateway;
      const key = identity();
      const make = (url: string) => addEndpoint(ports, owner, { url, identity: key });
      const made = await Promise.all(Array.from({ length: 10 }, () => make('https://a.example/')));
      assert.equal(new Set(made.map(({ endpoint }) => endpoint.endpointId)).size, 1);
      assert.equal(new Set(made.map(({ secret }) => secret)).size, 1);
      await assert.rejects(make('https://b.example/'), { code: 'ERR_IDEMPOTENCY_MISMATCH' });
      const { endpointId } = made[0]?.endpoint ?? { endpointId: '' };
      for (const other of [{ ...owner, merchantId: 'X' }, { ...owner, mode: 'live' } as const]) {
        const change = switchEndpoint(ports, other, { endpointId, state: 'disabled' });
        await assert.rejects(change, { code: 'ERR_ENDPOINT_NOT_FOUND' });
        const wanted = { endpointId, overlapMs: 0, identity: identity() };
        await assert.rejects(rotateSecret(ports, other, wanted), {
          code: 'ERR_ENDPOINT_NOT_FOUND',
        });
      }
      for (const url of ['ftp://a.example/', 'https://u:p@a.example/', 'a.example']) {
        const wrong = addEndpoint(ports, owner, { url, identity: identity() });
        await assert.rejects(wrong, { code: 'ERR_NOTIFY_URL' }, url);
      }
      for (let n = 1; n < ENDPOINTS_MAX; n++) await anEndpoint(gateway);
      await assert.rejects(anEndpoint(gateway), { code: 'ERR_ENDPOINT_LIMIT' });
      await make('https://a.example/');
    },
  );
}

function deliveryRules(rule: Rule): void {
  rule(
    'addresses of orders: one secret for each merchant and mode, none inward',
    async (gateway) => {
      const { ports, posts, core, store } = gateway;
      const foreign = { merchantId: '629990000000002', mode: 'test' } as const;
      const secrets = [owner, foreign, { ...owner, mode: 'live' } as const].map((of) =>
        secretOf(orderSecret(ports.profile, of)),
      );
      assert.equal(new Set(secrets).size, 3);
      const { order, paymentId } = await paidOrder(gateway, {
        notifyUrl: 'https://order.example/',
      });
      await drain(gateway);
      assert.deepEqual(
        secrets.map((secret) => isSignedBy(posts[0], secret)),
        [true, false, false],
      );
      // The same notification, were it another merchant's.
      const { delivery } = await ownDelivery(ports, owner, posts[0]?.headers['webhook-id'] ?? '');
      const own = await secretsOf(ports, { ...delivery, ...foreign });
      assert.equal(secretOf(own[0] ?? new Uint8Array()), secrets[1]);
      assert.equal((await store.findPayment(paymentId))?.orderId, order.orderId);
      Object.assign(ports.courier, { check: createCourier('public').check });
      for (const notifyUrl of ['https://169.254.169.254/', 'https://[::1]/', 'http://a.example/']) {
        const wanted = { merchantOrderNumber: 'N', amount: '1', currency: '156' };
        const made = core.createOrder(identity(), { ...wanted, origin: 'https://a', notifyUrl });
        await assert.rejects(made, { code: 'ERR_NOTIFY_URL' }, notifyUrl);
      }
      Object.assign(ports.courier, { check: undefined });
    },
  );

  rule(
    'an endpoint without one success for five days is taken out of use, and can return',
    async (gateway) => {
      const { ports, store, courier, clock, posts } = gateway;
      const { endpoint } = await anEndpoint(gateway);
      const { endpointId } = endpoint;
      const stateOf = async () => {
        const row = await store.findEndpoint(endpointId);
        return [row?.state, row?.failingSinceMs !== null];
      };
      courier.status = 503;
      await paidOrder(gateway);
      await drain(gateway);
      assert.deepEqual(await stateOf(), ['enabled', true]);
      courier.status = 204;
      clock.advance(5_000);
      await drain(gateway);
      assert.deepEqual(await stateOf(), ['enabled', false], 'a success ends it');
      courier.status = 0;
      await paidOrder(gateway);
      await drain(gateway);
      clock.advance(ENDPOINT_FAILING_MS_MAX - 1);
      await drain(gateway);
      assert.deepEqual(await stateOf(), ['enabled', true]);
      clock.advance(HOUR_MS);
      await drain(gateway);
      assert.deepEqual(await stateOf(), ['failing', true]);
      courier.status = 200;
      posts.length = 0;
      const { order, paymentId } = await paidOrder(gateway);
      await drain(gateway);
      const { merchantId, mode } = order;
      const own = await store.listDeliveries({ merchantId, mode, paymentId, limit: 10 });
      assert.deepEqual([posts.length, own.length], [0, 0]);
      const back = await switchEndpoint(ports, owner, { endpointId, state: 'enabled' });
      assert.deepEqual([back.state, back.failingSinceMs], ['enabled', null]);
      await paidOrder(gateway);
      await drain(gateway);
      assert.equal(posts.length, 1);
    },
  );

  rule('72 hours of tries with growing pauses, each in the log; then replay', async (gateway) => {
    const { ports, courier, clock, posts } = gateway;
    courier.status = 500;
    const { paymentId } = await paidOrder(gateway, { notifyUrl: 'https://order.example/' });
    const startMs = clock.nowMs();
    await drain(gateway);
    const pauses = GATEWAY_DEFAULTS.notificationPausesMs;
    for (const pauseMs of pauses) {
      clock.advance(pauseMs - 1);
      await drain(gateway);
      const tried = posts.length;
      clock.advance(1);
      await drain(gateway);
      assert.equal(posts.length, tried + 1);
    }
    assert.equal(clock.nowMs() - startMs, 72 * HOUR_MS);
    const growing = pauses.slice(0, -1).every((pauseMs, n) => pauseMs >= (pauses[n - 1] ?? 0));
    assert.ok(growing);
    const messageId = posts[0]?.headers['webhook-id'] ?? '';
    const { delivery, tries } = await ownDelivery(ports, owner, messageId);
    assert.deepEqual([delivery.state, delivery.lastStatus], ['dead', 500]);
    assert.equal(tries.length, pauses.length + 1);
    assert.deepEqual(tries[0], { attempt: 1, atMs: startMs, status: 500, fault: null });
    clock.advance(90 * 24 * HOUR_MS);
    await drain(gateway);
    assert.equal(posts.length, pauses.length + 1, 'given up');

    courier.status = 200;
    await assert.rejects(replayDelivery(ports, { ...owner, merchantId: 'X' }, messageId), {
      code: 'ERR_DELIVERY_NOT_FOUND',
    });
    await assert.rejects(replayDelivery(ports, owner, 'none'), { code: 'ERR_DELIVERY_NOT_FOUND' });
    for (let n = 1; n <= 2; n++) {
      await replayDelivery(ports, owner, messageId);
      await drain(gateway);
      const post = posts.at(-1);
      assert.equal(posts.length, pauses.length + 1 + n);
      assert.equal(post?.headers['webhook-id'], messageId, 'the receiver knows it again');
      assert.equal(post?.body, posts[0]?.body);
      assert.equal((await ownDelivery(ports, owner, messageId)).delivery.state, 'delivered');
    }
    assert.equal(JSON.parse(posts[0]?.body ?? '{}').data.paymentId, paymentId);
  });

  rule('the log is listed newest first, by payment and state, page by page', async (gateway) => {
    const { store, clock, courier } = gateway;
    await anEndpoint(gateway);
    const first = await paidOrder(gateway, { notifyUrl: 'https://order.example/' });
    clock.advance(1);
    await drain(gateway);
    courier.status = 400;
    await paidOrder(gateway, { notifyUrl: 'https://order.example/' });
    await drain(gateway);
    const all = await store.listDeliveries({ ...owner, limit: 1_000 });
    const times = all.map(({ createdAtMs }) => createdAtMs);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => b - a),
    );
    const paged: string[] = [];
    for (let page: readonly Delivery[] = []; paged.length < all.length; ) {
      page = await store.listDeliveries({ ...owner, before: page.at(-1), limit: 3 });
      assert.ok(page.length > 0);
      paged.push(...page.map(({ messageId }) => messageId));
    }
    assert.deepEqual(
      paged,
      all.map(({ messageId }) => messageId),
    );
    const own = await store.listDeliveries({ ...owner, paymentId: first.paymentId, limit: 10 });
    assert.equal(own.length, 2);
    const waiting = await store.listDeliveries({ ...owner, state: 'waiting', limit: 100 });
    assert.equal(waiting.length, 2);
    assert.ok(waiting.every(({ lastStatus }) => lastStatus === 400));
    assert.deepEqual(await store.listDeliveries({ ...owner, mode: 'live', limit: 10 }), []);
  });

  rule(
    'a receiver that throws, or an address that is refused, is a failed try with its reason',
    async (gateway) => {
      const { ports, posts } = gateway;
      const post = ports.courier.post;
      const faults = [new GatewayError('ERR_NOTIFY_URL', 'no'), new Error('reset')];
      for (const [n, expected] of ['refusedAddress', 'network'].entries()) {
        posts.length = 0;
        let messageId = '';
        Object.assign(ports.courier, {
          post: async (_url: string, headers: Record<string, string>) => {
            messageId = headers['webhook-id'] ?? '';
            throw faults[n];
          },
        });
        await paidOrder(gateway, { notifyUrl: 'https://order.example/' });
        await gateway.core.tick();
        Object.assign(ports.courier, { post });
        const { tries } = await ownDelivery(ports, owner, messageId);
        assert.deepEqual(
          tries.map(({ status, fault }) => [status, fault]),
          [[0, expected]],
        );
        gateway.clock.advance(HOUR_MS);
        await drain(gateway);
      }
    },
  );
}

suite('memory', async () => new MemoryGatewayStore());

let database: TestDatabase | null = null;
suite('PostgreSQL', async () => {
  database = await startTestDatabase();
  return database && openGatewayStore({ databaseUrl: database.url, schema: 'gateway' });
});
after(() => database?.close());
