/** Types of the merchant API v1: made of docs/openapi.json, not by hand. */
/** `AmountRequest` of the API. */
export type AmountRequest = {
  /** Decimal text in the digits of the currency; absent: all that is there. */
  readonly amount?: string;
  /** If given it must be the payment’s. */
  readonly currency?: string;
  readonly note?: string;
};

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

/** `ClosedWorkItem` of the API. */
export type ClosedWorkItem = {
  readonly itemId: string;
  readonly kind: string;
  readonly subjectId: string;
  readonly closedAtMs: number;
  /** Key id. */
  readonly closedBy: string;
  readonly note: string;
};

/** `Delivery` of the API. */
export type Delivery = {
  /** The webhook-id header. */
  readonly messageId: string;
  readonly paymentId: string;
  /** Null: the address of the order. */
  readonly endpointId: string | null;
  readonly url: string;
  readonly status: 'waiting' | 'delivered' | 'dead';
  readonly attempts: number;
  /** HTTP status; 0 for no answer. */
  readonly lastStatus: number | null;
  readonly lastAtMs: number | null;
  readonly nextAtMs: number;
  readonly createdAtMs: number;
};

/** `Element` of the API. */
export type Element = {
  readonly elementId: string;
  readonly state: 'operable' | 'locked';
  /** clone: two states of it were seen. Null while it is operable. */
  readonly lock: {
    readonly reason: 'clone' | 'operator';
    readonly note: string;
    readonly atMs: number;
  } | null;
  /** Of its last attested payment. */
  readonly lastPaymentCounter: number;
  readonly lastPinCounter: number;
  readonly enrolledAtMs: number;
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

/** `LoadFile` of the API. */
export type LoadFile = {
  /** SHA-256 of the load file. */
  readonly hash: string;
  readonly name: string;
  readonly state: 'accepted' | 'revoked';
  readonly acceptedAtMs: number;
  readonly revokedAtMs: number | null;
  readonly note: string | null;
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

/** `NewWebhookEndpoint` of the API. */
export type NewWebhookEndpoint = {
  readonly endpointId: string;
  readonly url: string;
  /** failing: taken out of use after days without one success. */
  readonly status: 'enabled' | 'disabled' | 'failing';
  readonly failingSinceMs: number | null;
  readonly createdAtMs: number;
  /** `whsec_` and base64; shown this once. */
  readonly secret: string;
};

/** `NoteRequest` of the API. */
export type NoteRequest = {
  readonly note?: string;
};

/** `Operation` of the API. */
export type Operation = {
  readonly operationId: string;
  readonly paymentId: string;
  readonly kind: 'capture' | 'void' | 'refund';
  /** pending: repeated until acknowledged. unknown: a void that is being reversed. */
  readonly status: 'sending' | 'pending' | 'unknown' | 'succeeded' | 'failed' | 'reversed';
  /** processed: final. inProgress: ask again. notFound: nothing was ever sent. */
  readonly inquiry: 'processed' | 'inProgress' | 'notFound';
  readonly amountMinor: string;
  readonly currency: string;
  readonly note: string | null;
  /** Field 39: what it means, and what to do. */
  readonly response: {
    readonly code: string;
    readonly action:
      | 'none'
      | 'enterPinAgain'
      | 'useOtherCard'
      | 'insertCard'
      | 'askIssuer'
      | 'keepCard'
      | 'tryLater'
      | 'fixRequest'
      | 'awaitOutcome';
    readonly merchant: {
      readonly en: string;
      readonly zh: string;
    };
    readonly cardholder: {
      readonly en: string;
      readonly zh: string;
    };
  } | null;
  readonly reason: string | null;
  readonly approvalCode: string | null;
  /** MMDD. */
  readonly settlementDate: string | null;
  readonly retrievalReference: string;
  readonly attempts: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** `Order` of the API. */
export type Order = {
  readonly orderId: string;
  readonly mode: 'test' | 'live';
  readonly merchantOrderNumber: string;
  readonly amountMinor: string;
  readonly currency: string;
  readonly origin: string;
  readonly kind: 'purchase' | 'ecashLoad';
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
  /** processed: final. inProgress: ask again. notFound: nothing was ever sent. */
  readonly inquiry: 'processed' | 'inProgress' | 'notFound';
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
  /** ecashLoad: from the payer's account into the purse of the card. By insertion. */
  readonly kind?: 'purchase' | 'ecashLoad';
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

/** `ParameterContent` of the API. */
export type ParameterContent = {
  /** Tag 9F66. */
  readonly terminalTransactionQualifiers: string;
  readonly countryCode: string;
  readonly terminalType: string;
  readonly terminalCapabilities: string;
  readonly additionalTerminalCapabilities: string;
  readonly aids: readonly {
    readonly aid: string;
    /** First day on which it is taken. */
    readonly fromYymmdd: string;
    /** Last one. */
    readonly untilYymmdd: string;
    readonly applicationVersion: string;
    readonly tacDefault: string;
    readonly tacDenial: string;
    readonly tacOnline: string;
    readonly floorLimitMinor: string;
    readonly randomSelection: {
      readonly targetPercentage: number;
      readonly maximumTargetPercentage: number;
      readonly thresholdMinor: string;
    };
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
    readonly fromYymmdd: string;
    readonly expiryYymmdd: string;
    readonly modulus: string;
    readonly exponent: string;
    readonly sha1: string;
  }[];
  readonly revokedCertificates: readonly {
    readonly rid: string;
    readonly index: string;
    readonly serialNumber: string;
  }[];
  readonly token: {
    /** IPB of dynamic tokens. */
    readonly issuerProprietaryBitmap: string;
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
    | 'debitedNotConfirmed'
    | 'held'
    | 'captured'
    | 'voided'
    | 'declined'
    | 'unknown'
    | 'reversing'
    | 'reversed';
  /** processed: final. inProgress: ask again. notFound: nothing was ever sent. */
  readonly inquiry: 'processed' | 'inProgress' | 'notFound';
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
  /** Field 39: what it means, and what to do. */
  readonly response: {
    readonly code: string;
    readonly action:
      | 'none'
      | 'enterPinAgain'
      | 'useOtherCard'
      | 'insertCard'
      | 'askIssuer'
      | 'keepCard'
      | 'tryLater'
      | 'fixRequest'
      | 'awaitOutcome';
    readonly merchant: {
      readonly en: string;
      readonly zh: string;
    };
    readonly cardholder: {
      readonly en: string;
      readonly zh: string;
    };
  } | null;
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
  /** Events so far; each notification carries its own. */
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

/** `PaymentBalance` of the API. */
export type PaymentBalance = {
  readonly heldMinor: string;
  readonly capturedMinor: string;
  readonly refundedMinor: string;
  readonly pendingRefundMinor: string;
  readonly refundableMinor: string;
  readonly disputed: boolean;
};

/** `PaymentEvidence` of the API. */
export type PaymentEvidence = {
  readonly format: 'tapnpay-payment-evidence-1';
  readonly paymentId: string;
  /** The very text that the element signed. */
  readonly statement: string;
  readonly signature: string;
  /** The element's certificate. */
  readonly certificatePem: string;
  readonly caPem: string;
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
    | 'debitedNotConfirmed'
    | 'held'
    | 'captured'
    | 'voided'
    | 'declined'
    | 'unknown'
    | 'reversing'
    | 'reversed';
  /** processed: final. inProgress: ask again. notFound: nothing was ever sent. */
  readonly inquiry: 'processed' | 'inProgress' | 'notFound';
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
  /** Field 39: what it means, and what to do. */
  readonly response: {
    readonly code: string;
    readonly action:
      | 'none'
      | 'enterPinAgain'
      | 'useOtherCard'
      | 'insertCard'
      | 'askIssuer'
      | 'keepCard'
      | 'tryLater'
      | 'fixRequest'
      | 'awaitOutcome';
    readonly merchant: {
      readonly en: string;
      readonly zh: string;
    };
    readonly cardholder: {
      readonly en: string;
      readonly zh: string;
    };
  } | null;
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
  /** Events so far; each notification carries its own. */
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

/** `PublishedParameters` of the API. */
export type PublishedParameters = {
  readonly version: number;
  /** Payments under a lower version are refused. */
  readonly minimumVersion: number;
  /** JSON of the set, the very text that was signed. */
  readonly body: string;
  /** By the parameter-update key over body, ECDSA P-256, P1363. */
  readonly signature: string;
  readonly publishedAtMs: number;
  /** Key id, or `installation`. */
  readonly publishedBy: string;
};

/** `RiskRefusal` of the API. */
export type RiskRefusal = {
  readonly decisionId: string;
  readonly atMs: number;
  readonly orderId: string;
  readonly merchantId: string;
  readonly elementId: string;
  /** What a hot list of cards takes. */
  readonly cardDigest: string;
  readonly panMasked: string;
  readonly amountMinor: string;
  readonly currency: string;
  readonly rule: string;
  readonly facts: Readonly<Record<string, string | number>>;
};

/** `Settlement` of the API. */
export type Settlement = {
  /** YYYYMMDD of Shanghai; a day ends at 23:00. */
  readonly settlementDate: string;
  readonly currency: string;
  readonly saleCount: number;
  readonly saleMinor: string;
  /** Voids and refunds. */
  readonly returnCount: number;
  readonly returnMinor: string;
  /** Below 0 when more was given back than charged. */
  readonly feeMinor: string;
  /** Owed by the merchant from the batch before: at most 0. */
  readonly broughtMinor: string;
  /** Sales less returns, fees and what was brought. */
  readonly paidOutMinor: string;
  /** Owed by the merchant to its next batch: at most 0. */
  readonly carriedMinor: string;
};

/** `SettlementDay` of the API. */
export type SettlementDay = {
  /** YYYYMMDD of Shanghai; a day ends at 23:00. */
  readonly settlementDate: string;
  readonly settlements: readonly Settlement[];
  readonly statement: {
    readonly records: number;
    readonly sha256: string;
  };
};

/** `WebhookEndpoint` of the API. */
export type WebhookEndpoint = {
  readonly endpointId: string;
  readonly url: string;
  /** failing: taken out of use after days without one success. */
  readonly status: 'enabled' | 'disabled' | 'failing';
  readonly failingSinceMs: number | null;
  readonly createdAtMs: number;
};

/** `WholeDelivery` of the API. */
export type WholeDelivery = {
  /** The webhook-id header. */
  readonly messageId: string;
  readonly paymentId: string;
  /** Null: the address of the order. */
  readonly endpointId: string | null;
  readonly url: string;
  readonly status: 'waiting' | 'delivered' | 'dead';
  readonly attempts: number;
  /** HTTP status; 0 for no answer. */
  readonly lastStatus: number | null;
  readonly lastAtMs: number | null;
  readonly nextAtMs: number;
  readonly createdAtMs: number;
  readonly body: string;
  readonly failedTries: readonly {
    readonly attempt: number;
    readonly atMs: number;
    readonly status: number;
    readonly fault: string | null;
  }[];
};

/** `WorkItem` of the API. */
export type WorkItem = {
  readonly itemId: string;
  readonly kind: string;
  readonly subjectId: string;
  readonly facts: Readonly<Record<string, string | number | null>>;
  readonly openedAtMs: number;
};
