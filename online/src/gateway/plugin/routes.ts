/**
 * The update channel over HTTP: versions for the pay page, packages and update manifests for
 * browsers. No page of another origin reads any of it; every answer is checked anew by its tag.
 */
import { createHash } from 'node:crypto';
import {
  PLUGIN_CRX_PATH,
  PLUGIN_UPDATE_XML_PATH,
  PLUGIN_UPDATES_JSON_PATH,
  PLUGIN_VERSIONS_PATH,
  PLUGIN_XPI_PATH,
} from '@tapnpay/protocol/wire';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.ts';
import type { Artefact, ArtefactName, PluginPublisher } from './publisher.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
/** Where each package and update manifest is, and what it says it is. */
const ARTEFACTS: readonly { path: string; name: ArtefactName; type: string }[] = [
  { path: PLUGIN_UPDATE_XML_PATH, name: 'updateXml', type: 'text/xml; charset=utf-8' },
  { path: PLUGIN_CRX_PATH, name: 'crx', type: 'application/x-chrome-extension' },
  { path: PLUGIN_UPDATES_JSON_PATH, name: 'updatesJson', type: JSON_TYPE },
  { path: PLUGIN_XPI_PATH, name: 'xpi', type: 'application/x-xpinstall' },
];
/** `no-cache`: keep it, but ask each time whether it is still the one. */
const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-cache',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

/** Adds the routes to a scope of theirs; each answers only under our own name. */
export function addPluginRoutes(
  scope: FastifyInstance,
  publisher: PluginPublisher,
  publicUrl: string,
): void {
  const { host } = new URL(publicUrl);
  scope.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    if (request.headers.host === host) return;
    throw new GatewayError('ERR_HOST', `ask for this as ${publicUrl}`);
  });
  scope.get(PLUGIN_VERSIONS_PATH, async (request, reply) => {
    const body = Buffer.from(JSON.stringify(publisher.versions()));
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    return sendArtefact(request, reply.type(JSON_TYPE), { body, etag });
  });
  for (const { path, name, type } of ARTEFACTS) {
    // What browsers add to the address says who asks; the answer is the same for all.
    scope.get(path, async (request, reply) =>
      sendArtefact(request, reply.type(type), publisher.artefact(name)),
    );
  }
}

/** The content, or that the asker has it already. @see RFC 9110 §13.1.2 */
function sendArtefact(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, etag }: Artefact,
): FastifyReply {
  reply.header('etag', etag);
  if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send();
  return reply.send(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
}

/** Weak comparison. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const known = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes('*') || known.includes(etag);
}
