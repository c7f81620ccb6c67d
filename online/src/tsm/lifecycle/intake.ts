/**
 * Static checks of a package before a person looks at it. They refuse more than they must: words
 * are looked for in the whole text, comments and strings included, because what tells those apart
 * can be misled. The element's sandbox refuses the same constructs when they run.
 */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  type ApplicationPackage,
  decodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';
import { sha256 } from '../jobs/commands.ts';
import type { Application, IntakeCheck, Provider } from '../model.ts';

/** Largest package that is taken. */
export const INTAKE_PACKAGE_BYTES_MAX: number = 1024 * 1024;
/** Longest run of characters without a break that a person could read. */
export const LITERAL_CHARACTERS_MAX = 4096;

/** Constructs that load or make code at run time, or reach behind the interface. */
const FORBIDDEN: readonly (readonly [name: string, pattern: RegExp])[] = [
  // An import at the place of a statement, and one that is called; comments quote others.
  ['import', /(?:^|[;}/])\s*import\s*[\w$*{'"`]|\bimport\s*[(.]/m],
  ['require', /\brequire\s*\(/],
  ['eval', /\beval\b/],
  ['Function', /\bFunction\b/],
  ['GeneratorFunction', /\b(?:Async)?(?:Generator)?Function\b/],
  ['constructor of a function', /\.\s*constructor\s*\.\s*constructor|\[\s*['"`]constructor['"`]/],
  ['WebAssembly', /\bWebAssembly\b/],
  ['__proto__', /__proto__/],
  ['with', /\bwith\s*\(/],
  ['debugger', /\bdebugger\b/],
  // A letter or digit that is written as its number hides a word from this list.
  ['escaped letter', /\\u(?:00|\{0*)(?:24|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])/],
];

/** What is compared. */
export type Intake = {
  readonly bytes: Uint8Array;
  /** SHA-256 in hex that the provider says. */
  readonly declaredHash: string;
  readonly number: string;
  readonly application: Application;
  readonly provider: Provider;
};

/** Every check with its result; all must pass. */
export function checkPackage(intake: Intake): readonly IntakeCheck[] {
  const { bytes, declaredHash } = intake;
  const hash = sha256(bytes);
  const first = [
    check('size', bytes.length <= INTAKE_PACKAGE_BYTES_MAX, `${bytes.length} bytes`),
    check('hash', hash === declaredHash, hash),
  ];
  let content: ApplicationPackage;
  try {
    content = decodeApplicationPackage(bytes);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    return [...first, check('package', false, thrown.message)];
  }
  return [
    ...first,
    check('package', true, 'decodes'),
    ...manifestChecks(intake, content),
    ...codeChecks(content.bundle),
  ];
}

/** Names and numbers are those that the application was entered with. */
function manifestChecks(
  { number, application, provider }: Intake,
  { manifest }: ApplicationPackage,
): readonly IntakeCheck[] {
  const { loadFileAid, modules, version } = manifest;
  const names = [loadFileAid, ...modules.map(({ aid }) => aid)];
  const isAllowed = (aid: string): boolean =>
    provider.aidPrefixes.some((prefix) => aid.startsWith(prefix));
  const foreign = names.filter((aid) => !isAllowed(aid));
  return [
    check('version', version === number, version),
    check('loadFileAid', loadFileAid === application.loadFileAid, loadFileAid),
    check(
      'module',
      modules.some(({ aid }) => aid === application.moduleAid),
      modules.map(({ aid }) => aid).join(' '),
    ),
    check('aidOfProvider', foreign.length === 0, foreign.join(' ') || 'all'),
  ];
}

function codeChecks(bundle: string): readonly IntakeCheck[] {
  const found = FORBIDDEN.filter(([, pattern]) => pattern.test(bundle)).map(([name]) => name);
  const longest = longestLiteral(bundle);
  const strange = /[^\t\n\r\x20-\x7e\p{L}\p{N}\p{P}\p{S}]/u.exec(bundle)?.[0];
  return [
    check('forbidden', found.length === 0, found.join(', ') || 'none'),
    check('literals', longest <= LITERAL_CHARACTERS_MAX, `longest ${longest} characters`),
    check(
      'characters',
      strange === undefined,
      strange === undefined ? 'all readable' : toHex(new TextEncoder().encode(strange)),
    ),
  ];
}

/** The longest run of hex, base64 or numbers: data that nobody can review. */
function longestLiteral(bundle: string): number {
  let longest = 0;
  for (const [run] of bundle.matchAll(/[0-9A-Za-z+/=\\]+|[0-9,\s]+/g)) {
    longest = Math.max(longest, run.trim().length);
  }
  return longest;
}

function check(name: string, isPassed: boolean, detail: string): IntakeCheck {
  return { name, isPassed, detail: detail.slice(0, 200) };
}
