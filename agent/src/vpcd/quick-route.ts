/**
 * vpcd as Debian delivers it sends length and body in two pieces, and Linux waits 40 ms before it
 * acknowledges the first. A route with `quickack` on loopback takes that away; it needs root.
 */

/** An address of our own range: nothing else on the machine uses it. */
export const QUICK_VPCD_HOST = '127.77.0.1';
const QUICK_NETWORK = '127.77.0.0/16';

/** The one line that a person with root runs, until the next start of the machine. */
export const QUICK_ROUTE_COMMAND: string = [
  'sudo ip route add local',
  QUICK_NETWORK,
  'dev lo table local quickack 1',
].join(' ');

/** True when the text of `ip route show table local` has our range acknowledged at once. */
export function hasQuickRoute(routes: string): boolean {
  return routes
    .split('\n')
    .some((line) => line.includes(QUICK_NETWORK) && /\bquickack 1\b/.test(line));
}
