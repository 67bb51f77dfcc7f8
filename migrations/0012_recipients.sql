-- A mail goes to every address that the server takes; one that it refuses is asked again, or given up, alone. So what became
-- of each has to outlive the attempt: who has the mail must not get it again, and a person wants to see who has not.
-- JSON: [{"address", "called", "status": "taken" | "refused" | "given_up", "at", "error"}]; NULL where all fared alike.
-- A column and not a table: it is read, changed, pruned and erased with its delivery, and few have it.
ALTER TABLE delivery ADD COLUMN recipients TEXT;
-- How many addresses were given up, for those deliveries that somebody may want to send again to these alone.
ALTER TABLE delivery ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_given_up ON delivery (sink, seq) WHERE given_up > 0;

-- The addresses of a sink whose mails are refused, so that it is told once and not with each mail. A row goes when the address
-- takes a mail.
CREATE TABLE refused_recipient (
    sink     TEXT NOT NULL,
    address  TEXT NOT NULL,
    -- The series of refusals since the last mail that was taken.
    failures INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    told_at  INTEGER,
    PRIMARY KEY (sink, address)
) STRICT, WITHOUT ROWID;
