-- The shop's books. Amounts are minor units, times are milliseconds since 1970.

CREATE TABLE goods (
  goods_id text PRIMARY KEY,
  name_zh text NOT NULL,
  name_en text NOT NULL,
  description_zh text NOT NULL,
  description_en text NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor BETWEEN 1 AND 99999999),
  stock integer NOT NULL CHECK (stock BETWEEN 0 AND 999999),
  picture text NOT NULL,
  is_on_sale boolean NOT NULL,
  position integer NOT NULL,
  version integer NOT NULL,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL
);

CREATE TABLE orders (
  order_id text PRIMARY KEY,
  order_number text NOT NULL UNIQUE,
  idempotency_key text NOT NULL UNIQUE,
  fingerprint text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('placing', 'awaitingPayment', 'unknownPayment', 'paid', 'cancelled', 'expired')),
  amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 999999999999),
  currency text NOT NULL CHECK (currency ~ '^[0-9]{3}$'),
  origin text NOT NULL,
  gateway_order_id text UNIQUE,
  gateway_status text,
  pay_url text,
  expires_at_ms bigint,
  payment_id text,
  outcome text,
  response_code text,
  pan_masked text,
  version integer NOT NULL,
  checks integer NOT NULL,
  next_check_at_ms bigint,
  last_asked_at_ms bigint NOT NULL,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  paid_at_ms bigint,
  CHECK (state IN ('placing', 'cancelled', 'expired') OR gateway_order_id IS NOT NULL),
  CHECK ((state = 'paid') = (paid_at_ms IS NOT NULL))
);
CREATE INDEX orders_due ON orders (next_check_at_ms) WHERE next_check_at_ms IS NOT NULL;
CREATE INDEX orders_newest ON orders (created_at_ms DESC);

-- The moves of model.ts once more: no program may leave a final state.
CREATE FUNCTION orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state IN ('paid', 'cancelled', 'expired') AND NEW.state <> OLD.state THEN
    RAISE EXCEPTION 'an order that is % stays so', OLD.state USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'placing' AND OLD.state <> 'placing' THEN
    RAISE EXCEPTION 'an order is placed once' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.amount_minor <> OLD.amount_minor OR NEW.currency <> OLD.currency THEN
    RAISE EXCEPTION 'the amount of an order is fixed' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER orders_guard BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_guard();

CREATE TABLE order_items (
  order_id text NOT NULL REFERENCES orders,
  line integer NOT NULL,
  goods_id text NOT NULL REFERENCES goods,
  name_zh text NOT NULL,
  name_en text NOT NULL,
  picture text NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor > 0),
  quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 99),
  PRIMARY KEY (order_id, line),
  UNIQUE (order_id, goods_id)
);
CREATE INDEX order_items_goods ON order_items (goods_id);

CREATE TABLE stock_movements (
  movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  goods_id text NOT NULL REFERENCES goods,
  kind text NOT NULL CHECK (kind IN ('opening', 'adjusted', 'reserved', 'released', 'sold')),
  delta integer NOT NULL,
  stock_after integer NOT NULL CHECK (stock_after >= 0),
  order_id text REFERENCES orders,
  note text,
  at_ms bigint NOT NULL
);
CREATE INDEX stock_movements_goods ON stock_movements (goods_id, movement_id DESC);
-- A reservation is made, given back and sold at most once.
CREATE UNIQUE INDEX stock_movements_once ON stock_movements (order_id, goods_id, kind)
  WHERE order_id IS NOT NULL;
CREATE UNIQUE INDEX stock_movements_end ON stock_movements (order_id, goods_id)
  WHERE kind IN ('released', 'sold');

CREATE TABLE notifications (
  webhook_id text PRIMARY KEY,
  order_id text NOT NULL REFERENCES orders,
  payment_id text NOT NULL,
  sequence integer NOT NULL,
  outcome text NOT NULL,
  effect text NOT NULL CHECK (effect IN ('applied', 'noted', 'stale')),
  at_ms bigint NOT NULL
);
CREATE INDEX notifications_order ON notifications (order_id, payment_id, sequence DESC);

CREATE TABLE incidents (
  incident_id text PRIMARY KEY,
  dedupe text NOT NULL UNIQUE,
  order_id text REFERENCES orders,
  code text NOT NULL,
  facts jsonb NOT NULL,
  at_ms bigint NOT NULL
);
CREATE INDEX incidents_order ON incidents (order_id);

-- One merchant, one password: scrypt, never clear.
CREATE TABLE merchant (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  password_hash text NOT NULL
);

CREATE TABLE sessions (
  token_hash text PRIMARY KEY,
  expires_at_ms bigint NOT NULL
);
