/** Texts in two languages, switched without a reload. */

export type Language = 'zh' | 'en';
/** Texts of a page by key; both languages hold the same keys. */
export type Texts = Readonly<Record<string, { readonly zh: string; readonly en: string }>>;

const STORAGE_KEY = 'tapnpay-language';
const HTML_LANGUAGE: Readonly<Record<Language, string>> = { zh: 'zh-CN', en: 'en' };
const listeners = new Set<() => void>();
let current: Language = initialLanguage();

/** `?lang=` first, then the last choice, then the browser's languages; English if none fits. */
function initialLanguage(): Language {
  const asked = new URLSearchParams(location.search).get('lang');
  if (asked === 'zh' || asked === 'en') return asked;
  const kept = readKept();
  if (kept === 'zh' || kept === 'en') return kept;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith('zh')) ? 'zh' : 'en';
}

/** Storage may be closed to the page; then the choice lasts as long as the page. */
function readKept(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

export function language(): Language {
  return current;
}

/** Switches, keeps the choice and tells every listener. */
export function setLanguage(next: Language): void {
  current = next;
  document.documentElement.lang = HTML_LANGUAGE[next];
  try {
    localStorage.setItem(STORAGE_KEY, next);
  } catch {
    // Without storage the choice is forgotten with the page.
  }
  for (const listener of listeners) listener();
}

/** Calls `listener` after each switch; returns what stops it. */
export function onLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** A lookup for a page's texts; `{name}` in a text is replaced by `values.name`. */
export function createTranslator<T extends Texts>(
  texts: T,
): (key: keyof T & string, values?: Readonly<Record<string, string | number>>) => string {
  document.documentElement.lang = HTML_LANGUAGE[current];
  return (key, values = {}) => {
    const text = texts[key]?.[current] ?? key;
    return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
  };
}
