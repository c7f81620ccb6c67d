/** T=0 procedures: 61xx, 6Cxx, and cards that never end. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeCommand, type ResponseApdu } from '../../iso7816/index.ts';
import { answer } from './card.test-kit.ts';
import { GET_RESPONSES_MAX, transmitApdu } from './transport.ts';
import type { KernelAnswer } from './types.ts';

const SELECT: CommandApdu = {
  cla: 0x00,
  ins: 0xa4,
  p1: 0x04,
  p2: 0x00,
  data: fromHex('A000000333'),
  le: 256,
};

/** Sends one command; the card answers in turn and repeats its last answer. */
function send(command: CommandApdu, answers: readonly KernelAnswer[]) {
  const wires: string[] = [];
  let counted = 0;
  const conversation = transmitApdu(command, () => {
    counted += 1;
  });
  let step = conversation.next(undefined);
  while (!step.done) {
    assert.equal(step.value.kind, 'transmit');
    if (step.value.kind === 'transmit') wires.push(toHex(encodeCommand(step.value.command)));
    step = conversation.next(answers[Math.min(wires.length, answers.length) - 1]);
  }
  const response: ResponseApdu = step.value;
  assert.equal(counted, wires.length);
  return { wires, data: toHex(response.data), statusWord: response.statusWord.toString(16) };
}

test('an answer that comes at once passes through', () => {
  const { wires, data, statusWord } = send(SELECT, [answer('6F00')]);
  assert.deepEqual(
    { wires: wires.length, data, statusWord },
    { wires: 1, data: '6F00', statusWord: '9000' },
  );
});

test('61xx: GET RESPONSE for exactly xx; tomkp/emv #82, danm-de/pcsc-sharp #28', () => {
  const { wires, data } = send(SELECT, [answer('', 0x6126), answer('AABB')]);
  assert.deepEqual(wires.slice(1), ['00C0000026']);
  assert.equal(data, 'AABB');
});

test("GET RESPONSE refused for its class: once more under the command's, if that differs", () => {
  const refusal = answer('', 0x6e00);
  const same = send(SELECT, [answer('', 0x6102), refusal, answer('AABB')]);
  assert.deepEqual([same.wires.length, same.statusWord], [2, '6e00']);
  const gpo = { cla: 0x80, ins: 0xa8, p1: 0x00, p2: 0x00, data: fromHex('8300'), le: 256 };
  const other = send(gpo, [answer('', 0x6102), refusal, answer('AABB')]);
  assert.deepEqual(other.wires.slice(1), ['00C0000002', '80C0000002']);
  assert.equal(other.data, 'AABB');
});

test('61xx again and again is joined; OpenSC/OpenSC #632', () => {
  const { wires, data } = send(SELECT, [answer('', 0x6100), answer('AA', 0x6101), answer('BB')]);
  assert.deepEqual(wires.slice(1), ['00C0000000', '00C0000001']);
  assert.equal(data, 'AABB');
});

test('61xx without end is refused', () => {
  assert.throws(() => send(SELECT, [answer('AA', 0x6101)]), { code: 'ERR_CARD_LIMIT' });
  assert.ok(GET_RESPONSES_MAX >= 2);
});

test('6Cxx: the command once more with Le xx, once only; EMV 4.3 B1 §9.3.1.2', () => {
  const readRecord = { cla: 0x00, ins: 0xb2, p1: 0x01, p2: 0x0c, le: 256 };
  const right = send(readRecord, [answer('', 0x6c1c), answer('7000')]);
  assert.deepEqual(right.wires, ['00B2010C00', '00B2010C1C']);
  assert.equal(right.data, '7000');
  const endless = send(readRecord, [answer('', 0x6c1c)]);
  assert.equal(endless.wires.length, 2);
  assert.equal(endless.statusWord, '6c1c');
});

test('6Cxx to GET RESPONSE itself is followed too', () => {
  const { wires, data } = send(SELECT, [answer('', 0x6100), answer('', 0x6c02), answer('AABB')]);
  assert.deepEqual(wires.slice(1), ['00C0000000', '00C0000002']);
  assert.equal(data, 'AABB');
});

test('a card that wants its own class in GET RESPONSE gets it; GlobalPlatformPro #15', () => {
  const gpo = { cla: 0x80, ins: 0xa8, p1: 0x00, p2: 0x00, data: fromHex('8300'), le: 256 };
  const { wires } = send(gpo, [answer('', 0x6110), answer('', 0x6e00), answer('8000')]);
  assert.deepEqual(wires.slice(1), ['00C0000010', '80C0000010']);
});

test('a driver that answers something else is told so', () => {
  for (const wrong of [undefined, null, 1, 'entered', new Uint8Array(2)] as const) {
    assert.throws(() => send(SELECT, [wrong]), { code: 'ERR_KERNEL_ANSWER' });
  }
});
