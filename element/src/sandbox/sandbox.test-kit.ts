/** Small applets for tests: JavaScript of a few lines as a load file, in a sandbox of its own. */
import {
  APPLET_MEMORY_BYTES_MIN,
  encodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';
import type { AppletChannel, AppletInstance } from '@tapnpay/protocol/globalplatform/oncard';
import { type CommandApdu, StatusWord } from '@tapnpay/protocol/iso7816';
import { elementCiphers, systemClock, systemRandom } from '../system.ts';
import { createSandboxRunner, type SandboxPorts, type SandboxRunner } from './index.ts';

export const AID = 'F05441500901';

/** A load file with one module; `source` is its whole module text. */
export function packageOf(source: string, memoryBytes: number = 8 * 1024 * 1024): Uint8Array {
  return encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name: 'test', version: '1.0.0', loadFileAid: 'F054415009' },
      ...{ interfaceVersion: 1, modules: [{ aid: AID, name: 'test' }] },
      memoryBytes: Math.max(APPLET_MEMORY_BYTES_MIN, memoryBytes),
    },
    bundle: source,
  });
}

/** An applet whose `process` has this body; `host`, `command` and `data` (text of it) are there. */
export function applet(body: string, others = ''): string {
  return `
    const ok = (data = []) => ({ data: Uint8Array.from(data), statusWord: 0x9000 });
    const text = (value) => ok([...String(value)].map((letter) => letter.charCodeAt(0)));
    export function createApplet(moduleAid, host) {
      return {
        process(command) {
          const data = String.fromCharCode(...(command.data ?? []));
          ${body}
        },
        ${others}
      };
    }`;
}

export function sandbox(ports: Partial<SandboxPorts> = {}): SandboxRunner {
  return createSandboxRunner({
    ...{ ciphers: elementCiphers, random: systemRandom, clock: systemClock },
    ...ports,
  });
}

export function instanceOf(code: Uint8Array, own: Partial<AppletInstance> = {}): AppletInstance {
  return {
    ...{ aid: AID, loadFileAid: 'F054415009', moduleAid: AID, code },
    ...{ persistent: new Uint8Array(), lifeCycle: 0x07 },
    ...own,
  };
}

export function commandOf(text = ''): CommandApdu {
  const data = new TextEncoder().encode(text);
  return { cla: 0x80, ins: 0x01, p1: 0, p2: 0, ...(data.length > 0 ? { data } : {}) };
}

/** A domain's channel without a session. */
export const NO_CHANNEL: AppletChannel = {
  securityLevel: () => null,
  authenticate: () => ({ data: new Uint8Array(), statusWord: StatusWord(0x6985) }),
  unwrap: () => null,
  wrap: (response) => response,
  decipher: () => null,
};

/** One call of an instance; its answer as text. */
export function ask(runner: SandboxRunner, instance: AppletInstance, text = ''): string {
  const { response } = runner.process(instance, commandOf(text), NO_CHANNEL);
  return new TextDecoder().decode(response.data);
}
