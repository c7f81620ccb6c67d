/** A born card in a folder of its own, and a small runner of applications behind the same port. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { encodeDataGrouping } from '@tapnpay/protocol/globalplatform/data';
import type {
  AppletResult,
  AppletRunner,
  CardState,
} from '@tapnpay/protocol/globalplatform/oncard';
import { SW_9000_OK } from '@tapnpay/protocol/iso7816';
import { type CardBirth, LAB_BIRTH } from '@tapnpay/protocol/wire';
import { ElementStore } from '../store.ts';
import { elementCiphers, systemClock, systemRandom } from '../system.ts';
import { ElementCard, type ElementCardPorts } from './element-card.ts';

const ok = (data: Uint8Array = new Uint8Array()): AppletResult['response'] => {
  return { data, statusWord: SW_9000_OK };
};

/** A code that `scriptedRunner` takes: its modules, and what fills it. */
export function scriptedCode(modules: readonly string[], fillBytes = 0): Uint8Array {
  const names = modules.flatMap((aid) => [aid.length / 2, ...fromHex(aid)]);
  const fill = new Uint8Array(fillBytes).map((_, index) => (index * 7) >> 3);
  return concatBytes(Uint8Array.of(0xc0, modules.length, ...names), fill);
}

/** INS 01 stores its data, 02 reads them, 04 sets the state of P1; STORE DATA is kept as it is. */
export const scriptedRunner: AppletRunner = {
  modules(code): readonly string[] {
    if (code[0] !== 0xc0) throw new Error('no code');
    const modules: string[] = [];
    let offset = 2;
    for (let left = code[1] ?? 0; left > 0; left--) {
      const end = offset + 1 + (code[offset] ?? 0);
      modules.push(toHex(code.subarray(offset + 1, end)));
      offset = end;
    }
    return modules;
  },
  install: (_, parameters) => parameters,
  uninstall: () => {},
  select: (instance) => ({ response: ok(fromHex(instance.aid)) }),
  process(instance, { ins, p1, data = new Uint8Array() }): AppletResult {
    if (ins === 0x01) return { response: ok(), persistent: data };
    if (ins === 0x04) return { response: ok(), lifeCycle: p1 };
    return { response: ok(instance.persistent) };
  },
  personalise: (_, { groupings }) => ({
    response: ok(),
    persistent: concatBytes(...groupings.map((one) => encodeDataGrouping(one))),
    lifeCycle: 0x0f,
  }),
  deselect: () => {},
  forget: () => {},
};

/** A folder that a test removes. */
export class CardFolder {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'tapnpay-card-'));

  ports(): ElementCardPorts {
    return {
      store: new ElementStore(this.directory, systemRandom),
      ...{ ciphers: elementCiphers, clock: systemClock, random: systemRandom },
      ...{ runner: scriptedRunner, report: () => {} },
    };
  }

  bear(birth: Partial<CardBirth> = {}): ElementCard {
    return ElementCard.bear(this.ports(), { ...LAB_BIRTH, ...birth });
  }

  /** As the next process finds it. */
  open(): ElementCard {
    const card = ElementCard.open(this.ports());
    if (card === null) throw new Error('no card was born');
    return card;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** A state as plain data: two are the same when these are. */
export function plainState(state: CardState): unknown {
  return JSON.parse(
    JSON.stringify(state, (_, value: unknown) =>
      value instanceof Uint8Array ? toHex(value) : value,
    ),
  );
}
