-- The manager's books. A row is a document that is read by its key and changed as a whole; id, parent,
-- state and version are columns of their own, and the same in the body. Times are milliseconds
-- since 1970.

-- A secure element; id is its serial, parent its owner.
CREATE TABLE elements (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('manufactured', 'issued', 'active', 'suspended', 'retired')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX elements_parent ON elements (parent, id);

-- A service provider.
CREATE TABLE providers (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('active', 'closed')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX providers_parent ON providers (parent, id);

-- A cardholder.
CREATE TABLE users (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('active')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX users_parent ON users (parent, id);

-- An application; parent is its provider.
CREATE TABLE applications (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('active', 'withdrawn')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX applications_parent ON applications (parent, id);

-- A version of an application, its parent.
CREATE TABLE versions (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('rejected', 'uploaded', 'checked', 'reviewed', 'released', 'revoked')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX versions_parent ON versions (parent, id);

-- What is wanted of an application on an element, its parent.
CREATE TABLE placements (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('operable', 'locked', 'absent')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX placements_parent ON placements (parent, id);

-- A job on an element, its parent.
CREATE TABLE jobs (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('waiting', 'running', 'done', 'failed', 'cancelled')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX jobs_parent ON jobs (parent, id);

-- A master of key sets: a key block, never a key.
CREATE TABLE masters (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('factory', 'inUse')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX masters_parent ON masters (parent, id);

-- A script for an element that is away, its parent.
CREATE TABLE scripts (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('open', 'done', 'failed')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX scripts_parent ON scripts (parent, id);

-- An API key; id is the SHA-256 of its text.
CREATE TABLE api_keys (
  id text PRIMARY KEY,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('active', 'revoked')),
  version integer NOT NULL CHECK (version > 0),
  body jsonb NOT NULL CHECK (body ->> 'id' = id AND body ->> 'state' = state)
);
CREATE INDEX api_keys_parent ON api_keys (parent, id);

-- Open jobs are looked for at each contact.
CREATE INDEX jobs_open ON jobs (parent, id) WHERE state IN ('waiting', 'running');

-- Load files exactly as they were uploaded, under their SHA-256 in hex.
CREATE TABLE packages (
  hash text PRIMARY KEY CHECK (hash ~ '^[0-9A-F]{64}$'),
  bytes bytea NOT NULL CHECK (hash = upper(encode(sha256(bytes), 'hex')))
);

-- Who did what: only ever added to.
CREATE TABLE audit_log (
  seq bigint PRIMARY KEY,
  at_ms bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  facts text NOT NULL,
  previous_hash text NOT NULL,
  hash text NOT NULL UNIQUE
);
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only added to';
END $$;
CREATE TRIGGER audit_log_is_fixed BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
