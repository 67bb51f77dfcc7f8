-- Since when the till's list could not be compared with ours, and when somebody was told; NULL while it can.
ALTER TABLE reconciliation ADD COLUMN troubled_since INTEGER;
ALTER TABLE reconciliation ADD COLUMN told_at INTEGER;
