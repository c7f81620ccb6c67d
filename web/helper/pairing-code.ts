/** The pairing code that the agent's terminal prints: typed, pasted, or in the page's fragment. */

/** Characters of a code without its hyphen. */
export const PAIRING_CODE_CHARACTERS = 8;
const GROUP_CHARACTERS = 4;
/** Crockford's base 32: no I, L, O, U. */
const ALPHABET = /[0-9A-HJKMNP-TV-Z]/;
/** What people read into the letters that the alphabet leaves out. */
const LOOKALIKES: Readonly<Record<string, string>> = { I: '1', L: '1', O: '0' };
const TYPED_CHARACTERS_MAX = 64;

/** What was typed so far in the form that the terminal shows: `k7qm2d` -> `K7QM-2D`. */
export function shapePairingCode(typed: string): string {
  const characters = [...typed.slice(0, TYPED_CHARACTERS_MAX).toUpperCase()]
    .map((character) => LOOKALIKES[character] ?? character)
    .filter((character) => ALPHABET.test(character))
    .slice(0, PAIRING_CODE_CHARACTERS)
    .join('');
  if (characters.length <= GROUP_CHARACTERS) return characters;
  return `${characters.slice(0, GROUP_CHARACTERS)}-${characters.slice(GROUP_CHARACTERS)}`;
}

/** True when nothing is missing. */
export function isWholePairingCode(code: string): boolean {
  return shapePairingCode(code) === code && code.length === PAIRING_CODE_CHARACTERS + 1;
}

/** `#K7QM-2D9X` -> `K7QM-2D9X`; an empty text when the fragment holds no whole code. */
export function codeOfFragment(hash: string): string {
  const code = shapePairingCode(hash.replace(/^#/, ''));
  return isWholePairingCode(code) ? code : '';
}

/** The origin that wants a token, from `?origin=`; null unless it is exactly an http(s) origin. */
export function askingOrigin(search: string): string | null {
  const origin = new URLSearchParams(search).get('origin');
  if (origin === null || !URL.canParse(origin)) return null;
  const url = new URL(origin);
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  return isWeb && url.origin === origin ? origin : null;
}
