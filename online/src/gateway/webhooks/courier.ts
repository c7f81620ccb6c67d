/**
 * Delivers notifications by HTTP and refuses addresses that a merchant's URL must not reach (SSRF):
 * the name is resolved once, every address it has is checked, and the connection goes to the very
 * address that was checked, or by a kept connection to one that was. No redirect is followed, of an
 * answer only the status counts. @see RFC 6890
 */
import { lookup as systemLookup } from 'node:dns';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { GatewayError } from '../errors.ts';
import type { Courier } from '../ports.ts';

/** `loopback`: the lab's shops on this machine only. `public`: https to public addresses only. */
export type NotifyPolicy = 'loopback' | 'public';

/** Addresses of a name. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;
type ResolvedAddress = { readonly address: string; readonly family: number };

/** For connecting, sending and the whole answer together. */
const DELIVERY_TIMEOUT_MS = 10_000;

/** Idle connections kept to one merchant, and for how long: less than servers usually do. */
const KEPT_CONNECTIONS_MAX = 64;
const KEPT_MS = 4_000;
/** Longest answer after which a connection is kept. */
const ANSWER_BYTES_MAX = 4_096;

/** What a laboratory allows, and nothing else. */
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** Not public: this network, private, shared, loopback, link-local (metadata), reserved. */
const SPECIAL_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** With the forms that hold an IPv4 address (compatible, mapped, NAT64, Teredo, 6to4). */
const SPECIAL_IPV6 = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const;
// One list each: a rule for mapped addresses would hold for every IPv4 address as well.
const special = { ipv4: new BlockList(), ipv6: new BlockList() } as const;
for (const [net, prefix] of SPECIAL_IPV4) special.ipv4.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of SPECIAL_IPV6) special.ipv6.addSubnet(net, prefix, 'ipv6');

/** Whether a notification may go to this address. */
export function isAllowedAddress(policy: NotifyPolicy, address: string): boolean {
  if (isIP(address) === 0) return false;
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (policy === 'loopback') return loopback.check(address, family);
  return !special[family].check(address, family);
}

/** A courier for this policy; `resolve` stands in for the system's resolver in tests. */
export function createCourier(policy: NotifyPolicy, resolve: Resolve = systemResolve): Courier {
  /** Every address of the name, if all may be reached: one bad one shows a name that lies. */
  const allowedAddresses = async (host: string): Promise<readonly ResolvedAddress[]> => {
    const addresses = await resolve(host);
    const allowed = addresses.filter(({ address }) => isAllowedAddress(policy, address));
    if (allowed.length === 0 || allowed.length < addresses.length) throw refused();
    return allowed;
  };
  const keep = { keepAlive: true, maxFreeSockets: KEPT_CONNECTIONS_MAX, timeout: KEPT_MS };
  const agents = { http: new HttpAgent(keep), https: new HttpsAgent(keep) };
  const targetOf = (url: string): URL => {
    const target = URL.parse(url);
    if (!target || (policy === 'public' && target.protocol !== 'https:')) throw refused();
    // A literal address is not looked up when connecting.
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !isAllowedAddress(policy, host)) throw refused();
    return target;
  };
  return {
    async post(url, headers, body) {
      const target = targetOf(url);
      const isLiteral = isIP(target.hostname.replace(/^\[|\]$/g, '')) !== 0;
      const lookup = isLiteral ? undefined : lookupOf(await allowedAddresses(target.hostname));
      const sent = { agents, headers, body, lookup };
      try {
        return await deliver(target, sent);
      } catch (fault) {
        // The merchant closed a kept connection at the moment it was used again.
        if (!(fault instanceof KeptConnectionLost)) throw fault;
        return await deliver(target, sent);
      }
    },
    async check(url) {
      targetOf(url);
    },
  };
}

function systemResolve(host: string): Promise<readonly ResolvedAddress[]> {
  return new Promise((done, fail) => {
    systemLookup(host, { all: true }, (fault, addresses) =>
      fault ? fail(fault) : done(addresses),
    );
  });
}

/** The socket's own lookup: what was checked is what it connects to. */
function lookupOf(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_host, options, done) => {
    const [first] = addresses;
    if (options.all) done(null, [...addresses]);
    else done(null, first?.address ?? '', first?.family);
  };
}

/** A connection that had been kept was closed before anything was answered. */
class KeptConnectionLost extends Error {}

function deliver(
  target: URL,
  sent: {
    readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly lookup: LookupFunction | undefined;
  },
): Promise<number> {
  const { agents, headers, body, lookup } = sent;
  const isSecure = target.protocol === 'https:';
  const send = isSecure ? httpsRequest : httpRequest;
  const agent = isSecure ? agents.https : agents.http;
  return new Promise((done, fail) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const options = {
      ...{ method: 'POST', agent, headers: { ...headers, ...length } },
      ...(lookup && { lookup }),
    } as const;
    const request = send(target, options, (response) => {
      let bytes = 0;
      response.on('error', () => undefined);
      // An endless body must hold nothing.
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) response.destroy();
      });
      done(response.statusCode ?? 0);
    });
    request.on('error', (fault: NodeJS.ErrnoException) => {
      const isLost = request.reusedSocket && fault.code === 'ECONNRESET';
      fail(isLost ? new KeptConnectionLost() : fault);
    });
    // A timer: an abort signal for each delivery costs several times as much.
    const timer = setTimeout(
      () => request.destroy(new Error('no answer in time')),
      DELIVERY_TIMEOUT_MS,
    );
    request.on('close', () => clearTimeout(timer));
    request.end(body);
  });
}

function refused(): GatewayError {
  return new GatewayError('ERR_NOTIFY_URL', 'notifications may not go to this address');
}
