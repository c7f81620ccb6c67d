/** Types and calls of the merchant API v1: made of docs/openapi.json, not by hand. */
import type { CallOptions, OperationFacts } from './client.ts';

/** `ApiKey` of the API. */
export type ApiKey = {
  readonly keyId: string;
  readonly merchantId: string | null;
  readonly role: 'merchant' | 'readonly' | 'refund' | 'operator';
  readonly mode: 'test' | 'live';
  readonly requestsPerSecond: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
  readonly lastUsedDay: string | null;
};

/** `ApiKeyRequest` of the API. */
export type ApiKeyRequest = {
  /** Null for a key of the operator. */
  readonly merchantId: string | null;
  readonly role: 'merchant' | 'readonly' | 'refund' | 'operator';
  readonly mode?: 'test' | 'live';
  readonly requestsPerSecond?: number;
};

/** `AuditRecord` of the API. */
export type AuditRecord = {
  readonly seq: number;
  readonly atMs: number;
  /** Key id. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  /** Canonical JSON, the very text that the hash covers. */
  readonly facts: string;
  readonly previousHash: string;
  /** SHA-256 of [seq, atMs, actor, action, subject, facts, previousHash]. */
  readonly hash: string;
};

/** `EnrolmentRequest` of the API. */
export type EnrolmentRequest = {
  readonly elementId: string;
  /** The key to certify. */
  readonly publicKeySpki: string;
  /** RSA: the initial PIN key comes under it. */
  readonly transportKeySpki: string;
  /** HMAC-SHA256 by the pairing code. */
  readonly pairingProof: string;
  /** By the key to certify, P1363. */
  readonly signature: string;
};

/** `Merchant` of the API. */
export type Merchant = {
  readonly merchantId: string;
  readonly name: string;
  readonly nameZh: string;
  readonly terminalId: string;
  readonly categoryCode: string;
  readonly location: string;
  readonly state: 'active' | 'suspended';
  readonly createdAtMs: number;
};

/** `MerchantRequest` of the API. */
export type MerchantRequest = {
  /** Field 42. */
  readonly merchantId: string;
  readonly name: string;
  readonly nameZh: string;
  /** Field 41. */
  readonly terminalId: string;
  /** Field 18. */
  readonly categoryCode: string;
  /** Field 43. */
  readonly location: string;
};

/** `NewApiKey` of the API. */
export type NewApiKey = {
  readonly keyId: string;
  readonly merchantId: string | null;
  readonly role: 'merchant' | 'readonly' | 'refund' | 'operator';
  readonly mode: 'test' | 'live';
  readonly requestsPerSecond: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
  readonly lastUsedDay: string | null;
  /** Shown this once; only its hash is kept. */
  readonly apiKey: string;
};

/** `Order` of the API. */
export type Order = {
  readonly orderId: string;
  readonly mode: 'test' | 'live';
  readonly merchantOrderNumber: string;
  readonly amountMinor: string;
  readonly currency: string;
  readonly origin: string;
  readonly captureMode: 'automatic' | 'manual';
  /** unknown: sent, no final answer yet; never pay it elsewhere. */
  readonly status:
    | 'open'
    | 'processing'
    | 'authorised'
    | 'paid'
    | 'voided'
    | 'unknown'
    | 'cancelled'
    | 'expired';
  /** The attempt that counts. */
  readonly paymentId: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** Send the payer here. */
  readonly payUrl: string;
};

