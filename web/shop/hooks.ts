/** What components share: language, address, and things that come from the server. */
import type { ShopText } from '@tapnpay/protocol/wire';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { type Language, language, onLanguage } from '../shared/i18n.ts';
import { ApiError } from './api.ts';

/** Draws again after a switch of the language. */
export function useLanguage(): Language {
  return useSyncExternalStore(onLanguage, language);
}

/** A text of the shop in the language of now. */
export function textOf(text: ShopText): string {
  return text[language()];
}

const ADDRESS_CHANGED = 'shop-address';

/** The address's path; draws again when it changes. */
export function usePath(): string {
  return useSyncExternalStore(
    (listener) => {
      addEventListener('popstate', listener);
      addEventListener(ADDRESS_CHANGED, listener);
      return () => {
        removeEventListener('popstate', listener);
        removeEventListener(ADDRESS_CHANGED, listener);
      };
    },
    () => location.pathname,
  );
}

/** To another page of the shop, without a reload. */
export function navigate(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, '', path);
  dispatchEvent(new Event(ADDRESS_CHANGED));
  scrollTo(0, 0);
}

/** Something loaded: the last value stays while it is loaded again or fails. */
export type Loaded<T> = {
  readonly value: T | null;
  readonly error: ApiError | null;
  readonly reload: () => Promise<void>;
  readonly put: (value: T) => void;
};

/** Loads now and whenever `key` changes; null loads nothing. */
export function useLoaded<T>(key: string | null, load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{
    readonly key: string;
    readonly value: T | null;
    readonly error: ApiError | null;
  } | null>(null);
  const latest = useRef(load);
  latest.current = load;
  const wanted = useRef(key);
  wanted.current = key;
  const reload = useCallback(async (): Promise<void> => {
    if (key === null) return;
    try {
      const value = await latest.current();
      if (wanted.current === key) setState({ key, value, error: null });
    } catch (thrown) {
      const error = ApiError.of(thrown);
      if (wanted.current !== key) return;
      setState((old) => ({ key, value: old?.key === key ? old.value : null, error }));
    }
  }, [key]);
  useEffect(() => {
    void reload();
  }, [reload]);
  const put = useCallback(
    (value: T) => {
      if (key !== null) setState({ key, value, error: null });
    },
    [key],
  );
  const current = state?.key === key ? state : null;
  return { value: current?.value ?? null, error: current?.error ?? null, reload, put };
}

/** The document's title, and the focus on the page's heading after a change of the address. */
export function usePageTitle(title: string): (heading: HTMLElement | null) => void {
  useEffect(() => {
    document.title = title;
  }, [title]);
  return focusHeading;
}

let isFirstPage = true;

/** Moves the focus to a new page's heading, so that a screen reader says where one is. */
function focusHeading(heading: HTMLElement | null): void {
  if (!heading) return;
  if (!isFirstPage) heading.focus({ preventScroll: true });
  isFirstPage = false;
}
