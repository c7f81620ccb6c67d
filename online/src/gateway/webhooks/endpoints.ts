/** Webhook endpoints of merchants: made, rotated, disabled; their deliveries seen and replayed. */
import { createHmac } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { webhookSecretBytes } from '../merchant-keys.ts';
import type { Mode } from '../merchants/model.ts';
import type { OutboxMessage } from '../model.ts';
import { webUrl } from '../orders.ts';
import type { GatewayPorts, GatewayProfile } from '../ports.ts';
import type { Delivery, DeliveryTry, EndpointSecret, TryResult, WebhookEndpoint } from './model.ts';

/** Endpoints of one merchant in one mode that are not disabled. */
export const ENDPOINTS_MAX = 10;
const SECRET_BYTES = 24;
const ENDPOINT_ID_DIGITS = 32;
/** How long a former secret signs beside the new one, at most. */
export const ROTATION_OVERLAP_MS_MAX: number = 7 * 86_400_000;
/** After so long without one success an endpoint is taken out of use. */
export const ENDPOINT_FAILING_MS_MAX: number = 5 * 86_400_000;

/** Whose endpoints. */
export type EndpointOwner = { readonly merchantId: string; readonly mode: Mode };
/** An endpoint with the secret that is shown this once, as `whsec_` and base64. */
export type NewEndpoint = { readonly endpoint: WebhookEndpoint; readonly secret: string };

/**
 * A new endpoint; a repeat with the same `identity` finds it. @throws GatewayError
 * `ERR_NOTIFY_URL`, `ERR_ENDPOINT_LIMIT`, `ERR_IDEMPOTENCY_MISMATCH`.
 */
export async function addEndpoint(
  ports: GatewayPorts,
  owner: EndpointOwner,
  wanted: { readonly url: string; readonly identity: string },
): Promise<NewEndpoint> {
  const { store, clock, courier } = ports;
  const { identity } = wanted;
  const url = webUrl(wanted.url, 'url', 'ERR_NOTIFY_URL') ?? '';
  await courier.check?.(url);
  const endpointId = `we_${identity.slice(0, ENDPOINT_ID_DIGITS)}`;
  const listed = await store.listEndpoints(owner);
  const inUse = listed.filter((row) => row.state !== 'disabled' && row.endpointId !== endpointId);
  if (inUse.length >= ENDPOINTS_MAX) {
    throw new GatewayError('ERR_ENDPOINT_LIMIT', `at most ${ENDPOINTS_MAX} endpoints are in use`);
  }
  await store.addEndpoint({
    endpointId,
    ...owner,
    url,
    secrets: [newSecret(ports, identity)],
    state: 'enabled',
    failingSinceMs: null,
    createdAtMs: clock.nowMs(),
  });
  const endpoint = await ownEndpoint(ports, owner, endpointId);
  if (endpoint.url === url) return { endpoint, secret: secretText(ports, endpoint, identity) };
  const message = 'this Idempotency-Key was used with another request';
  throw new GatewayError('ERR_IDEMPOTENCY_MISMATCH', message);
}

/**
 * A new secret; the former one signs beside it for `overlapMs`, so that a receiver can change over
 * without missing anything. A repeat with the same `identity` finds it. @throws GatewayError
 * `ERR_ENDPOINT_NOT_FOUND`.
 */
export async function rotateSecret(
  ports: GatewayPorts,
  owner: EndpointOwner,
  wanted: {
    readonly endpointId: string;
    readonly overlapMs: number;
    readonly identity: string;
  },
): Promise<NewEndpoint> {
  const { endpointId, identity } = wanted;
  const found = await ownEndpoint(ports, owner, endpointId);
  if (found.secrets.some((secret) => secret.identity === identity)) {
    return { endpoint: found, secret: secretText(ports, found, identity) };
  }
  const overlapMs = Math.min(Math.max(wanted.overlapMs, 0), ROTATION_OVERLAP_MS_MAX);
  const [current] = found.secrets;
  // One former secret at most: the one before it ends with this rotation.
  const former = current ? [{ ...current, endsAtMs: ports.clock.nowMs() + overlapMs }] : [];
  const secrets: readonly EndpointSecret[] = [newSecret(ports, identity), ...former];
  const endpoint = (await ports.store.changeEndpoint(endpointId, { secrets })) ?? found;
  return { endpoint, secret: secretText(ports, endpoint, identity) };
}

/** Takes an endpoint out of use, or back into it. @throws GatewayError `ERR_ENDPOINT_NOT_FOUND`. */
export async function switchEndpoint(
  ports: GatewayPorts,
  owner: EndpointOwner,
  facts: { readonly endpointId: string; readonly state: 'enabled' | 'disabled' },
): Promise<WebhookEndpoint> {
  const found = await ownEndpoint(ports, owner, facts.endpointId);
  const { state } = facts;
  return (await ports.store.changeEndpoint(found.endpointId, { state })) ?? found;
}

