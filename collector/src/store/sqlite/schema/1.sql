-- One row a finding. `body` is the encoded unready.v1.Verdict; the columns beside it are what queries select and sort by.
-- Times are nanoseconds since 1970-01-01 UTC.
CREATE TABLE verdicts (
    id           TEXT    NOT NULL PRIMARY KEY,
    revision     INTEGER NOT NULL, -- of the commit's change that wrote this row; what watchers ask by
    namespace    TEXT    NOT NULL,
    pod          TEXT    NOT NULL,
    container    TEXT    NOT NULL,
    container_id TEXT    NOT NULL,
    node         TEXT    NOT NULL,
    cause        TEXT    NOT NULL,
    last_seen    INTEGER NOT NULL,
    resolved_at  INTEGER,          -- NULL while the condition lasts
    body         BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX verdicts_by_revision ON verdicts (revision);
CREATE INDEX verdicts_by_pod ON verdicts (namespace, pod);
CREATE INDEX verdicts_by_last_seen ON verdicts (last_seen);
CREATE INDEX verdicts_resolved ON verdicts (resolved_at) WHERE resolved_at IS NOT NULL; -- retention takes these first
