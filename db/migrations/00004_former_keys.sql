-- A permission that was given a new key may go on answering by the old one, until a moment. That key is reserved until then, and gone
-- at that second without anybody sweeping: the view compares, and a row that is over is overwritten when its key is kept again.

-- +goose Up
create table former_keys (
    key            text collate "C" primary key,
    permission_id  uuid not null references permissions,
    until          timestamptz not null
);
create index former_keys_permission on former_keys (permission_id);

-- Every key by which a permission is found now, the former ones among them. The time is that of the statement (access.InTerm).
create view permission_keys as
    select id, key, deleted_at from permissions
    union all select permission_id, key, null from former_keys where until > statement_timestamp();
