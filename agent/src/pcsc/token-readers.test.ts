/** Which readers are none to a payer; names are as services of Linux, macOS and Windows give them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTokenReader } from './token-readers.ts';

test('a security key, a SIM and a SAM slot are no readers', () => {
  for (const name of [
    'Yubico YubiKey OTP+FIDO+CCID 00 00',
    'Yubico Yubikey 4 CCID 01 00',
    'Nitrokey Nitrokey Pro (000000000000000000004711) 00 00',
    'SoloKeys Solo 2 [CCID/ICCD Interface] 00 00',
    'canokeys.org OpenPGP PIV OATH Canokeys 00 00',
    'Ledger Nano X [Nano X] 00 00',
    'SafeNet eToken 5300 [eToken 5300] 00 00',
    'Windows Hello for Business 1',
    'Microsoft Virtual Smart Card 0',
    'Microsoft UICC ISO Reader 0',
    'ACS ACR1281U Dual Reader SAM 02 00',
  ]) {
    assert.equal(isTokenReader(name), true, name);
  }
});

test('a card reader is one, whoever made it', () => {
  for (const name of [
    'ACS ACR1281U Dual Reader PICC 01 00',
    'ACS ACR122U PICC Interface 00 00',
    'Alcor Micro AU9540 00 00',
    'HID Global OMNIKEY 3x21 Smart Card Reader 00 00',
    'Gemalto PC Twin Reader 00 00',
    'Identiv uTrust 3700 F CL Reader [uTrust 3700 F CL Reader] 00 00',
    'Virtual PCD 00 00',
    'Simplex Reader 00 00',
    'Samsung Reader 00 00',
    '读卡器 00 00',
    '',
  ]) {
    assert.equal(isTokenReader(name), false, name);
  }
});
