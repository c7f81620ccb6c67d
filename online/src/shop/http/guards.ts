/** What a request must be before a route sees it: for this host, not sent by a foreign page. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ShopError } from '../errors.ts';
import { NOTIFICATIONS_PATH } from '../orders.ts';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Host must be ours: a foreign name that resolves to this machine reaches nothing. A request that
 * changes something must say that our own page sent it; notifications are signed instead.
 */
export function addGuards(app: FastifyInstance, origin: string): void {
  const { host } = new URL(origin);
  app.addHook('onRequest', async (request) => {
    if (request.headers.host !== host) throw new ShopError('ERR_HOST', 'not a host of this shop');
    if (SAFE_METHODS.has(request.method) || pathOf(request) === NOTIFICATIONS_PATH) return;
    if (request.headers.origin !== origin) {
      throw new ShopError('ERR_ORIGIN', 'the request did not come from a page of this shop');
    }
  });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '';
}

/** Name of the session cookie; ports of one host share their cookies, so it holds the port. */
export function sessionCookieName(origin: string): string {
  const { port, protocol } = new URL(origin);
  return `tapnpay-shop-${port || (protocol === 'https:' ? '443' : '80')}`;
}

/** The cookie's value, or null. */
export function readCookie(request: FastifyRequest, name: string): string | null {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = pair.trim().split('=');
    if (key === name && value && /^[A-Za-z0-9_-]{1,128}$/.test(value)) return value;
  }
  return null;
}

/** `Set-Cookie` of a session; an empty value ends it. */
export function sessionCookie(
  origin: string,
  session: { readonly value: string; readonly lifetimeMs: number },
): string {
  const parts = [
    `${sessionCookieName(origin)}=${session.value}`,
    'Path=/',
    'HttpOnly',
    'SameSite=Strict',
    `Max-Age=${Math.floor(session.lifetimeMs / 1000)}`,
  ];
  if (origin.startsWith('https:')) parts.push('Secure');
  return parts.join('; ');
}
