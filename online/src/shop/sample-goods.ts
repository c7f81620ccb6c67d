/** The goods of a new shop. Prices lie on both sides of the limits that a tap knows. */
import type { Goods } from './model.ts';

type Sample = readonly [
  goodsId: string,
  priceMinor: number,
  stock: number,
  zh: readonly [name: string, description: string],
  en: readonly [name: string, description: string],
];

/** 300.00 is the limit without a PIN, 5,000.00 that of a tap: pen, lamp and chair show them. */
const SAMPLES: readonly Sample[] = [
  [
    'postcards',
    990,
    200,
    ['明信片·四季', '一套四张，厚棉纸印刷：春樱、夏荷、秋枫、冬雪。写几句话，寄给远方的人。'],
    ['Four Seasons postcards', 'Four cards on heavy cotton paper: blossom, lotus, maple, snow.'],
  ],
  [
    'tea',
    12800,
    80,
    ['明前龙井', '西湖春茶，清明前手采，一芽一叶。豆香清雅，回甘悠长。铁罐装，100 克。'],
    ['Longjing spring tea', 'Picked by hand before Qingming. Chestnut and fresh grass; 100 g tin.'],
  ],
  [
    'teapot',
    26800,
    24,
    ['手作紫砂壶', '宜兴原矿紫泥，全手工成型，出水利落，越用越润。容量 180 毫升。'],
    [
      'Yixing clay teapot',
      'Purple clay, built by hand, with a clean pour. It gets better with use; 180 ml.',
    ],
  ],
  [
    'cup',
    6800,
    60,
    ['青瓷品茗杯', '龙泉梅子青釉，温润如玉。握在手里，刚好一口的分量。'],
    [
      'Celadon tea cup',
      'Plum-green Longquan glaze, smooth as jade, just the size of one good sip.',
    ],
  ],
  [
    'notebook',
    3990,
    120,
    ['布面笔记本', '亚麻布封面，线装可平摊，160 页无酸纸，不洇墨。'],
    ['Linen notebook', 'Linen cover, thread-bound so that it lies flat, 160 acid-free pages.'],
  ],
  [
    'pen',
    29900,
    40,
    ['黄铜钢笔', '车削黄铜笔身，14K 金尖，书写顺滑。用久了会留下属于你的光泽。'],
    ['Brass fountain pen', 'Turned from solid brass, with a 14K nib. It ages together with you.'],
  ],
  [
    'lamp',
    35800,
    36,
    ['和纸台灯', '手工和纸灯罩，竹骨支架，暖光三档可调，适合夜读。'],
    ['Paper desk lamp', 'Handmade paper over a bamboo frame; three warm levels for late reading.'],
  ],
  [
    'plant',
    8900,
    30,
    ['龟背竹', '连盆高约 45 厘米，喜半阴，一周浇一次水，新手也能养好。'],
    [
      'Monstera in a pot',
      'About 45 cm with its pot. Half shade, water once a week: hard to get wrong.',
    ],
  ],
  [
    'umbrella',
    18800,
    3,
    ['手工油纸伞', '泸州老匠人手作，竹骨桐油纸，晴雨两用。每把绘花略有不同。'],
    [
      'Oiled-paper umbrella',
      'Bamboo ribs and tung-oiled paper, painted by hand: no two are the same.',
    ],
  ],
  [
    'keyboard',
    69900,
    18,
    ['机械键盘 68', '热插拔轴座，双色键帽，铝制外壳，手感扎实，声音不扰人。'],
    [
      'Mechanical keyboard 68',
      'Hot-swap switches, double-shot caps, aluminium case; solid, not loud.',
    ],
  ],
  [
    'headphones',
    129900,
    12,
    ['头戴式耳机', '40 毫米动圈单元，小羊皮耳罩，主动降噪，续航 30 小时。'],
    ['Headphones', '40 mm drivers, lambskin cushions, noise cancelling, 30 hours on one charge.'],
  ],
  [
    'chair',
    568000,
    4,
    ['榉木圈椅', '明式造型，北美榉木榫卯结构，不用一颗钉子。坐面为手编草席。'],
    ['Beech armchair', 'Ming lines in solid beech, joined without one nail; hand-woven rush seat.'],
  ],
];

/** All of them, on sale. The picture bears the name of the goods. */
export function sampleGoods(atMs: number): readonly Goods[] {
  return SAMPLES.map(([goodsId, priceMinor, stock, zh, en], index) => ({
    goodsId,
    name: { zh: zh[0], en: en[0] },
    description: { zh: zh[1], en: en[1] },
    priceMinor: BigInt(priceMinor),
    stock,
    picture: goodsId,
    isOnSale: true,
    position: index + 1,
    version: 1,
    createdAtMs: atMs,
    updatedAtMs: atMs,
  }));
}
