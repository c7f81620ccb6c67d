/** Pictures of these pages, drawn here; colours come from the style sheet. */
import { svg } from '../shared/dom.ts';

const HIDDEN = { 'aria-hidden': 'true', focusable: 'false' } as const;

function line(d: string): SVGElement {
  return svg('path', { d, class: 'stroke' });
}

function frame(name: string, viewBox: string, ...parts: readonly SVGElement[]): SVGElement {
  return svg('svg', { ...HIDDEN, viewBox, class: `icon icon-${name}` }, ...parts);
}

/** Our own mark: a card's corner and the wave it sends. */
export function markIcon(): SVGElement {
  return frame(
    'mark',
    '0 0 32 32',
    svg('rect', { x: 1, y: 1, width: 30, height: 30, rx: 9, class: 'mark-ground' }),
    svg('path', { d: 'M7 21.5h9.5a2 2 0 0 0 2-2v-6', class: 'mark-line' }),
    svg('path', { d: 'M7 21.5v-6a2 2 0 0 1 2-2h9.5', class: 'mark-line' }),
    svg('path', { d: 'M21.5 10.5c1.6 1.6 1.6 4.2 0 5.8', class: 'mark-line' }),
    svg('path', { d: 'M24 8c3 3 3 7.8 0 10.8', class: 'mark-line mark-far' }),
  );
}

export function wavesIcon(): SVGElement {
  return frame(
    'waves',
    '0 0 24 24',
    line('M7 9.2a4 4 0 0 1 0 5.6'),
    line('M10.6 6.6a7.6 7.6 0 0 1 0 10.8'),
    line('M14.2 4a11.3 11.3 0 0 1 0 16'),
  );
}

export function insertIcon(): SVGElement {
  return frame(
    'insert',
    '0 0 24 24',
    svg('rect', { x: 6, y: 3, width: 12, height: 9, rx: 1.8, class: 'stroke' }),
    line('M3 15.5h18'),
    line('M12 21v-5'),
    line('m9.5 18 2.5-2.5L14.5 18'),
  );
}

export function takeAwayIcon(): SVGElement {
  return frame(
    'take-away',
    '0 0 24 24',
    svg('rect', { x: 6, y: 9, width: 12, height: 9, rx: 1.8, class: 'stroke' }),
    line('M3 21h18'),
    line('M12 2v5'),
    line('M9.5 4.5 12 2l2.5 2.5'),
  );
}

export function backspaceIcon(): SVGElement {
  return frame(
    'backspace',
    '0 0 24 24',
    line('M9 5h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9l-6-7z'),
    line('m11.5 9.5 5 5'),
    line('m16.5 9.5-5 5'),
  );
}

export function lockIcon(): SVGElement {
  return frame(
    'lock',
    '0 0 24 24',
    svg('rect', { x: 5, y: 10.5, width: 14, height: 9.5, rx: 2.2, class: 'stroke' }),
    line('M8.5 10.5V7.8a3.5 3.5 0 0 1 7 0v2.7'),
  );
}

const SIGNS: Readonly<Record<string, readonly string[]>> = {
  good: ['m6.5 12.5 3.8 3.8 7.4-8.2'],
  bad: ['m8 8 8 8', 'm16 8-8 8'],
  wait: ['M12 6.5V12l3.5 2.2'],
  neutral: ['M7.5 12h9'],
};

/** A sign in a circle; its meaning always stands beside it in words. */
export function signIcon(sign: 'good' | 'bad' | 'wait' | 'neutral'): SVGElement {
  return frame(
    `sign sign-${sign}`,
    '0 0 24 24',
    svg('circle', { cx: 12, cy: 12, r: 11, class: 'sign-ground' }),
    ...(SIGNS[sign] ?? []).map(line),
  );
}

/** A reader with a card that comes, stays, or goes; the style sheet moves it. */
export function readerPicture(motion: 'tap' | 'insert' | 'read' | 'take' | 'none'): SVGElement {
  return frame(
    `reader reader-${motion}`,
    '0 0 200 120',
    svg('ellipse', { cx: 100, cy: 109, rx: 74, ry: 6, class: 'reader-shadow' }),
    svg('rect', { x: 42, y: 58, width: 116, height: 48, rx: 12, class: 'reader-body' }),
    svg('rect', { x: 52, y: 66, width: 96, height: 5, rx: 2.5, class: 'reader-slot' }),
    svg('circle', { cx: 138, cy: 92, r: 3.5, class: 'reader-light' }),
    svg('circle', { cx: 127, cy: 92, r: 3.5, class: 'reader-light reader-light-2' }),
    svg('circle', { cx: 116, cy: 92, r: 3.5, class: 'reader-light reader-light-3' }),
    svg('path', { d: 'M58 92h26', class: 'reader-line' }),
    svg(
      'g',
      { class: 'reader-card' },
      svg('rect', { x: 66, y: 14, width: 68, height: 43, rx: 6, class: 'reader-card-body' }),
      svg('rect', { x: 74, y: 27, width: 13, height: 10, rx: 2.5, class: 'reader-card-chip' }),
      svg('path', { d: 'M74 47h28', class: 'reader-card-line' }),
    ),
  );
}
