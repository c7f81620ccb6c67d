/**
 * The issuer's door for token verification: HTTP on loopback, for the issuer's own services, which
 * know their customer's card. A log-in is no payment: it goes over no switch and has no ISO 8583
 * message. Whoever asks shows the key of `<data>/issuer/token-key`.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { errorBody, Pan, type RandomSource, Secret, toHex } from '@tapnpay/protocol/bytes';
import {
  TOKEN_CHALLENGE_DIGITS_MAX,
  TOKEN_DATA_CHARACTERS_MAX,
  TOKEN_DATA_ITEMS_MAX,
} from '@tapnpay/protocol/emv/data';
import { z } from 'zod';
import type { IssuerLog } from './ports.ts';
import type { TokenVerifier } from './token.ts';

/** Where a token is verified. */
export const TOKEN_PATH = '/v1/tokens/verify';
const LOOPBACK = '127.0.0.1';
const KEY_FILE = 'token-key';
const KEY_BYTES = 32;
const BODY_BYTES_MAX = 4_096;
const REQUEST_TIMEOUT_MS = 10_000;

const question = z.strictObject({
  pan: z.string().regex(/^[0-9]{12,19}$/),
  panSequenceNumber: z
    .string()
    .regex(/^[0-9]{2}$/)
    .default('01'),
  token: z.string().regex(/^[0-9]{1,110}$/),
  mode: z.discriminatedUnion('mode', [
    z.strictObject({
      mode: z.literal('challenge'),
      challenge: z.string().regex(new RegExp(`^[0-9]{1,${TOKEN_CHALLENGE_DIGITS_MAX}}$`)),
    }),
    z.strictObject({ mode: z.literal('plain') }),
    z.strictObject({
      mode: z.literal('sign'),
      data: z.array(z.string().min(1).max(TOKEN_DATA_CHARACTERS_MAX)).max(TOKEN_DATA_ITEMS_MAX),
    }),
  ]),
});

/** The key that services of this issuer show, made at the first start. */
export function openTokenKey(dataDir: string, random: RandomSource): string {
  const folder = join(dataDir, 'issuer');
  const path = join(folder, KEY_FILE);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (fault) {
    if (!(fault instanceof Error && 'code' in fault && fault.code === 'ENOENT')) throw fault;
  }
  const key = toHex(random.bytes(KEY_BYTES));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${key}\n`, { mode: 0o600, flag: 'wx' });
  return key;
}

/** Listens on loopback; port 0 takes a free one. */
export async function serveTokens(options: {
  readonly port: number;
  readonly key: string;
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  readonly log: IssuerLog;
}): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response, options).catch((fault: unknown) => {
      options.log({ event: 'tokenVerificationFailed', code: errorBody(fault).code });
      send(response, 503, { code: 'ERR_TOKEN_UNAVAILABLE' });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, LOOPBACK, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { key, verifier }: { readonly key: string; readonly verifier: Pick<TokenVerifier, 'verify'> },
): Promise<void> {
  if (request.url !== TOKEN_PATH) return send(response, 404, { code: 'ERR_NOT_FOUND' });
  if (request.method !== 'POST') return send(response, 405, { code: 'ERR_METHOD' });
  if (!isKey(request.headers.authorization, key)) {
    return send(response, 401, { code: 'ERR_UNAUTHORIZED' });
  }
  const text = await bodyOf(request);
  if (text === null) return send(response, 413, { code: 'ERR_BODY_TOO_LARGE' });
  const asked = question.safeParse(jsonOf(text));
  if (!asked.success) {
    const fieldPath = asked.error.issues[0]?.path.join('.') ?? '';
    return send(response, 400, { code: 'ERR_REQUEST', fieldPath });
  }
  const { pan, ...rest } = asked.data;
  if (!isPan(pan)) return send(response, 400, { code: 'ERR_REQUEST', fieldPath: 'pan' });
  const { verdict } = await verifier.verify({ ...rest, pan: new Secret(pan) });
  send(response, 200, { verdict });
}

/** In constant time, whatever its length. */
function isKey(header: string | undefined, key: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${key}`));
}

function isPan(text: string): boolean {
  try {
    Pan(text);
    return true;
  } catch {
    return false;
  }
}

/** Null: too long. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}
