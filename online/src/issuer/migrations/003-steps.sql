-- The durable steps: each is one statement of the program. @see store.ts, admin.ts

-- SQLSTATE TP001: what the decision was made on has changed; nothing of it was written.
CREATE FUNCTION raise_stale(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'stale: %', what USING ERRCODE = 'TP001';
END $$;

-- Of many changes at once; `changes` are the bodies that commit_changes takes.
CREATE FUNCTION change_cards(changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  stale_cards bigint;
  stale_counters bigint;
BEGIN
  WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(jsonb_path_query_array(changes, '$[*].card')) AS card(
      card_id text, version bigint, pin_failures integer, used_atc integer, atc_use text)
  ), moved AS (
    UPDATE cards SET version = cards.version + 1, pin_failures = given.pin_failures,
        atc_highest = greatest(atc_highest, coalesce(used_atc, 0))
      FROM given WHERE cards.card_id = given.card_id AND cards.version = given.version
      RETURNING 1
  ), used AS (
    INSERT INTO card_atcs SELECT card_id, used_atc, atc_use FROM given WHERE used_atc IS NOT NULL
      ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT (SELECT count(*) FROM given) - (SELECT count(*) FROM moved),
    (SELECT count(used_atc) FROM given) - (SELECT count(*) FROM used)
    INTO stale_cards, stale_counters;
  IF stale_cards > 0 THEN
    PERFORM raise_stale('card');
  ELSIF stale_counters > 0 THEN
    PERFORM raise_stale('counter');
  END IF;
END $$;

-- Counts payments, and takes out those that are undone.
CREATE FUNCTION use_days(changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  usage jsonb := jsonb_path_query_array(changes, '$[*].usage');
BEGIN
  INSERT INTO card_days AS known
    SELECT * FROM jsonb_populate_recordset(NULL::card_days, usage) AS used WHERE used.count > 0
    ON CONFLICT (card_id, day) DO UPDATE SET
      amount_minor = known.amount_minor + excluded.amount_minor,
      count = known.count + excluded.count,
      no_pin_minor = known.no_pin_minor + excluded.no_pin_minor;
  IF usage @? '$[*] ? (@.count <= 0)' THEN
    UPDATE card_days AS known SET amount_minor = known.amount_minor + used.amount_minor,
        count = known.count + used.count, no_pin_minor = known.no_pin_minor + used.no_pin_minor
      FROM jsonb_populate_recordset(NULL::card_days, usage) AS used
      WHERE used.count <= 0 AND known.card_id = used.card_id AND known.day = used.day;
  END IF;
END $$;

CREATE FUNCTION mark_requests(marks jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mark jsonb;
BEGIN
  FOR mark IN SELECT * FROM jsonb_array_elements(marks) LOOP
    UPDATE requests SET state = mark ->> 'to', returned_minor = (mark ->> 'returned_minor')::bigint
      WHERE trace_key = mark ->> 'trace_key' AND state = mark ->> 'from'
        AND returned_minor = (mark ->> 'returned_before_minor')::bigint;
    IF NOT FOUND THEN
      PERFORM raise_stale('original');
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION change_hold(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  hold holds := jsonb_populate_record(NULL::holds, change -> 'hold');
BEGIN
  IF change ->> 'from' IS NULL THEN
    INSERT INTO holds SELECT hold.*;
    RETURN;
  END IF;
  UPDATE holds SET held_minor = hold.held_minor, posted_minor = hold.posted_minor,
      state = hold.state
    WHERE hold_id = hold.hold_id AND state = change ->> 'from';
  IF NOT FOUND THEN
    PERFORM raise_stale('hold');
  END IF;
END $$;

CREATE FUNCTION insert_transactions(ledgers jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger_transactions
    SELECT * FROM jsonb_populate_recordset(NULL::ledger_transactions, ledgers);
  INSERT INTO ledger_entries SELECT * FROM jsonb_populate_recordset(NULL::ledger_entries,
    jsonb_path_query_array(ledgers, '$[*].postings[*]'));
END $$;

-- A hold gives money free before the entries take it, and takes it after they brought it.
CREATE FUNCTION frees_money(change jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce((change #>> '{hold,hold,held_minor}')::bigint = 0, false)
$$;

-- Parts of a change that payments do not have: those before its entries, and those after them.
CREATE FUNCTION commit_rare_before(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF change ? 'refused_ahead' THEN
    INSERT INTO requests
      SELECT * FROM jsonb_populate_record(NULL::requests, change -> 'refused_ahead')
      ON CONFLICT (trace_key) DO NOTHING;
    IF NOT FOUND THEN
      PERFORM raise_stale('the original has arrived');
    END IF;
  END IF;
  IF change ? 'marks' THEN
    PERFORM mark_requests(change -> 'marks');
  END IF;
  IF frees_money(change) THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
END $$;

CREATE FUNCTION commit_rare_after(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF change ? 'hold' AND NOT frees_money(change) THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
  IF change ? 'work_items' THEN
    INSERT INTO work_items
      SELECT * FROM jsonb_populate_recordset(NULL::work_items, change -> 'work_items');
  END IF;
  IF change ? 'scripts' THEN
    PERFORM change_script(one) FROM jsonb_array_elements(change -> 'scripts') AS one;
  END IF;
  IF change ? 'settings' THEN
    PERFORM set_card(change -> 'settings');
  END IF;
END $$;

-- Everything that each of many requests does, in one statement, or nothing of any; parts that are
-- not needed are absent. Each is `committed`, or was answered before: a `duplicate`. The steps of a
-- payment are one statement for all of them.
CREATE FUNCTION commit_changes(changes jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  count integer := jsonb_array_length(changes);
  fresh text[];
  places bigint[];
  has_rare boolean;
BEGIN
  WITH written AS (
    INSERT INTO requests SELECT * FROM jsonb_populate_recordset(NULL::requests,
        jsonb_path_query_array(changes, '$[*].record'))
      ON CONFLICT (trace_key) DO NOTHING RETURNING trace_key
  ) SELECT array_agg(trace_key) INTO fresh FROM written;
  IF cardinality(fresh) = count THEN
    places := ARRAY(SELECT generate_series(1, count));
  ELSE
    -- Of two with one key the first was written.
    SELECT array_agg(first.place), coalesce(jsonb_agg(first.change), '[]') INTO places, changes
      FROM (SELECT DISTINCT ON (trace_key) given.place, given.change
        FROM jsonb_array_elements(changes) WITH ORDINALITY AS given(change, place),
          LATERAL (SELECT given.change #>> '{record,trace_key}') AS keys(trace_key)
        WHERE trace_key = ANY (fresh) ORDER BY trace_key, given.place) AS first;
  END IF;
  has_rare := changes @? '$[*] ? (exists(@.refused_ahead) || exists(@.marks) || exists(@.hold)
    || exists(@.work_items) || exists(@.scripts) || exists(@.settings))';
  IF has_rare THEN
    PERFORM commit_rare_before(one) FROM jsonb_array_elements(changes) AS one;
  END IF;
  PERFORM change_cards(changes);
  PERFORM use_days(changes);
  PERFORM insert_transactions(jsonb_path_query_array(changes, '$[*].transaction'));
  IF has_rare THEN
    PERFORM commit_rare_after(one) FROM jsonb_array_elements(changes) AS one;
  END IF;
  RETURN ARRAY(SELECT CASE WHEN place = ANY (places) THEN 'committed' ELSE 'duplicate' END
    FROM generate_series(1, count) AS place ORDER BY place);
END $$;

-- Takes a card with its accounts and opening balances unless it is known.
CREATE FUNCTION import_card(card jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM cards WHERE pan_lookup = card ->> 'pan_lookup'
    AND pan_sequence_number = card ->> 'pan_sequence_number';
  IF FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO accounts (account_id, currency, kind, balance_minor, credit_line_minor)
    SELECT account_id, card ->> 'currency', kind, balance_minor, credit_line_minor
    FROM jsonb_populate_recordset(NULL::accounts, card -> 'accounts')
    ON CONFLICT (account_id) DO NOTHING;
  INSERT INTO cards
    SELECT * FROM jsonb_populate_record(NULL::cards, card || '{"atc_highest": 0, "version": 0}');
  IF card ? 'opening' THEN
    PERFORM insert_transactions(jsonb_build_array(card -> 'opening'));
  END IF;
  RETURN true;
END $$;

-- One act of an operator and its line in the audit; false when there is no such thing.
CREATE FUNCTION admin_change(change jsonb, act jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  action text := change ->> 'action';
  subject text := act ->> 'subject';
  at_ms bigint := (act ->> 'at_ms')::bigint;
  before text;
  after text := '';
  old cards;
  new cards;
BEGIN
  IF action = 'hotListed' THEN
    SELECT hot_list.reason INTO before FROM hot_list WHERE pan_lookup = subject FOR UPDATE;
    before := coalesce(before, '');
    after := change ->> 'reason';
    INSERT INTO hot_list VALUES (subject, change ->> 'pan_masked', after, at_ms)
      ON CONFLICT (pan_lookup) DO UPDATE SET reason = excluded.reason;
  ELSIF action = 'hotDelisted' THEN
    DELETE FROM hot_list WHERE pan_lookup = subject RETURNING hot_list.reason INTO before;
  ELSIF action = 'workItemClosed' THEN
    UPDATE work_items SET closed_at_ms = at_ms WHERE item_id = subject AND closed_at_ms IS NULL
      RETURNING 'open' INTO before;
    after := 'closed';
  ELSIF action = 'scriptQueued' THEN
    SELECT '' INTO before FROM cards WHERE card_id = subject;
    IF FOUND THEN
      PERFORM change_script(change);
      after := concat_ws(' ', change #>> '{script,script_id}', change #>> '{script,kind}',
        change #>> '{script,target}');
    END IF;
  ELSIF action = 'scriptClosed' THEN
    UPDATE card_scripts SET state = 'closed', changed_at_ms = at_ms, evidence = 'operator'
      WHERE script_id = subject AND state = 'queued' RETURNING 'queued' INTO before;
    after := 'closed';
  ELSIF action = 'loadResolved' THEN
    SELECT state INTO before FROM card_scripts WHERE script_id = subject AND kind = 'load'
      AND state IN ('delivered', 'reversed') FOR UPDATE;
    after := CASE WHEN change ->> 'verdict' = 'has' THEN 'done'
      WHEN before = 'reversed' THEN 'closed' ELSE 'delivered' END;
    UPDATE card_scripts SET state = after, evidence = 'operator', changed_at_ms = at_ms
      WHERE script_id = subject AND before IS NOT NULL;
    after := after || ' ' || (change ->> 'verdict');
  ELSIF action = 'loadPayerBound' THEN
    INSERT INTO card_load_payers VALUES (subject, change ->> 'payer_card_id')
      ON CONFLICT DO NOTHING RETURNING '' INTO before;
    after := change ->> 'payer_card_id';
  ELSE
    SELECT * INTO old FROM cards WHERE card_id = subject FOR UPDATE;
    IF FOUND THEN
      -- What is absent stays as it is; a decision that is under way is made anew.
      new := jsonb_populate_record(old, change -> 'set');
      new.version := old.version + 1;
      UPDATE cards SET (state, pin_failures, single_amount_minor, day_amount_minor, day_count,
          no_pin_minor, no_pin_day_minor, version) = (new.state, new.pin_failures,
          new.single_amount_minor, new.day_amount_minor, new.day_count, new.no_pin_minor,
          new.no_pin_day_minor, new.version)
        WHERE card_id = subject;
      SELECT string_agg(coalesce(to_jsonb(old) ->> key, '-'), ' '),
          string_agg(coalesce(to_jsonb(new) ->> key, '-'), ' ')
        INTO before, after FROM jsonb_object_keys(change -> 'set') AS key;
    END IF;
  END IF;
  IF before IS NULL THEN
    RETURN false;
  END IF;
  INSERT INTO admin_audit VALUES (act ->> 'audit_id', at_ms, act ->> 'actor', act ->> 'note',
    action, subject, before, after);
  RETURN true;
END $$;