/** An endpoint of this owner. @throws GatewayError `ERR_ENDPOINT_NOT_FOUND`. */
export async function ownEndpoint(
  ports: GatewayPorts,
  owner: EndpointOwner,
  endpointId: string,
): Promise<WebhookEndpoint> {
  const endpoint = await ports.store.findEndpoint(endpointId);
  if (endpoint && isOwn(endpoint, owner)) return endpoint;
  throw new GatewayError('ERR_ENDPOINT_NOT_FOUND', 'there is no such endpoint');
}

/** A delivery of this owner, its failed tries. @throws GatewayError `ERR_DELIVERY_NOT_FOUND`. */
export async function ownDelivery(
  ports: GatewayPorts,
  owner: EndpointOwner,
  messageId: string,
): Promise<{ readonly delivery: Delivery; readonly tries: readonly DeliveryTry[] }> {
  const found = await ports.store.findDelivery(messageId);
  if (found && isOwn(found.delivery, owner)) return found;
  throw new GatewayError('ERR_DELIVERY_NOT_FOUND', 'there is no such notification');
}

/**
 * Delivers a notification again, whatever became of it: same id, same body, a new time.
 * @throws GatewayError `ERR_DELIVERY_NOT_FOUND`.
 */
export async function replayDelivery(
  ports: GatewayPorts,
  owner: EndpointOwner,
  messageId: string,
): Promise<Delivery> {
  const { delivery } = await ownDelivery(ports, owner, messageId);
  const again = await ports.store.replayDelivery(messageId, ports.clock.nowMs());
  ports.wake();
  return again ?? delivery;
}

function isOwn(row: EndpointOwner, { merchantId, mode }: EndpointOwner): boolean {
  return row.merchantId === merchantId && row.mode === mode;
}

function newSecret({ random, vault }: GatewayPorts, identity: string): EndpointSecret {
  const text = secretOf(random.bytes(SECRET_BYTES));
  return { sealed: vault.seal(text), identity, endsAtMs: null };
}

function secretText({ vault }: GatewayPorts, endpoint: WebhookEndpoint, identity: string): string {
  const secret = endpoint.secrets.find((row) => row.identity === identity);
  if (secret) return vault.open(secret.sealed);
  throw new GatewayError('ERR_ENDPOINT_NOT_FOUND', 'its secret was replaced meanwhile');
}

/** Secrets that sign a message now; none when its endpoint is out of use. */
export async function secretsOf(
  { store, profile, vault, clock }: GatewayPorts,
  message: Pick<OutboxMessage, 'endpointId' | 'merchantId' | 'mode'>,
): Promise<readonly Uint8Array[]> {
  const { endpointId } = message;
  if (endpointId === null) return [orderSecret(profile, message)];
  const endpoint = await store.findEndpoint(endpointId);
  if (endpoint?.state !== 'enabled') return [];
  const nowMs = clock.nowMs();
  return endpoint.secrets
    .filter(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs)
    .map(({ sealed }) => webhookSecretBytes(vault.open(sealed)));
}

/**
 * What signs notifications to the addresses of orders: the installation's secret for its own
 * merchant, for each other one a secret derived from it, so that no merchant can sign to another.
 */
export function orderSecret(
  profile: Pick<GatewayProfile, 'merchant' | 'webhookSecret'>,
  { merchantId, mode }: EndpointOwner,
): Uint8Array {
  const { merchant, webhookSecret } = profile;
  if (merchantId === merchant.merchantId && mode === 'test') return webhookSecret;
  const input = JSON.stringify(['webhook', merchantId, mode]);
  const derived = createHmac('sha256', webhookSecret).update(input).digest();
  return new Uint8Array(derived.subarray(0, SECRET_BYTES));
}

/** A secret as Standard Webhooks writes it. */
export function secretOf(bytes: Uint8Array): string {
  return `whsec_${Buffer.from(bytes).toString('base64')}`;
}

/** The log of a failed try; an endpoint that failed for days is taken out of use. */
export async function noteResult(
  { store, log }: GatewayPorts,
  { messageId, endpointId, attempts }: OutboxMessage,
  tried: TryResult,
  result: 'delivered' | 'failed',
): Promise<void> {
  if (result === 'failed') await store.addTry(messageId, attempts, tried);
  if (endpointId === null) return;
  const failingSinceMs = await store.noteEndpoint(endpointId, result, tried.atMs);
  const failingMs = failingSinceMs === null ? 0 : tried.atMs - failingSinceMs;
  if (failingMs < ENDPOINT_FAILING_MS_MAX) return;
  await store.changeEndpoint(endpointId, { state: 'failing' });
  log({ event: 'webhookEndpointDisabled', endpointId, failingMs });
}
