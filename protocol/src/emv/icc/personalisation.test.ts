/**
 * Shows STORE DATA: a blank card becomes the card of data preparation, command by command; a cut at
 * any command leaves a card that can be written again; every wrong block has its status word.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { encodeCommand } from '../../iso7816/index.ts';
import type { IccImage } from '../data/index.ts';
import {
  blankCard,
  type PreparedCard,
  preparationOf,
  prepareCard,
  type StoreDataScript,
  storeDataScripts,
} from '../issuer/index.ts';
import { cardOf, commandOf, GPO, KEYS, SELECT, send } from './icc.test-kit.ts';
import type { VirtualIcc } from './index.ts';
import { sampleCard } from './sample.test-card.ts';

const TRANSPORT_KEY = fromHex('00112233445566778899AABBCCDDEEFF');
const SAMPLE = sampleCard(nodeCiphers, KEYS, { pin: '123456', electronicCash: {} });
const PREPARED: PreparedCard = prepareCard(nodeCiphers, preparationOf(SAMPLE.request));
const SCRIPTS: readonly StoreDataScript[] = storeDataScripts(PREPARED, TRANSPORT_KEY);
const BLANK: IccImage = blankCard(PREPARED, TRANSPORT_KEY);

/** All commands of the bureau in order, hex. */
const COMMANDS: readonly string[] = SCRIPTS.flatMap(({ name, commands }) => [
  commandOf('00A40400', toHex(name)),
  ...commands.map((command) => toHex(encodeCommand(command))),
]);
const [SELECT_APPLICATION = '', FIRST = '', SECOND = ''] = COMMANDS;

function blank(): VirtualIcc {
  const card = cardOf(BLANK);
  assert.equal(send(card, SELECT_APPLICATION).sw, '9000');
  return card;
}

test('a blank card takes the commands of data preparation and is the card that was asked for', () => {
  const card = cardOf(BLANK);
  for (const command of COMMANDS) assert.equal(send(card, command).sw, '9000', command.slice(0, 8));
  assert.deepEqual(card.image(), SAMPLE.image);
  assert.equal(card.image().life, 'operational');
  assert.equal(card.image().transportKey, '', 'the key that opened it is forgotten');
});

test('power may go at any command: the bureau starts the target again and ends at the same card', () => {
  for (let cut = 0; cut < COMMANDS.length; cut++) {
    const first = cardOf(BLANK);
    for (const command of COMMANDS.slice(0, cut)) send(first, command);
    const again = cardOf(first.image());
    for (const command of COMMANDS) {
      if (again.image().life === 'operational') break;
      const { sw } = send(again, command);
      // A target that is finished takes no more: the bureau goes on with the next one.
      assert.ok(['9000', '6985'].includes(sw), sw);
    }
    assert.deepEqual(again.image(), SAMPLE.image, `cut at ${cut}`);
  }
});

test('a grouping that goes on in the next blocks is written when it is whole', () => {
  const card = blank();
  const written = () => card.image().applications[0]?.dgis['0201'];
  for (const [command, value] of [
    [commandOf('80E20800', '02'), undefined],
    [commandOf('80E20801', '010470'), undefined],
    [commandOf('80E20802', '025A00020203'), '70025A00'],
    [commandOf('80E20803', '7001AA'), '70025A00'],
  ] as const) {
    assert.equal(send(card, command).sw, '9000');
    assert.equal(written(), value);
  }
  assert.equal(card.image().applications[0]?.dgis['0202'], '7001AA');
});

test('an operational card takes no STORE DATA', () => {
  const card = cardOf(SAMPLE.image);
  assert.equal(send(card, SELECT_APPLICATION).sw, '9000');
  assert.equal(send(card, FIRST).sw, '6985');
  assert.deepEqual(card.image(), SAMPLE.image);
});

test('a card in personalisation does not pay', () => {
  const card = cardOf(BLANK);
  assert.equal(send(card, SELECT).sw, '9000');
  for (const command of [GPO, '00B2010C00', '80CA9F3600', '0084000008', '841E000004AABBCCDD']) {
    assert.equal(send(card, command).sw, '6985', command);
  }
  assert.equal(send(cardOf(BLANK, 'contactless'), SELECT).sw, '6A82');
});

/** Changes of one byte of a STORE DATA command. */
function bent(command: string, at: number, hex: string): string {
  return command.slice(0, 2 * at) + hex + command.slice(2 * at + 2);
}

for (const [why, command, sw] of [
  ['a block that is not the next', SECOND, '6A86'],
  ['no groupings in P1', bent(FIRST, 2, '60'), '6A86'],
  ['encryption that is neither on nor off', bent(FIRST, 2, '28'), '6A86'],
  ['no data', '80E26800', '6700'],
  ['Lc beyond the data', bent(FIRST, 4, 'FF'), '6700'],
  ['a secret in clear', commandOf('80E20800', `800030${'00'.repeat(48)}`), '6982'],
  ['an enciphered value of no whole blocks', commandOf('80E26800', '80100700112233445566'), '6700'],
  ['a long length for a short value', commandOf('80E20800', '0D01FF0001AA'), '6A80'],
  ['a value that is too long', commandOf('80E20800', '0D01FF7FFF'), '6A80'],
  ['a last block in the middle of a grouping', commandOf('80E28800', '0D0105AABB'), '6A80'],
  ['an end without keys', commandOf('80E28800', '0D0100'), '6A80'],
  ['class 84', bent(FIRST, 0, '84'), '6E00'],
] as const) {
  test(`STORE DATA refuses ${why} with ${sw} and writes nothing`, () => {
    const card = blank();
    assert.equal(send(card, command).sw, sw);
    assert.deepEqual(card.image(), BLANK);
    assert.equal(send(card, FIRST).sw, '9000', 'the right block is taken after it');
  });
}

test('a directory takes its template and records and nothing else', () => {
  const card = cardOf(BLANK);
  const pse = SCRIPTS.find(({ target }) => target.kind === 'pse');
  assert.ok(pse);
  assert.equal(send(card, commandOf('00A40400', toHex(pse.name))).sw, '9000');
  assert.equal(send(card, commandOf('80E20800', '0D0100')).sw, '6A88');
});

test('secrets enciphered under another key make no card that runs', () => {
  const other = storeDataScripts(PREPARED, fromHex('FF'.repeat(16)));
  const card = blank();
  const answers = (other[0]?.commands ?? []).map((command) => {
    const { sw } = send(card, toHex(encodeCommand(command)));
    return sw;
  });
  // Nothing tells the card that a key is wrong; the bureau compares check values afterwards.
  assert.ok(answers.every((sw) => sw === '9000'));
  assert.notEqual(
    card.image().applications[0]?.dgis['8000'],
    SAMPLE.image.applications[0]?.dgis['8000'],
  );
});
