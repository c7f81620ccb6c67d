-- The issuer's books. Amounts are minor units, times are milliseconds since 1970.
-- Account numbers are not kept: cards are found by a keyed digest, people see the mask.

-- balance_minor is null for the bank's own accounts; a customer's never falls below zero.
CREATE TABLE accounts (
  account_id text PRIMARY KEY,
  currency text NOT NULL CHECK (currency ~ '^[0-9]{3}$'),
  balance_minor bigint CONSTRAINT accounts_balance_not_negative CHECK (balance_minor >= 0)
);

CREATE TABLE cards (
  card_id text PRIMARY KEY,
  name text NOT NULL,
  pan_lookup text NOT NULL,
  pan_masked text NOT NULL,
  pan_sequence_number text NOT NULL,
  expiry_yymm text NOT NULL CHECK (expiry_yymm ~ '^[0-9]{4}$'),
  pvki text NOT NULL,
  pvv text NOT NULL,
  currency text NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'blocked', 'refused')),
  account_id text NOT NULL REFERENCES accounts,
  pin_failures integer NOT NULL DEFAULT 0 CHECK (pin_failures BETWEEN 0 AND 3),
  atc_highest integer NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  UNIQUE (pan_lookup, pan_sequence_number)
);

-- Application transaction counters whose cryptograms were verified: each counts once.
CREATE TABLE card_atcs (
  card_id text NOT NULL REFERENCES cards,
  atc integer NOT NULL CHECK (atc BETWEEN 1 AND 65535),
  PRIMARY KEY (card_id, atc)
);

CREATE TABLE requests (
  trace_key text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('purchase', 'reversal')),
  fingerprint text NOT NULL,
  pan_lookup text NOT NULL,
  card_id text REFERENCES cards,
  amount_minor bigint NOT NULL,
  currency text NOT NULL,
  state text NOT NULL CHECK
    (state IN ('approved', 'declined', 'reversed', 'refusedAhead', 'acknowledged')),
  response_code text NOT NULL,
  approval_code text,
  reason text,
  arqc_verified boolean,
  ledger_entry_id text,
  authentication_data text,
  answered_at_ms bigint NOT NULL,
  CHECK ((state IN ('approved', 'reversed')) = (ledger_entry_id IS NOT NULL AND kind = 'purchase'))
);

CREATE TABLE ledger_transactions (
  transaction_id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('opening', 'purchase', 'reversal')),
  trace_key text UNIQUE REFERENCES requests,
  at_ms bigint NOT NULL
);

CREATE TABLE ledger_entries (
  entry_id text PRIMARY KEY,
  transaction_id text NOT NULL REFERENCES ledger_transactions,
  account_id text NOT NULL REFERENCES accounts,
  currency text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor <> 0)
);
CREATE INDEX ledger_entries_transaction ON ledger_entries (transaction_id);
CREATE INDEX ledger_entries_account ON ledger_entries (account_id);

-- The balance is a projection of the entries and moves with them, under the account's row lock.
CREATE FUNCTION apply_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE accounts SET balance_minor = balance_minor + NEW.amount_minor
    WHERE account_id = NEW.account_id AND currency = NEW.currency;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'account % has another currency', NEW.account_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
-- The bank's own accounts are not touched: their rows would be locked by every payment.
CREATE TRIGGER entry_applied AFTER INSERT ON ledger_entries
  FOR EACH ROW WHEN (NEW.account_id LIKE 'card-%') EXECUTE FUNCTION apply_entry();

CREATE FUNCTION refuse_balance_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'a balance changes by ledger entries alone' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER balance_by_entries BEFORE UPDATE ON accounts
  FOR EACH ROW EXECUTE FUNCTION refuse_balance_change();

-- Double entry: at commit each transaction sums to zero in each currency.
CREATE FUNCTION check_ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM ledger_entries WHERE transaction_id = NEW.transaction_id
    GROUP BY currency HAVING sum(amount_minor) <> 0;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', NEW.transaction_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_balance AFTER INSERT ON ledger_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ledger_balance();

