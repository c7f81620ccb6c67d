/** What operators and their tools ask a party: metrics, liveness, readiness. Loopback only. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

/** What must hold before a party takes traffic, by name. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<boolean> | boolean>>;

/** A running server. */
export type OpsServer = { readonly port: number; readonly close: () => Promise<void> };

const CHECK_TIMEOUT_MS = 2_000;
const LOOPBACK = '127.0.0.1';

/**
 * Listens on loopback: `/metrics` for Prometheus, `/health/live` (this process answers),
 * `/health/ready` (it can take traffic; 503 names what fails). Port 0 takes a free one.
 */
export async function startOpsServer(options: {
  readonly port: number;
  readonly metrics: Metrics;
  readonly checks: ReadinessChecks;
}): Promise<OpsServer> {
  const server = createServer((request, response) => {
    answer(request, response, options).catch(() => send(response, 500, { status: 'failed' }));
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
  { metrics, checks }: Parameters<typeof startOpsServer>[0],
): Promise<void> {
  if (request.method !== 'GET') return send(response, 405, { status: 'methodNotAllowed' });
  switch (request.url) {
    case '/metrics': {
      const { registry } = metrics;
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
      return;
    }
    case '/health/live':
      return send(response, 200, { status: 'live' });
    case '/health/ready': {
      const results = await runChecks(checks);
      const isReady = Object.values(results).every(Boolean);
      return send(response, isReady ? 200 : 503, {
        status: isReady ? 'ready' : 'notReady',
        checks: results,
      });
    }
    default:
      return send(response, 404, { status: 'notFound' });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}

/** Every check at once; one that throws or hangs does not hold. */
async function runChecks(checks: ReadinessChecks): Promise<Readonly<Record<string, boolean>>> {
  const entries = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await holds(check)] as const),
  );
  return Object.fromEntries(entries);
}

async function holds(check: () => Promise<boolean> | boolean): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, false);
  });
  try {
    return await Promise.race([Promise.resolve().then(check), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
