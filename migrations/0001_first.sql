-- The first schema. Times are microseconds since 1970 (UTC), money and snapshots are text, ids are UUIDv7 with a prefix.
-- `seq` is the order of commit; ids are made by the program, before the insert, so that no statement returns anything.

-- Every call of the till, whatever became of it. `body` and `query` are personal data and are pruned first.
CREATE TABLE receipt (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    shop         TEXT NOT NULL,
    received_at  INTEGER NOT NULL,
    method       TEXT NOT NULL,
    content_type TEXT,
    query        TEXT,
    body         BLOB,
    outcome      TEXT NOT NULL CHECK (outcome IN ('stored', 'duplicate', 'quarantined')),
    event_id     TEXT,
    reason       TEXT,
    -- How a quarantined body left quarantine: 'reprocessed' or 'dismissed'.
    resolution   TEXT,
    resolved_at  INTEGER
) STRICT;
-- Only what is quarantined is ever looked for.
CREATE UNIQUE INDEX receipt_by_id ON receipt (id) WHERE outcome = 'quarantined';
CREATE INDEX receipt_quarantine ON receipt (seq) WHERE outcome = 'quarantined' AND resolution IS NULL;

-- An order; the till's two numbers for it may both come late, so it has a key of its own.
CREATE TABLE customer_order (
    seq           INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,
    shop          TEXT NOT NULL,
    test          INTEGER NOT NULL,
    internal_id   TEXT,
    order_id      TEXT,
    state         TEXT NOT NULL,
    -- Both phases as they were last said; the snapshot of now is the data of `last_event`.
    timeline      TEXT NOT NULL,
    last_event    TEXT NOT NULL,
    received_at   INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    -- The row itself is never pruned: a repeat must find it. Once its events and deliveries are, the timeline holds
    -- nothing but which phases were heard of, and this the sinks that were told (a JSON list).
    told          TEXT,
    -- 1: the customer was erased, and no call about the order leaves its body any more; 2: and the file was rewritten.
    erased        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX order_by_internal_id ON customer_order (shop, internal_id, test) WHERE internal_id IS NOT NULL;
CREATE INDEX order_by_order_id ON customer_order (shop, order_id, test) WHERE order_id IS NOT NULL;

-- What each phase of an order has said so far: a call equal to any of these is a duplicate. Never pruned.
CREATE TABLE announcement (
    order_key   TEXT NOT NULL,
    phase       TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    event_id    TEXT NOT NULL,
    PRIMARY KEY (order_key, phase, fingerprint)
) STRICT, WITHOUT ROWID;

-- The same for calls that are about no order: closings for good, openings and unknown types for a minute.
CREATE TABLE notice (
    shop     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    digest   BLOB NOT NULL,
    event_id TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (shop, kind, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    type      TEXT NOT NULL,
    shop      TEXT,
    shop_name TEXT,
    order_key TEXT,
    at        INTEGER NOT NULL,
    test      INTEGER NOT NULL,
    data      TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_order ON event (order_key, seq) WHERE order_key IS NOT NULL;
-- Ids begin with their time, so the index of `id` also finds what happened since a point in time.

-- The outbox. `open` is 1 until the delivery is delivered, skipped or dead; the two partial indexes stay as small as the backlog.
CREATE TABLE delivery (
    seq              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    sink             TEXT NOT NULL,
    event_id         TEXT NOT NULL,
    event_type       TEXT NOT NULL,
    shop             TEXT,
    order_key        TEXT,
    -- At most one delivery of a lane is active, and they go in order of `seq`.
    lane             TEXT NOT NULL,
    purpose          TEXT NOT NULL,
    thread_of        TEXT,
    status           TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'retrying', 'delivered', 'skipped', 'dead')),
    open             INTEGER NOT NULL,
    -- Counts the changes of the row: who read version 3 may only start version 3.
    version          INTEGER NOT NULL DEFAULT 0,
    settle_until     INTEGER NOT NULL,
    invoice_until    INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    retries          INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    first_attempt_at INTEGER,
    payload          TEXT,
    without_invoice  INTEGER NOT NULL DEFAULT 0,
    reference        TEXT,
    last_error       TEXT,
    skipped_because  TEXT,
    delivered_at     INTEGER
) STRICT;
CREATE INDEX delivery_due ON delivery (sink, due_at, seq) WHERE open = 1;
CREATE INDEX delivery_lane ON delivery (lane, seq) WHERE open = 1;
CREATE INDEX delivery_by_order ON delivery (order_key, seq) WHERE order_key IS NOT NULL;
-- What is about an order is found by the order.
CREATE INDEX delivery_by_event ON delivery (event_id) WHERE order_key IS NULL;
CREATE INDEX delivery_other_lane ON delivery (lane, seq) WHERE order_key IS NULL;
CREATE INDEX delivery_dead ON delivery (sink, seq) WHERE status = 'dead';

CREATE TABLE attempt (
    seq         INTEGER PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- 'delivered', 'retry', 'reject', 'pause' or 'interrupted'
    verdict     TEXT NOT NULL,
    reason      TEXT,
    -- What the far side answered, in short and at some length.
    status      TEXT,
    excerpt     TEXT
) STRICT;
CREATE INDEX attempt_by_delivery ON attempt (delivery_id, number);

-- What is known of a sink beyond its configuration.
CREATE TABLE sink_state (
    sink           TEXT PRIMARY KEY,
    first_ran_at   INTEGER NOT NULL,
    paused_at      INTEGER,
    paused_because TEXT,
    -- The series of failures since the last success.
    failures       INTEGER NOT NULL DEFAULT 0,
    failing_since  INTEGER,
    -- When somebody was told of the present outage.
    told_at        INTEGER,
    -- A far side asked everyone to wait until then.
    held_until     INTEGER,
    last_error     TEXT
) STRICT, WITHOUT ROWID;

-- The row is never pruned: what was fetched once is not fetched again. `stored_at` outlives the file.
CREATE TABLE invoice (
    order_key       TEXT PRIMARY KEY,
    shop            TEXT NOT NULL,
    url             TEXT,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'stored', 'missing')),
    first_seen_at   INTEGER NOT NULL,
    -- Deliveries that attach the PDF wait until then at the most.
    wait_until      INTEGER NOT NULL,
    next_attempt_at INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT,
    sha256          TEXT,
    bytes           INTEGER,
    filename        TEXT,
    path            TEXT,
    capability      TEXT UNIQUE,
    stored_at       INTEGER
) STRICT;
CREATE INDEX invoice_due ON invoice (next_attempt_at) WHERE status = 'pending';
CREATE INDEX invoice_by_sha256 ON invoice (sha256) WHERE sha256 IS NOT NULL;

-- Its one row is there from when somebody was told that the disk is nearly full until there is ample space again.
CREATE TABLE space_outage (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    told_at INTEGER NOT NULL
) STRICT;

-- One row that /readyz changes, to know that the disk still takes a write.
CREATE TABLE probe (
    id    INTEGER PRIMARY KEY,
    times INTEGER NOT NULL
) STRICT;