/** `OrderRequest` of the API. */
export type OrderRequest = {
  /** The merchant's own number. */
  readonly merchantOrderNumber: string;
  /** Decimal text in the digits of the currency: "12.34" yuan, "1234" yen. */
  readonly amount: string;
  /** ISO 4217 number, "156" for yuan. */
  readonly currency: string;
  /** Origin of the shop's page; the payer's element shows it. */
  readonly origin: string;
  /** Where to tell what became of it. */
  readonly notifyUrl?: string;
  /** Where the pay page leads back to. */
  readonly returnUrl?: string;
  /** manual: the amount is held and waits for capturePayment. Default: automatic. */
  readonly captureMode?: 'automatic' | 'manual';
  readonly lab?: {
    readonly fault:
      | 'flip-mac'
      | 'kill-gateway@order'
      | 'kill-gateway@ask'
      | 'kill-gateway@channel'
      | 'kill-gateway@tap'
      | 'kill-gateway@check'
      | 'kill-gateway@cryptogram'
      | 'kill-gateway@seal'
      | 'kill-gateway@request'
      | 'kill-gateway@route'
      | 'kill-gateway@decide'
      | 'kill-gateway@return'
      | 'kill-gateway@finish'
      | 'kill-gateway@confirm'
      | 'kill-gateway@tell';
  };
};

/** `Payment` of the API. */
export type Payment = {
  readonly paymentId: string;
  readonly orderId: string;
  readonly elementId: string;
  readonly interface: 'contact' | 'contactless';
  readonly status:
    | 'sending'
    | 'authorised'
    | 'held'
    | 'captured'
    | 'voided'
    | 'declined'
    | 'unknown'
    | 'reversing'
    | 'reversed';
  /** What payer and merchant are told; null: nothing yet. */
  readonly outcome: 'approved' | 'declined' | 'reversed' | 'unknown' | 'cancelled' | null;
  readonly amountMinor: string;
  readonly currency: string;
  readonly panMasked: string;
  /** Field 11. */
  readonly stan: string;
  /** Field 7. */
  readonly transmission: string;
  /** Field 37. */
  readonly retrievalReference: string;
  /** Field 39. */
  readonly responseCode: string | null;
  /** Field 38. */
  readonly approvalCode: string | null;
  /** Field 15, MMDD. */
  readonly settlementDate: string | null;
  readonly issuer: {
    readonly arqcVerified: boolean | null;
    readonly ledgerEntryId: string | null;
    readonly reason?: string | null;
  } | null;
  readonly second: string | null;
  readonly secondType: 'TC' | 'AAC' | null;
  readonly reason: string | null;
  readonly sequence: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly reversal: {
    readonly reason: string;
    readonly attempts: number;
    readonly acknowledged: boolean;
    readonly responseCode: string | null;
  } | null;
  readonly hops: readonly {
    readonly n: number;
    readonly name: string;
    readonly party: string;
    readonly atMs: number;
    readonly facts: Readonly<Record<string, string | number | boolean | null>>;
  }[];
};

