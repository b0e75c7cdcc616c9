-- One row a start of a container. `body` is the encoded unready.v1.StartReport, the last that was told of it.
-- Times are nanoseconds since 1970-01-01 UTC.
CREATE TABLE starts (
    id           TEXT    NOT NULL PRIMARY KEY,
    namespace    TEXT    NOT NULL,
    pod          TEXT    NOT NULL,
    container    TEXT    NOT NULL,
    container_id TEXT    NOT NULL,
    node         TEXT    NOT NULL,
    told         INTEGER NOT NULL, -- by the node's clock: what lists are sorted by
    heard        INTEGER NOT NULL, -- by the collector's clock: what retention goes by, whatever a node's clock shows
    body         BLOB    NOT NULL
) STRICT;

CREATE INDEX starts_by_pod ON starts (namespace, pod);
CREATE INDEX starts_by_told ON starts (told);
CREATE INDEX starts_by_heard ON starts (heard);
