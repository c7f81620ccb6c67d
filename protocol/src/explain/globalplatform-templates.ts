/** Key information, card recognition data and production data of a card. @see GPCS 2.3.1 Annex H */
import { toHex } from '../bytes/index.ts';
import {
  decodeCardRecognition,
  decodeCplc,
  decodeKeyInformation,
  keyTypeName,
} from '../globalplatform/data/index.ts';
import { both, byteHex, finding, nodeOf } from './build.ts';
import { readTlv, tlvNodes } from './tlv-reader.ts';
import type { Explained } from './types.ts';

/** Which keys a security domain holds. */
export function explainKeyInformation(bytes: Uint8Array): Explained {
  const keys = decodeKeyInformation(bytes);
  const versions = [...new Set(keys.map(({ keyVersionNumber }) => keyVersionNumber))];
  const keySets = versions.map((version) => ({
    keyVersionNumber: byteHex(version),
    keys: keys
      .filter(({ keyVersionNumber }) => keyVersionNumber === version)
      .map(({ keyIdentifier, components }) => ({
        keyIdentifier,
        components: components.map(({ type, lengthBytes }) => ({
          type: byteHex(type),
          typeName: keyTypeName(type),
          lengthBytes,
        })),
      })),
  }));
  const named = versions.map(byteHex).join(', ');
  return {
    summaryEn: `Key information: ${keys.length} keys in sets ${named}`,
    summaryZh: `密钥信息：${keys.length} 个密钥，密钥版本 ${named}`,
    facts: { type: 'keyInformation', keySets, keyCount: keys.length, value: toHex(bytes) },
    tree: keySets.map((set) =>
      nodeOf(both('Key set', '密钥组'), null, {
        tag: 'C0',
        value: set.keyVersionNumber,
        children: set.keys.map(({ keyIdentifier, components }) =>
          nodeOf(both(`Key ${keyIdentifier}`, `密钥 ${keyIdentifier}`), null, {
            value: components.map(({ type }) => type).join(' '),
            text: both(
              components
                .map(
                  ({ typeName, lengthBytes }) => `${typeName ?? 'unknown'}, ${lengthBytes} bytes`,
                )
                .join('; '),
              components
                .map(({ typeName, lengthBytes }) => `${typeName ?? '未知'}，${lengthBytes} 字节`)
                .join('；'),
            ),
          }),
        ),
      }),
    ),
    checks: [],
    findings: keys.flatMap(({ keyVersionNumber }, index) =>
      keyVersionNumber === 0xff && index === 0
        ? [
            finding(
              'warning',
              'GP_FACTORY_KEYS',
              null,
              both('key set FF is the factory set', '密钥版本 FF 为出厂密钥'),
            ),
          ]
        : [],
    ),
  };
}

/** What the card says about itself. */
export function explainRecognition(bytes: Uint8Array): Explained {
  const card = decodeCardRecognition(bytes);
  const channels = card.secureChannels.map(({ protocol, parameterI }) => ({
    protocol: `SCP${String(protocol).padStart(2, '0')}`,
    i: byteHex(parameterI & 0xff),
  }));
  const named = channels.map(({ protocol, i }) => `${protocol} i=${i}`).join(', ');
  const version = card.globalPlatformVersion ?? '?';
  return {
    summaryEn: `Card recognition: GlobalPlatform ${version}, ${named || 'no secure channel named'}`,
    summaryZh: `卡识别数据：GlobalPlatform ${version}，${named || '未说明安全通道'}`,
    facts: {
      type: 'cardRecognition',
      objectIdentifier: card.objectIdentifier,
      isGlobalPlatform: card.isGlobalPlatform,
      globalPlatformVersion: card.globalPlatformVersion,
      identificationScheme: card.identificationScheme,
      secureChannels: channels,
      cardConfiguration: card.cardConfiguration,
      cardDetails: card.cardDetails,
      value: toHex(bytes),
    },
    tree: tlvNodes(readTlv(bytes).objects),
    checks: [],
    findings: card.isGlobalPlatform
      ? []
      : [
          finding(
            'error',
            'GP_NOT_RECOGNISED',
            0,
            both('no GlobalPlatform object identifier', '没有 GlobalPlatform 对象标识符'),
          ),
        ],
  };
}

/** Chip production data. */
export function explainCplc(bytes: Uint8Array, baseBytes: number): Explained {
  const fields = decodeCplc(bytes);
  const facts: Record<string, string> = {};
  for (const { name, value } of fields) facts[name] = value;
  return {
    summaryEn: `Card production life cycle data, serial ${facts['icSerialNumber']}`,
    summaryZh: `卡片生产周期数据（CPLC），序列号 ${facts['icSerialNumber']}`,
    facts: { type: 'cplc', ...facts },
    tree: fields.map(({ name, offsetBytes, value, date }) => {
      const at = {
        offsetBytes: baseBytes + offsetBytes,
        bytes: bytes.subarray(offsetBytes, offsetBytes + value.length / 2),
      };
      const text = date
        ? both(
            `year ending in ${date.yearDigit}, day ${date.dayOfYear}`,
            `年份末位 ${date.yearDigit}，第 ${date.dayOfYear} 天`,
          )
        : null;
      return nodeOf(both(name), at, { text });
    }),
    checks: [],
    findings: [],
  };
}