/** `PaymentRow` of the API. */
export type PaymentRow = {
  readonly paymentId: string;
  readonly orderId: string;
  readonly elementId: string;
  readonly interface: 'contact' | 'contactless';
  readonly status:
    | 'sending'
    | 'authorised'
    | 'held'
    | 'captured'
    | 'voided'
    | 'declined'
    | 'unknown'
    | 'reversing'
    | 'reversed';
  /** What payer and merchant are told; null: nothing yet. */
  readonly outcome: 'approved' | 'declined' | 'reversed' | 'unknown' | 'cancelled' | null;
  readonly amountMinor: string;
  readonly currency: string;
  readonly panMasked: string;
  /** Field 11. */
  readonly stan: string;
  /** Field 7. */
  readonly transmission: string;
  /** Field 37. */
  readonly retrievalReference: string;
  /** Field 39. */
  readonly responseCode: string | null;
  /** Field 38. */
  readonly approvalCode: string | null;
  /** Field 15, MMDD. */
  readonly settlementDate: string | null;
  readonly issuer: {
    readonly arqcVerified: boolean | null;
    readonly ledgerEntryId: string | null;
    readonly reason?: string | null;
  } | null;
  readonly second: string | null;
  readonly secondType: 'TC' | 'AAC' | null;
  readonly reason: string | null;
  readonly sequence: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** `Problem` of the API. */
export type Problem = {
  /** The row of the error table on the documentation page. */
  readonly type: string;
  /** The same for every problem of this code, in English. */
  readonly title: string;
  readonly status: number;
  /** What was wrong this time, in English. Quotes no value. */
  readonly detail: string;
  /** Names this answer in the log: tell it to the operator. */
  readonly instance: string;
  /** What programs test. */
  readonly code: string;
  /** `title` in both languages. */
  readonly text: {
    readonly en: string;
    readonly zh: string;
  };
  /** What to do. */
  readonly remedy: {
    readonly en: string;
    readonly zh: string;
  };
  /** The first wrong field, as `lab.fault`. */
  readonly fieldPath?: string;
  /** The same as `detail`. */
  readonly message: string;
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
};

/** `TerminalParameters` of the API. */
export type TerminalParameters = {
  /** Tag 9F66. */
  readonly terminalTransactionQualifiers: string;
  readonly countryCode: string;
  readonly terminalType: string;
  readonly terminalCapabilities: string;
  readonly additionalTerminalCapabilities: string;
  readonly aids: readonly {
    readonly aid: string;
    readonly applicationVersion: string;
    readonly tacDefault: string;
    readonly tacDenial: string;
    readonly tacOnline: string;
    readonly floorLimitMinor: string;
    readonly defaultDdol: string;
    readonly contactless: {
      readonly floorLimitMinor: string;
      readonly transactionLimitMinor: string;
      readonly cvmLimitMinor: string;
    } | null;
  }[];
  readonly caPublicKeys: readonly {
    readonly rid: string;
    readonly index: string;
    readonly modulus: string;
    readonly exponent: string;
    readonly sha1: string;
    readonly expiryYymmdd: string;
  }[];
};

/** Every call; `createClient` makes one. Errors are `ApiError` or `NoAnswerError`. */
export type Api = {
  /** Make an order 创建订单. */
  createOrder(input: { readonly body: OrderRequest } & CallOptions): Promise<Order>;
  /** List orders, newest first 订单列表（新的在前）. */
  listOrders(
    input?: {
      readonly query?: {
        readonly limit?: number;
        readonly cursor?: string;
        readonly createdFromMs?: number;
        readonly createdToMs?: number;
        readonly merchantOrderNumber?: string;
        readonly status?:
          | 'open'
          | 'processing'
          | 'authorised'
          | 'paid'
          | 'voided'
          | 'unknown'
          | 'cancelled'
          | 'expired';
      };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly Order[];
    readonly nextCursor: string | null;
  }>;
  /** Read an order 查询订单. */
  getOrder(input: { readonly path: { readonly orderId: string } } & CallOptions): Promise<Order>;
  /** Close an open order 关闭未支付订单. */
  cancelOrder(input: { readonly path: { readonly orderId: string } } & CallOptions): Promise<Order>;
  /** List payments, newest order first 支付列表（按订单由新到旧）. */
  listPayments(
    input?: {
      readonly query?: {
        readonly limit?: number;
        readonly cursor?: string;
        readonly createdFromMs?: number;
        readonly createdToMs?: number;
        readonly merchantOrderNumber?: string;
        readonly status?:
          | 'sending'
          | 'authorised'
          | 'held'
          | 'captured'
          | 'voided'
          | 'declined'
          | 'unknown'
          | 'reversing'
          | 'reversed';
        readonly orderId?: string;
      };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly PaymentRow[];
    readonly nextCursor: string | null;
  }>;
  /** Read a payment 查询支付. */
  getPayment(
    input: { readonly path: { readonly paymentId: string } } & CallOptions,
  ): Promise<Payment>;
  /** Make a pairing code for one element 生成一次性配对码. */
  createPairingCode(input?: CallOptions): Promise<{
    readonly code: string;
    readonly expiresAtMs: number;
  }>;
  /** Enrol an element by its pairing code 用配对码注册安全单元. */
  enrolElement(input: { readonly body: EnrolmentRequest } & CallOptions): Promise<{
    readonly certificatePem: string;
    readonly caPem: string;
    readonly orderPublicKeySpki: string;
    readonly initialKeyId: string;
    readonly encipheredInitialKey: string;
    readonly initialKeyKcv: string;
    readonly parameters: TerminalParameters;
  }>;
  /** What payment applications accept 受理参数. */
  getParameters(input?: CallOptions): Promise<TerminalParameters>;
  /** Add a merchant 新增商户. */
  createMerchant(input: { readonly body: MerchantRequest } & CallOptions): Promise<Merchant>;
  /** List the merchants 商户列表. */
  listMerchants(input?: CallOptions): Promise<{
    readonly data: readonly Merchant[];
  }>;
  /** Suspend a merchant: it may still read 停用商户（仍可查询）. */
  suspendMerchant(
    input: { readonly path: { readonly merchantId: string } } & CallOptions,
  ): Promise<Merchant>;
  /** Let a merchant work again 恢复商户. */
  activateMerchant(
    input: { readonly path: { readonly merchantId: string } } & CallOptions,
  ): Promise<Merchant>;
  /** Make an API key 创建 API 密钥. */
  createApiKey(input: { readonly body: ApiKeyRequest } & CallOptions): Promise<NewApiKey>;
  /** List keys: hashes stay inside API 密钥列表（不含密钥）. */
  listApiKeys(
    input?: { readonly query?: { readonly merchantId?: string } } & CallOptions,
  ): Promise<{
    readonly data: readonly ApiKey[];
  }>;
  /** Revoke a key 吊销 API 密钥. */
  revokeApiKey(input: { readonly path: { readonly keyId: string } } & CallOptions): Promise<ApiKey>;
  /** Read the audit log, oldest first 审计日志（旧的在前）. */
  listAuditRecords(
    input?: {
      readonly query?: { readonly afterSeq?: number; readonly limit?: number };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly AuditRecord[];
    readonly nextCursor: string | null;
  }>;
};

/** How each call goes over the wire. */
export const OPERATIONS: Readonly<Record<keyof Api, OperationFacts>> = {
  createOrder: { method: 'POST', path: '/v1/orders', keyed: true, repeatable: true },
  listOrders: { method: 'GET', path: '/v1/orders', keyed: false, repeatable: true },
  getOrder: { method: 'GET', path: '/v1/orders/{orderId}', keyed: false, repeatable: true },
  cancelOrder: {
    method: 'POST',
    path: '/v1/orders/{orderId}/cancel',
    keyed: false,
    repeatable: false,
  },
  listPayments: { method: 'GET', path: '/v1/payments', keyed: false, repeatable: true },
  getPayment: { method: 'GET', path: '/v1/payments/{paymentId}', keyed: false, repeatable: true },
  createPairingCode: { method: 'POST', path: '/v1/pairing-codes', keyed: false, repeatable: false },
  enrolElement: { method: 'POST', path: '/v1/enrolments', keyed: false, repeatable: false },
  getParameters: { method: 'GET', path: '/v1/parameters', keyed: false, repeatable: true },
  createMerchant: { method: 'POST', path: '/v1/merchants', keyed: true, repeatable: true },
  listMerchants: { method: 'GET', path: '/v1/merchants', keyed: false, repeatable: true },
  suspendMerchant: {
    method: 'POST',
    path: '/v1/merchants/{merchantId}/suspend',
    keyed: false,
    repeatable: false,
  },
  activateMerchant: {
    method: 'POST',
    path: '/v1/merchants/{merchantId}/activate',
    keyed: false,
    repeatable: false,
  },
  createApiKey: { method: 'POST', path: '/v1/api-keys', keyed: false, repeatable: false },
  listApiKeys: { method: 'GET', path: '/v1/api-keys', keyed: false, repeatable: true },
  revokeApiKey: {
    method: 'POST',
    path: '/v1/api-keys/{keyId}/revoke',
    keyed: false,
    repeatable: false,
  },
  listAuditRecords: { method: 'GET', path: '/v1/audit-records', keyed: false, repeatable: true },
};
