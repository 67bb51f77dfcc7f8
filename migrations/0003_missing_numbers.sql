-- How far the numbers of a shop's orders were looked at, and the sequences that were seen (a JSON list of first and last).
CREATE TABLE number_watch (
    shop      TEXT PRIMARY KEY,
    -- The newest event that was looked at.
    seen      INTEGER NOT NULL,
    sequences TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- An order that is not with us: a number that a sequence left open. The row goes when the order arrives.
CREATE TABLE missing_order (
    shop    TEXT NOT NULL,
    number  TEXT NOT NULL,
    -- What betrayed it: 'numbers', 'reconciliation'.
    source  TEXT NOT NULL,
    -- When it was noticed, and when somebody was told.
    since   INTEGER NOT NULL,
    told_at INTEGER,
    PRIMARY KEY (shop, number)
) STRICT, WITHOUT ROWID;

-- When a shop's till last said something, and whether somebody was told that it has been silent since.
CREATE TABLE till_word (
    shop    TEXT PRIMARY KEY,
    -- The newest event that was looked at.
    seen    INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    told_at INTEGER
) STRICT, WITHOUT ROWID;

-- How far the till's own list of orders was compared with ours.
CREATE TABLE reconciliation (
    shop       TEXT PRIMARY KEY,
    -- Nothing before is looked for: the till was not ours to watch.
    since      INTEGER NOT NULL,
    -- Up to when every order was looked for.
    done_until INTEGER NOT NULL,
    -- As whom the till was asked, and whether its list ever named an order that it had announced: the numbers in it are the
    -- ones that we know orders by.
    till       TEXT NOT NULL,
    recognised INTEGER NOT NULL,
    -- When the last comparison came to its end, and how many orders in it could not be read.
    ended_at   INTEGER,
    unread     INTEGER NOT NULL,
    -- Why the last one did not.
    trouble    TEXT
) STRICT, WITHOUT ROWID;

-- Orders that were found in the till's list and of which nobody was told yet; they go into the next alert.
CREATE TABLE found_order (
    shop   TEXT NOT NULL,
    number TEXT NOT NULL,
    -- 1: nothing of the order was with us; 0: one of its two announcements was.
    whole  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (shop, number)
) STRICT, WITHOUT ROWID;

-- What happened to a shop after a point in the order of commits.
CREATE INDEX event_by_shop ON event (shop, seq) WHERE shop IS NOT NULL;
