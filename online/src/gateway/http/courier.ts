/** Delivers notifications by HTTP; refuses addresses that a shop's URL must not reach. */
import { lookup as resolve } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { GatewayError } from '../errors.ts';
import type { Courier } from '../ports.ts';

/** `loopback`: the lab's shops on this machine only. `public`: https to public addresses only. */
export type NotifyPolicy = 'loopback' | 'public';

const DELIVERY_TIMEOUT_MS = 10_000;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** Not public: this network, private, shared, loopback, link-local, reserved. @see RFC 6890 */
const SPECIAL_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** With the forms that hold an IPv4 address (mapped, NAT64, 6to4). */
const SPECIAL_IPV6 = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
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

/** A courier that checks the address after the name is resolved and follows no redirect. */
export function createCourier(policy: NotifyPolicy): Courier {
  const lookup: LookupFunction = (host, options, done) => {
    resolve(host, { ...options, all: true }, (fault, addresses) => {
      if (fault) return done(fault, '', 4);
      const allowed = addresses.filter(({ address }) => isAllowedAddress(policy, address));
      const first = allowed[0];
      if (!first) return done(refused(), '', 4);
      if (options.all) return done(null, allowed);
      return done(null, first.address, first.family);
    });
  };
  return {
    async post(url, headers, body) {
      const target = new URL(url);
      const host = target.hostname.replace(/^\[|\]$/g, '');
      // Literal addresses are not looked up.
      if (isIP(host) !== 0 && !isAllowedAddress(policy, host)) throw refused();
      if (policy === 'public' && target.protocol !== 'https:') throw refused();
      return deliver(target, headers, body, lookup);
    },
  };
}

function deliver(
  target: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  lookup: LookupFunction,
): Promise<number> {
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((done, fail) => {
    const options = { method: 'POST', headers, lookup, agent: false } as const;
    const request = send(target, { ...options, timeout: DELIVERY_TIMEOUT_MS }, (response) => {
      response.resume();
      done(response.statusCode ?? 0);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', fail);
    request.end(body);
  });
}

function refused(): GatewayError {
  return new GatewayError('ERR_NOTIFY_URL', 'notifications may not go to this address');
}
