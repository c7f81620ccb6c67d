/** What the parts of a channel cost by themselves, on the same machine in the same minute. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SystemConfig } from '../../system/layout.ts';
import { SimulatedElement, transportKeys } from '../payments/element.ts';
import { Merchant } from '../payments/merchant.ts';

/** A program that says one word. */
const ONE_WORD = 'process.stdout.write("1")';

/**
 * Milliseconds from the connection to the gateway's welcome, for an element in this process that
 * reaches the gateway's listener by a socket: no browser, no host, no page, no bridge.
 */
export async function directChannels(
  system: SystemConfig,
  count: number,
): Promise<{ readonly full: readonly number[]; readonly resumed: readonly number[] }> {
  const { ports, dataDir } = system;
  const merchant = new Merchant({ port: ports.gatewayHttp, dataDir });
  try {
    const element = await SimulatedElement.enrol({
      enroller: merchant,
      transport: transportKeys(),
      port: ports.gatewayTls,
    });
    const timed = async (resume: boolean): Promise<number> => {
      const startedMs = performance.now();
      await element.open({ resume });
      const tookMs = performance.now() - startedMs;
      await element.close();
      return tookMs;
    };
    await timed(false);
    const full: number[] = [];
    const resumed: number[] = [];
    for (let round = 0; round < count; round++) {
      full.push(await timed(false));
      resumed.push(await timed(true));
    }
    return { full, resumed };
  } finally {
    merchant.close();
  }
}

/**
 * Milliseconds from the start of a bare Node to its first word, and then of one under the
 * permission model: what host and element cannot be faster than.
 */
export async function twoBareStarts(count: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let round = 0; round < count; round++) {
    const startedMs = performance.now();
    for (const flags of [[], ['--permission']]) {
      const child = spawn(process.execPath, [...flags, '--eval', ONE_WORD], {
        env: {},
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
    }
    times.push(performance.now() - startedMs);
  }
  return times;
}
