/** Where pictures are kept, who looks, and which states of the pay page were seen so far. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StateName } from '@tapnpay/plugin';
import type { Page } from 'playwright-core';
import { panel, stateOf } from '../browser.test-kit.ts';

/** Someone who looks: a language, and the size of what is looked at. */
export type Person = { readonly language: 'zh' | 'en'; readonly phone: boolean };

/** Every picture is there for each of them. */
export const PEOPLE: readonly Person[] = [
  { language: 'zh', phone: false },
  { language: 'zh', phone: true },
  { language: 'en', phone: false },
  { language: 'en', phone: true },
];

/** States that no pay page shows: of a shop's own page, of a balance, of a token. */
type Elsewhere = 'AT_GATEWAY' | 'BALANCE_READ' | 'TOKEN_MADE';
/** All others; a new one is missed here by the type. */
const PAY_PAGE_STATES: Readonly<Record<Exclude<StateName, Elsewhere>, true>> = {
  CHECKING: true,
  READY: true,
  NEED_EXTENSION: true,
  NEED_HOST: true,
  NEED_UPDATE: true,
  BROWSER_UNSUPPORTED: true,
  APP_NOT_READY: true,
  NO_READER: true,
  NEED_PAIRING: true,
  CONNECTING: true,
  CONSENT: true,
  WAIT_CARD: true,
  READING: true,
  WAIT_PIN: true,
  AUTHORISING: true,
  REMOVE_CARD: true,
  APPROVED: true,
  DECLINED: true,
  CANCELLED: true,
  INTERRUPTED: true,
  UNKNOWN: true,
};

/** The part of a picture's name that says who looks. */
export function suffixOf({ language, phone }: Person): string {
  return `${language}-${phone ? 'phone' : 'desktop'}`;
}

/** A folder of pictures. */
export class Album {
  readonly folder: string;
  #count = 0;
  readonly #seen: Set<string> = new Set();

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** One picture; its name says page, state, language and size. */
  async take(page: Page, name: string, person: Person): Promise<void> {
    // Nothing under the pointer looks pressed, and no button is still pale.
    await page.mouse.move(1, 1);
    const file = `${name}-${suffixOf(person)}`;
    await page.screenshot({ path: join(this.folder, `${file}.png`), fullPage: true });
    const isPayPage = (await panel(page).count()) > 0;
    this.note(file, isPayPage ? (await stateOf(page)).state : '', person);
  }

  /** A picture that somebody else took. */
  note(file: string, state: string, person: Person): void {
    this.#count += 1;
    if (state !== '') this.#seen.add(`${state} ${suffixOf(person)}`);
    process.stderr.write(`\r${this.#count} pictures 张截图  ${file.padEnd(56)}`);
  }

  get count(): number {
    return this.#count;
  }

  /** States of the pay page that somebody has not seen. */
  missing(): readonly string[] {
    return PEOPLE.flatMap((person) =>
      Object.keys(PAY_PAGE_STATES)
        .map((state) => `${state} ${suffixOf(person)}`)
        .filter((wanted) => !this.#seen.has(wanted)),
    );
  }
}
