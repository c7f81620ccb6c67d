/**
 * The payment application's own load file on the real card in the real sandbox: loaded, installed,
 * made operable by personalisation, locked and unlocked; then it pays an order with a bank card.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromHex } from '@tapnpay/protocol/bytes';
import { deriveIccMasterKey } from '@tapnpay/protocol/crypto';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import {
  PAYMENT_INSTANCE_AID,
  PAYMENT_LOAD_FILE_AID,
  PAYMENT_MODULE_AID,
  STATUS_40_APPLICATIONS,
} from '@tapnpay/protocol/globalplatform/data';
import {
  installForPersonalization,
  selectCommand,
  setStatusCommand,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import type { AppletInstance } from '@tapnpay/protocol/globalplatform/oncard';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface, ElementPayResult, HostConversation } from '@tapnpay/protocol/wire';
import { caKey, cardImage as image, parameters } from '../applet/src/payment.test-kit.ts';
import { ScriptedHost } from '../applet/src/scripted-host.test-host.ts';
import { createSandboxRunner } from '../element/src/sandbox/index.ts';
import { elementCiphers, systemClock } from '../element/src/system.ts';
import { TestGateway, testParameters } from '../protocol/node/gateway.test-peer.ts';
import { builtLoadFile } from '../protocol/node/load-file.test-build.ts';
import { SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN } from '../protocol/src/emv/icc/sample.test-card.ts';
import { TestCard } from '../protocol/src/globalplatform/managed.test-kit.ts';

const CODE = new Uint8Array(readFileSync(builtLoadFile()));
const NAMES = {
  ...{ file: PAYMENT_LOAD_FILE_AID, module: PAYMENT_MODULE_AID, aid: PAYMENT_INSTANCE_AID },
};
const runner = createSandboxRunner({
  ...{ ciphers: elementCiphers, random: systemRandom, clock: systemClock },
});

const lockTo = (state: number) =>
  setStatusCommand({ scope: STATUS_40_APPLICATIONS, state, aid: PAYMENT_INSTANCE_AID });

function installed(): { readonly card: TestCard; readonly instance: () => AppletInstance } {
  const card = new TestCard({ runner });
  const managed = card.open({ commandBytesMax: 0x4000 });
  assert.equal(managed.load({ aid: PAYMENT_LOAD_FILE_AID, code: CODE }), '9000');
  assert.equal(managed.install(NAMES), '9000');
  const instance = (): AppletInstance => {
    const entry = card.card.state().entries.find(({ aid }) => aid === PAYMENT_INSTANCE_AID);
    assert.ok(entry?.kind === 'application');
    const { aid, lifeCycle, persistent } = entry;
    const { module: moduleAid, file: loadFileAid } = NAMES;
    return { aid, lifeCycle, persistent, moduleAid, loadFileAid, code: CODE };
  };
  return { card, instance };
}

test('personalisation makes it operable; a lock refuses it and keeps what it has', () => {
  const { card, instance } = installed();
  const managed = card.open();
  const state = () => managed.list(STATUS_40_APPLICATIONS)[PAYMENT_INSTANCE_AID];
  assert.equal(state(), 0x07);
  assert.equal(managed.status(installForPersonalization(PAYMENT_INSTANCE_AID)), '9000');
  const groupings = [{ identifier: 0x0101, value: fromHex('CAFE') }];
  assert.equal(managed.status(...storeDataGroupings(managed.session, groupings)), '9000');
  assert.equal(state(), 0x0f);
  const before = instance().persistent;
  assert.equal(managed.status(lockTo(0x8f)), '9000');
  assert.equal(card.status(selectCommand(PAYMENT_INSTANCE_AID)), '6A82');
  assert.deepEqual(instance().persistent, before);
  const again = card.open();
  assert.equal(again.status(lockTo(0x0f)), '9000');
  assert.equal(card.status(selectCommand(PAYMENT_INSTANCE_AID)), '9000');
  assert.equal(card.status({ cla: 0x80, ins: 0x01, p1: 0, p2: 0 }), '6D00');
});

for (const taken of ['contact', 'contactless'] as const) {
  test(`the code of the load file pays by ${taken}, as its source does`, () => {
    const { instance } = installed();
    const powerUp = (side: CardInterface) => {
      const icc = createVirtualIcc({
        ...{ image, interface: side, ciphers: nodeCiphers, random: systemRandom },
      });
      return (command: Uint8Array) => icc.transmit(command);
    };
    const gateway = new TestGateway(deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN));
    const host = new ScriptedHost(powerUp, gateway, { presentations: [{ interface: taken }] });
    const intent = {
      ...{ kind: 'pay', orderId: 'order-1', serverName: 'gateway' },
      ...{ elementId: '00112233445566AA' },
      parameters: testParameters({ ...parameters, caPublicKeys: [caKey] }),
    };
    const { result } = host.run(
      runner.converse(instance(), intent) as HostConversation<{
        readonly result: ElementPayResult;
      }>,
    );
    assert.deepEqual([result.outcome, result.charged, result.reason], ['approved', 'yes', null]);
    assert.equal(result.interface, taken);
    assert.ok(host.hops.some(({ name }) => name === 'seal'));
  });
}

test('an intent that the application does not know ends with its code', () => {
  const { instance } = installed();
  const intent = { kind: 'refund', elementId: 'x', parameters: { body: '', signature: '' } };
  assert.throws(() => runner.converse(instance(), intent).next(), { code: 'ERR_INTENT' });
});