-- The book is written once.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger entries are immutable' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER ledger_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- An answer given stays given; an approval may be reversed, once.
CREATE FUNCTION check_request_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'approved' OR NEW.state <> 'reversed'
    OR to_jsonb(OLD) - 'state' <> to_jsonb(NEW) - 'state' THEN
    RAISE EXCEPTION 'an answered request cannot change' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER request_move BEFORE UPDATE ON requests
  FOR EACH ROW EXECUTE FUNCTION check_request_move();
CREATE TRIGGER requests_kept BEFORE DELETE OR TRUNCATE ON requests
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- SQLSTATE TP001: what the decision was made on has changed; nothing of it was written.
CREATE FUNCTION raise_stale(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'stale: %', what USING ERRCODE = 'TP001';
END $$;

CREATE FUNCTION insert_request(request jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO requests SELECT * FROM jsonb_populate_record(NULL::requests, request)
    ON CONFLICT (trace_key) DO NOTHING;
  RETURN FOUND;
END $$;

-- Everything that one request does, in one statement. @see store.ts#IssuerChange
CREATE FUNCTION commit_change(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  card jsonb := nullif(change -> 'card', 'null');
  ledger jsonb := nullif(change -> 'transaction', 'null');
  used_atc integer := (card ->> 'used_atc')::integer;
BEGIN
  IF NOT insert_request(change -> 'record') THEN
    RETURN 'duplicate';
  END IF;
  IF nullif(change -> 'refused_ahead', 'null') IS NOT NULL
    AND NOT insert_request(change -> 'refused_ahead') THEN
    PERFORM raise_stale('the original has arrived');
  END IF;
  IF card IS NOT NULL THEN
    UPDATE cards SET version = version + 1, pin_failures = (card ->> 'pin_failures')::integer,
        atc_highest = greatest(atc_highest, coalesce(used_atc, 0))
      WHERE card_id = card ->> 'card_id' AND version = (card ->> 'version')::bigint;
    IF NOT FOUND THEN
      PERFORM raise_stale('card');
    END IF;
    IF used_atc IS NOT NULL THEN
      INSERT INTO card_atcs VALUES (card ->> 'card_id', used_atc) ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        PERFORM raise_stale('counter');
      END IF;
    END IF;
  END IF;
  IF change ->> 'reverses' IS NOT NULL THEN
    UPDATE requests SET state = 'reversed'
      WHERE trace_key = change ->> 'reverses' AND state = 'approved';
    IF NOT FOUND THEN
      PERFORM raise_stale('original');
    END IF;
  END IF;
  IF ledger IS NOT NULL THEN
    INSERT INTO ledger_transactions
      SELECT * FROM jsonb_populate_record(NULL::ledger_transactions, ledger);
    INSERT INTO ledger_entries
      SELECT * FROM jsonb_populate_recordset(NULL::ledger_entries, ledger -> 'postings');
  END IF;
  RETURN 'committed';
END $$;

-- Takes a card with its account and opening balance unless it is known.
CREATE FUNCTION import_card(card jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  ledger jsonb := nullif(card -> 'opening', 'null');
BEGIN
  PERFORM 1 FROM cards WHERE pan_lookup = card ->> 'pan_lookup'
    AND pan_sequence_number = card ->> 'pan_sequence_number';
  IF FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO accounts (account_id, currency, balance_minor)
    SELECT account_id, card ->> 'currency', balance_minor
    FROM jsonb_populate_recordset(NULL::accounts, card -> 'accounts')
    ON CONFLICT (account_id) DO NOTHING;
  INSERT INTO cards (card_id, name, pan_lookup, pan_masked, pan_sequence_number, expiry_yymm,
      pvki, pvv, currency, state, pin_failures, account_id)
    SELECT card_id, name, pan_lookup, pan_masked, pan_sequence_number, expiry_yymm,
      pvki, pvv, currency, state, pin_failures, account_id
    FROM jsonb_populate_record(NULL::cards, card);
  IF ledger IS NOT NULL THEN
    INSERT INTO ledger_transactions
      SELECT * FROM jsonb_populate_record(NULL::ledger_transactions, ledger);
    INSERT INTO ledger_entries
      SELECT * FROM jsonb_populate_recordset(NULL::ledger_entries, ledger -> 'postings');
  END IF;
  RETURN true;
END $$;
