-- Loads of electronic cash, and notices of how cards took the issuer's scripts.

ALTER TABLE orders ADD COLUMN kind text NOT NULL DEFAULT 'purchase'
  CHECK (kind IN ('purchase', 'ecashLoad'));
ALTER TABLE orders ADD CHECK (kind = 'purchase' OR capture_mode = 'automatic');

-- A load whose answer may have reached its card is debited and not confirmed; it is never reversed.
ALTER TABLE payments DROP CONSTRAINT payments_state_check;
ALTER TABLE payments ADD CONSTRAINT payments_state_check CHECK (state IN
  ('sending', 'authorised', 'debitedNotConfirmed', 'held', 'captured', 'voided', 'declined',
   'unknown', 'reversing', 'reversed'));
DROP INDEX payments_one_live;
CREATE UNIQUE INDEX payments_one_live ON payments (order_id)
  WHERE state IN ('sending', 'authorised', 'debitedNotConfirmed', 'held', 'captured', 'unknown',
    'reversing');

CREATE OR REPLACE FUNCTION check_payment_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'sending>authorised', 'sending>debitedNotConfirmed', 'sending>held', 'sending>captured',
    'sending>declined', 'sending>unknown', 'authorised>held', 'authorised>captured',
    'authorised>reversing', 'authorised>unknown', 'debitedNotConfirmed>captured',
    'held>captured', 'held>voided', 'captured>voided', 'unknown>reversed', 'reversing>reversed'
  ) THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- The first results of a card count; they are sent until the switch acknowledges them.
CREATE TABLE notices (
  payment_id text PRIMARY KEY REFERENCES payments,
  -- Fields 11 and 7; the same in each repeat.
  stan text NOT NULL,
  transmission text NOT NULL,
  -- DF31: five bytes a script.
  results text NOT NULL CHECK (results ~ '^([0-9A-F]{10})+$'),
  attempts integer NOT NULL DEFAULT 0,
  next_at_ms bigint NOT NULL,
  acknowledged_at_ms bigint,
  response_code text,
  UNIQUE (stan, transmission)
);
CREATE INDEX notices_due ON notices (next_at_ms) WHERE acknowledged_at_ms IS NULL;
