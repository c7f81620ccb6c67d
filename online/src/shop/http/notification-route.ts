/** Where the gateway's signed notifications come in. @see Standard Webhooks */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { NOTIFICATIONS_PATH } from '../orders.ts';
import type { HttpPorts } from './server.ts';

/** The signature covers the bytes as they came, so this route reads its body as text. */
export function addNotificationRoute(app: FastifyInstance, { core }: HttpPorts): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
      done(null, body);
    });
    scope.post(NOTIFICATIONS_PATH, async (request, reply) => {
      await core.notification({
        id: header(request, 'webhook-id'),
        timestamp: header(request, 'webhook-timestamp'),
        signature: header(request, 'webhook-signature'),
        body: typeof request.body === 'string' ? request.body : '',
      });
      return reply.code(204).send();
    });
  });
}

function header(request: FastifyRequest, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
}
