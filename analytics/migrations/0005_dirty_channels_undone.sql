DROP TRIGGER IF EXISTS dirty_insert ON core.publications;
DROP TRIGGER IF EXISTS dirty_update ON core.publications;
DROP TRIGGER IF EXISTS dirty_delete ON core.publications;
DROP TRIGGER IF EXISTS dirty_truncate ON core.publications;
DROP TRIGGER IF EXISTS dirty_insert ON core.clients;
DROP TRIGGER IF EXISTS dirty_update ON core.clients;
DROP TRIGGER IF EXISTS dirty_delete ON core.clients;
DROP TRIGGER IF EXISTS dirty_truncate ON core.clients;
DROP TABLE IF EXISTS analytics.dirty_channels;
