/** Who speaks to whom: one column a party, one arrow a hop; the rows together are the sequence. */
import type { HopName } from '@tapnpay/protocol/wire';
import { svg } from '../shared/dom.ts';
import { t } from './texts.ts';

/** The parties from the card in the hand to the bank. */
export const LANES = ['card', 'element', 'helper', 'shop', 'gateway', 'switch', 'issuer'] as const;
export type Lane = (typeof LANES)[number];

type Way = { readonly via: readonly Lane[]; readonly both?: boolean };

/** The stations of each hop, in the order in which it passes them. */
export const WAYS: Readonly<Record<HopName, Way>> = {
  order: { via: ['shop', 'gateway'] },
  ask: { via: ['helper', 'element'] },
  channel: { via: ['element', 'gateway'], both: true },
  tap: { via: ['element', 'card'], both: true },
  check: { via: ['element'] },
  cryptogram: { via: ['card', 'element'] },
  seal: { via: ['element', 'gateway'] },
  request: { via: ['gateway', 'switch'] },
  route: { via: ['switch', 'issuer'] },
  decide: { via: ['issuer'] },
  return: { via: ['issuer', 'switch', 'gateway'] },
  finish: { via: ['gateway', 'element', 'card'] },
  confirm: { via: ['element', 'gateway'] },
  tell: { via: ['gateway', 'shop'] },
};

/** One unit of the drawing; a row is stretched to its height, strokes are not. */
export const LANE_WIDTH = 52;
const HEIGHT = 44;
const MIDDLE = HEIGHT / 2;
const HEAD = 6;

/** What a hop's way says in words. */
export function wayText(hop: HopName): string {
  const { via, both } = WAYS[hop];
  return via.map((lane) => t(`lane.${lane}`)).join(both ? ' ⇄ ' : ' → ');
}

/** The drawing of one hop; `isPassed` false draws the columns only. */
export function laneDrawing(hop: HopName, isPassed: boolean): SVGElement {
  const width = LANE_WIDTH * LANES.length;
  const columns = LANES.map((lane) =>
    svg('line', { class: `lane lane-${lane}`, x1: x(lane), x2: x(lane), y1: 0, y2: HEIGHT }),
  );
  return svg(
    'svg',
    {
      class: 'lanes',
      viewBox: `0 0 ${width} ${HEIGHT}`,
      'aria-hidden': 'true',
      focusable: 'false',
    },
    ...columns,
    ...(isPassed ? arrowOf(hop) : []),
  );
}

function x(lane: Lane): number {
  return LANE_WIDTH * (LANES.indexOf(lane) + 0.5);
}

function arrowOf(hop: HopName): readonly SVGElement[] {
  const { via, both = false } = WAYS[hop];
  const [first] = via;
  const last = via.at(-1);
  if (!first || !last) return [];
  if (first === last) {
    return [
      svg('circle', { class: 'ring', cx: x(first), cy: MIDDLE, r: 9 }),
      svg('circle', { class: 'dot', cx: x(first), cy: MIDDLE, r: 4 }),
    ];
  }
  const direction = x(last) > x(first) ? 1 : -1;
  const tip = x(last) - direction * 5;
  const tail = x(first) + direction * 5;
  const line = svg('line', {
    class: 'way',
    x1: both ? tail + direction * HEAD : tail,
    x2: tip - direction * HEAD,
    y1: MIDDLE,
    y2: MIDDLE,
  });
  const stations = via.map((lane) =>
    svg('circle', { class: 'dot', cx: x(lane), cy: MIDDLE, r: lane === last ? 3.5 : 4.5 }),
  );
  const heads = both ? [head(tip, direction), head(tail, -direction)] : [head(tip, direction)];
  return [line, ...stations, ...heads];
}

function head(tip: number, direction: number): SVGElement {
  const back = tip - direction * (HEAD + 2);
  const points = `${tip},${MIDDLE} ${back},${MIDDLE - HEAD} ${back},${MIDDLE + HEAD}`;
  return svg('polygon', { class: 'head', points });
}
