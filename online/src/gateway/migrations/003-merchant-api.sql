-- Who may use the merchant API, what it has answered, and what was done with it.

CREATE TABLE merchants (
  merchant_id text PRIMARY KEY CHECK (merchant_id ~ '^[0-9A-Za-z]{15}$'),
  name text NOT NULL,
  name_zh text NOT NULL,
  terminal_id text NOT NULL UNIQUE CHECK (terminal_id ~ '^[0-9A-Za-z]{8}$'),
  category_code text NOT NULL CHECK (category_code ~ '^[0-9]{4}$'),
  location text NOT NULL CHECK (length(location) BETWEEN 1 AND 40),
  state text NOT NULL CHECK (state IN ('active', 'suspended')),
  created_at_ms bigint NOT NULL
);

-- A key is never kept, only its hash: it has 192 random bits, so a plain hash is enough.
CREATE TABLE api_keys (
  key_id text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
  hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  merchant_id text REFERENCES merchants,
  role text NOT NULL CHECK (role IN ('merchant', 'readonly', 'refund', 'operator')),
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  requests_per_second integer NOT NULL CHECK (requests_per_second BETWEEN 1 AND 100000),
  created_at_ms bigint NOT NULL,
  revoked_at_ms bigint,
  last_used_day text,
  CHECK ((role = 'operator') = (merchant_id IS NULL))
);
CREATE INDEX api_keys_of_merchant ON api_keys (merchant_id);

-- Answers by Idempotency-Key. Without a status the first request is still running, or its
-- process died: then the next repeat after the lease runs it again.
CREATE TABLE idempotency_keys (
  merchant_id text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  fingerprint text NOT NULL,
  runs integer NOT NULL,
  lease_until_ms bigint NOT NULL,
  created_at_ms bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  status integer CHECK (status BETWEEN 200 AND 499),
  body text,
  PRIMARY KEY (merchant_id, mode, key),
  CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at_ms);

-- Lists, newest first; ids are ordered by time.
CREATE INDEX orders_of_merchant ON orders (merchant_id, mode, order_id);
CREATE INDEX orders_by_number ON orders (merchant_id, mode, merchant_order_number, order_id);
CREATE INDEX payments_of_order ON payments (order_id, payment_id);

-- Each row's hash covers the row and the hash before it.
CREATE TABLE audit_log (
  seq bigint PRIMARY KEY CHECK (seq > 0),
  at_ms bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  facts text NOT NULL,
  previous_hash text NOT NULL UNIQUE,
  hash text NOT NULL UNIQUE CHECK (hash ~ '^[0-9a-f]{64}$')
);
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
