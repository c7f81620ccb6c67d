/** Small parts of many pages. */
import type { MouseEvent, ReactNode } from 'react';
import type { ApiError } from './api.ts';
import { type Loaded, navigate, usePath } from './hooks.ts';
import { t } from './texts.ts';

/** A link inside the shop; other tabs and windows work as with any link. */
export function Link(props: {
  readonly to: string;
  readonly className?: string;
  readonly children: ReactNode;
}): ReactNode {
  const isHere = usePath() === props.to;
  const go = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(props.to);
  };
  return (
    <a
      href={props.to}
      className={props.className}
      aria-current={isHere ? 'page' : undefined}
      onClick={go}
    >
      {props.children}
    </a>
  );
}

/** What stands where something is still loading, or could not be loaded. */
export function Waiting(props: {
  readonly of: Pick<Loaded<unknown>, 'error' | 'reload'>;
}): ReactNode {
  const { error, reload } = props.of;
  if (error === null) {
    return (
      <p className="waiting" role="status">
        {t('loading')}
      </p>
    );
  }
  return (
    <div className="waiting panel" role="alert">
      <h2>{t('failed')}</h2>
      <p>{error.text()}</p>
      <button type="button" onClick={() => void reload()}>
        {t('again')}
      </button>
    </div>
  );
}

/** A refusal, said at once to those who do not see it. */
export function ErrorText(props: { readonly error: ApiError | null }): ReactNode {
  if (props.error === null) return null;
  return (
    <p className="error-text" role="alert" data-code={props.error.code}>
      {props.error.text()} <small className="mono">{props.error.code}</small>
    </p>
  );
}

/** Minus, number, plus. */
export function Stepper(props: {
  readonly quantity: number;
  readonly min: number;
  readonly max: number;
  readonly name: string;
  readonly onChange: (quantity: number) => void;
}): ReactNode {
  const { quantity, min, max, name, onChange } = props;
  return (
    <fieldset className="stepper">
      <legend className="visually-hidden">
        {t('quantity')} · {name}
      </legend>
      <button
        type="button"
        aria-label={t('less')}
        disabled={quantity <= min}
        onClick={() => onChange(quantity - 1)}
      >
        −
      </button>
      <output aria-live="polite">{quantity}</output>
      <button
        type="button"
        aria-label={t('more')}
        disabled={quantity >= max}
        onClick={() => onChange(quantity + 1)}
      >
        +
      </button>
    </fieldset>
  );
}
