-- Only ever appended to, and emptied by aggregate_stats: a unique key, or one that points to the channels, would have the
-- bot's transactions wait for each other. So would a vacuum that cuts the file short.
CREATE TABLE IF NOT EXISTS analytics.dirty_channels (channel_id bigint NOT NULL)
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off);

CREATE OR REPLACE TRIGGER dirty_insert AFTER INSERT ON core.publications
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_update AFTER UPDATE ON core.publications
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_delete AFTER DELETE ON core.publications
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_truncate AFTER TRUNCATE ON core.publications
FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_insert AFTER INSERT ON core.clients
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_update AFTER UPDATE ON core.clients
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_delete AFTER DELETE ON core.clients
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

CREATE OR REPLACE TRIGGER dirty_truncate AFTER TRUNCATE ON core.clients
FOR EACH STATEMENT EXECUTE FUNCTION analytics.log_dirty_channels();

-- What changed before anybody logged it.
INSERT INTO analytics.dirty_channels (channel_id) SELECT id FROM core.channels;
