/**
 * Shows a card whose ATR says T=0: 61xx and GET RESPONSE, 6Cxx and repetition, and that neither
 * loses nor doubles anything. @see EMV 4.3 B1 §9.3.1
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ICC_ATR_T0 } from '../data/index.ts';
import { CardSession, cardOf, imageOf, SELECT, send } from './icc.test-kit.ts';

const T0 = { image: { atr: ICC_ATR_T0 } } as const;
const session = () => new CardSession(T0);
const waits = (sw: string) => sw.slice(2);

test('SELECT waits under 61xx; GET RESPONSE fetches it whole or in parts', () => {
  const whole = send(cardOf(imageOf()), SELECT).data;
  const card = session();
  const { data, sw } = card.send(SELECT);
  assert.equal(data, '');
  assert.equal(sw, `61${(whole.length / 2).toString(16).toUpperCase()}`);
  assert.deepEqual(card.send(`00C00000${waits(sw)}`), { data: whole, sw: '9000' });
  assert.equal(card.send(`00C00000${waits(sw)}`).sw, '6985', 'once');
  card.send(SELECT);
  const part = card.send('00C0000010');
  assert.equal(part.data, whole.slice(0, 32));
  assert.equal(part.sw, `61${(whole.length / 2 - 16).toString(16).toUpperCase()}`);
  assert.equal(card.send(`00C00000${waits(part.sw)}`).data, whole.slice(32));
});

test('GET RESPONSE for more than waits, or for 256: 6Cxx tells how much (pcsc-sharp #28)', () => {
  const card = session();
  const { sw } = card.send(SELECT);
  assert.equal(card.send('00C0000000').sw, `6C${waits(sw)}`);
  assert.equal(card.send('00C00000FF').sw, `6C${waits(sw)}`);
  assert.equal(card.send('00C00100FF').sw, '6A86');
  assert.equal(card.send('00C00000').sw, '6700');
  assert.equal(card.send(`00C00000${waits(sw)}`).sw, '9000');
});

test('the status word of the command comes with its last bytes: a blocked application says 6283', () => {
  const card = new CardSession({ ...T0, state: { applicationBlocked: true } });
  const { sw } = card.send(SELECT);
  assert.match(sw, /^61/);
  assert.equal(card.send(`00C00000${waits(sw)}`).sw, '6283');
});

test('READ RECORD and GET DATA of another length: 6Cxx, then the data', () => {
  const card = session();
  card.send(SELECT);
  card.send(card.gpo());
  const { sw } = card.send('00B2010C00');
  assert.match(sw, /^6C/);
  const { data } = card.send(`00B2010C${waits(sw)}`);
  assert.equal(data.length / 2, Number.parseInt(waits(sw), 16));
  assert.equal(card.send('80CA9F3600').sw, '6C05');
  assert.equal(card.send('80CA9F3605').data, '9F36020001');
});

test('a command that has data is done once: the counter goes with it, not with GET RESPONSE', () => {
  const card = session();
  card.send(SELECT);
  const { sw } = card.send(card.gpo());
  assert.match(sw, /^61/);
  assert.equal(card.state.atc, 1);
  card.send(`00C00000${waits(sw)}`);
  assert.equal(card.state.atc, 1);
});

test('an answer that is not fetched is gone with the next command; errors come at once', () => {
  const card = session();
  const { sw } = card.send(SELECT);
  assert.equal(card.send('00B2016C00').sw, '6985');
  assert.equal(card.send(`00C00000${waits(sw)}`).sw, '6985');
  assert.equal(card.send('00A4040007A0000000031010').sw, '6A82');
});

test('with T=1 and in a field there is no GET RESPONSE', () => {
  assert.equal(send(cardOf(imageOf()), '00C0000010').sw, '6D00');
  const card = cardOf(imageOf(T0), 'contactless');
  assert.equal(send(card, `${SELECT}00`).sw, '9000');
  assert.equal(send(card, '00C0000010').sw, '6D00');
});
