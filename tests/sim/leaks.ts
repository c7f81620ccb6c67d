/** I10: a search for the world's card numbers in what parties log, tell and keep. */
import { formsOf } from '../search.test-kit.ts';
import type { ThreeBooks } from './books.ts';
import type { Finding } from './check.ts';

/** Looks at texts as they come; what it finds it keeps. */
export class LeakDetector {
  readonly #forms: readonly { readonly name: string; readonly text: string }[];
  readonly findings: Finding[] = [];

  constructor(pans: readonly string[]) {
    this.#forms = pans.flatMap((pan) =>
      formsOf(pan).map(({ name, bytes }) => ({ name, text: bytes.toString('latin1') })),
    );
  }

  /** `where` names the place in a finding. */
  look(where: string, text: string): void {
    const found = this.#forms.find((form) => text.includes(form.text));
    if (!found || this.findings.length > 0) return;
    this.findings.push({ invariant: 'I10', what: `${found.name} of a PAN in ${where}`, about: [] });
  }

  /** Everything that is stored. */
  lookAtBooks(books: ThreeBooks): void {
    for (const [name, rows] of Object.entries(books)) {
      const text = JSON.stringify(rows, (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      this.look(`the books: ${name}`, text ?? '');
    }
  }
}
