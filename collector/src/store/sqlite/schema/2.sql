-- What verdicts are counted by. Rows written before keep '' until they are told again.
ALTER TABLE verdicts ADD COLUMN severity TEXT NOT NULL DEFAULT '';
ALTER TABLE verdicts ADD COLUMN owner_kind TEXT NOT NULL DEFAULT ''; -- "Deployment" of "Deployment/orders"

CREATE INDEX verdicts_open ON verdicts (namespace, cause, severity, owner_kind) WHERE resolved_at IS NULL;
