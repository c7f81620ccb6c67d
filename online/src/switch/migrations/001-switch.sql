-- The switch's journal. Amounts are minor units, times are milliseconds since 1970. No clear card
-- number, track or field 55: what a reversal repeats, and the answers, are sealed.

CREATE TABLE transactions (
  transaction_id text PRIMARY KEY,
  member_id text NOT NULL,
  acquirer_id text NOT NULL,
  stan text NOT NULL,
  transmission text NOT NULL,
  terminal_id text NOT NULL,
  -- null: a reversal that came before its original, which it bars
  body_digest text,
  -- null: surely nothing was sent to an issuer
  destination text,
  retrieval_reference text,
  amount_minor bigint,
  currency text,
  pan_masked text,
  sealed_original text,
  state text NOT NULL CHECK (state IN ('sent', 'answered', 'unknown', 'reversing', 'reversed')),
  response_code text,
  approval_code text,
  sealed_answer text,
  reason text,
  late_response_code text,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  UNIQUE (transmission, stan, acquirer_id, terminal_id, member_id)
);
CREATE INDEX transactions_sent ON transactions (created_at_ms) WHERE state = 'sent';

-- Blocks of trace numbers; a process takes a block and counts inside it.
CREATE SEQUENCE stan_blocks;

-- One reversal at most for each transaction.
CREATE TABLE advices (
  transaction_id text PRIMARY KEY REFERENCES transactions,
  destination text NOT NULL,
  stan text NOT NULL,
  transmission text NOT NULL,
  reason text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_at_ms bigint NOT NULL,
  settled_at_ms bigint,
  response_code text
);
CREATE INDEX advices_due ON advices (destination, next_at_ms) WHERE settled_at_ms IS NULL;

-- Final is final, and no move leaves the table of model.ts#TRANSACTION_MOVES.
CREATE FUNCTION check_transaction_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'sent>answered', 'sent>unknown', 'sent>reversing', 'answered>reversing', 'answered>reversed',
    'unknown>reversing', 'unknown>reversed', 'reversing>reversed'
  ) THEN
    RAISE EXCEPTION 'a transaction cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER transaction_move BEFORE UPDATE OF state ON transactions
  FOR EACH ROW EXECUTE FUNCTION check_transaction_move();
