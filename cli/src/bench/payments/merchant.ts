/** The merchant of a load: orders over kept-alive HTTP, and the receiver of its notifications. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { errorFromBody } from '@tapnpay/protocol/bytes';
import type { EnrolmentGrant } from '@tapnpay/protocol/wire';
import type { Enroller } from './element.ts';

/** Connections that are kept to the gateway. */
const SOCKETS_MAX = 64;
const HTTP_TIMEOUT_MS = 30_000;
const SECRET_PREFIX = 'whsec_';

/** What a gateway gives its one merchant and its operator. */
type Keys = {
  readonly apiKey: string;
  readonly operatorKey: string;
  readonly webhookSecret: string;
};

/** Orders and enrolments at one gateway. */
export class Merchant implements Enroller {
  readonly #port: number;
  readonly #keys: Keys;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

  constructor(facts: { readonly port: number; readonly dataDir: string }) {
    this.#port = facts.port;
    const path = join(facts.dataDir, 'gateway', 'merchant-key.json');
    this.#keys = JSON.parse(readFileSync(path, 'utf8')) as Keys;
  }

  /** Key of the notifications' signature. */
  get webhookKey(): Buffer {
    return Buffer.from(this.#keys.webhookSecret.replace(SECRET_PREFIX, ''), 'base64');
  }

  /** A new order; its id. @throws the gateway's coded error. */
  async order(facts: {
    readonly number: string;
    readonly amount: string;
    readonly notifyUrl: string;
  }): Promise<string> {
    const { number, amount, notifyUrl } = facts;
    const body = {
      ...{ merchantOrderNumber: number, amount, currency: '156', notifyUrl },
      origin: 'https://shop.tapnpay.test',
    };
    const headers = { 'idempotency-key': number };
    const { orderId } = await this.#post<{ orderId: string }>('/v1/orders', {
      ...{ key: this.#keys.apiKey, headers, body },
    });
    return orderId;
  }

  async pairingCode(): Promise<string> {
    const key = this.#keys.operatorKey;
    const { code } = await this.#post<{ code: string }>('/v1/pairing-codes', { key });
    return code;
  }

  enrol(body: unknown): Promise<EnrolmentGrant> {
    return this.#post('/v1/enrolments', { body });
  }

  close(): void {
    this.#agent.destroy();
  }

  #post<T>(
    path: string,
    options: {
      readonly key?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    },
  ): Promise<T> {
    const { key, headers = {}, body } = options;
    const text = body === undefined ? '' : JSON.stringify(body);
    return new Promise((done, fail) => {
      const sent = request(
        {
          ...{ host: '127.0.0.1', port: this.#port, path, method: 'POST', agent: this.#agent },
          timeout: HTTP_TIMEOUT_MS,
          headers: {
            ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
            'content-length': Buffer.byteLength(text),
          },
        },
        (response) => {
          bodyOf(response).then((answer) => {
            const value: unknown = JSON.parse(answer);
            if ((response.statusCode ?? 0) < 300) done(value as T);
            else fail(errorFromBody(value as Parameters<typeof errorFromBody>[0]));
          }, fail);
        },
      );
      sent.on('timeout', () => sent.destroy(new Error('the gateway does not answer')));
      sent.on('error', fail);
      sent.end(text);
    });
  }
}

/** Takes notifications, checks each signature, and remembers which payment it was about. */
export class NotificationReceiver {
  readonly url: string;
  /** How often each payment was told as approved. */
  readonly approved: Map<string, number> = new Map();
  /** Milliseconds from the event to its arrival. */
  readonly delaysMs: number[] = [];
  wrong = 0;
  readonly #server: Server;

  private constructor(server: Server, key: Buffer) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/notifications`;
    server.on('request', (incoming: IncomingMessage, outgoing) => {
      bodyOf(incoming).then(
        (body) => {
          const status = this.#take(incoming.headers, body, key) ? 204 : 400;
          outgoing.writeHead(status).end();
        },
        () => outgoing.destroy(),
      );
    });
  }

  static async start(key: Buffer): Promise<NotificationReceiver> {
    const server = createServer({ keepAliveTimeout: HTTP_TIMEOUT_MS });
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen({ host: '127.0.0.1', port: 0 }, done);
    });
    return new NotificationReceiver(server, key);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #take(headers: IncomingMessage['headers'], body: string, key: Buffer): boolean {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = createHmac('sha256', key).update(signed).digest();
    const given = Buffer.from(String(headers['webhook-signature']).replace('v1,', ''), 'base64');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      this.wrong += 1;
      return false;
    }
    const event = JSON.parse(body) as {
      readonly type: string;
      readonly timestamp: string;
      readonly data: { readonly paymentId: string };
    };
    if (event.type === 'payment.approved') {
      const { paymentId } = event.data;
      this.approved.set(paymentId, (this.approved.get(paymentId) ?? 0) + 1);
      this.delaysMs.push(Date.now() - Date.parse(event.timestamp));
    }
    return true;
  }
}

function bodyOf(incoming: IncomingMessage): Promise<string> {
  return new Promise((done, fail) => {
    let body = '';
    incoming.setEncoding('utf8');
    incoming.on('data', (text: string) => {
      body += text;
    });
    incoming.once('end', () => done(body));
    incoming.once('error', fail);
  });
}
