-- Exports that were asked for and not fetched yet: each is a link that works once.
--
-- The secret of the link cannot be read here: only its hash is kept. Whoever fetches it takes the row away, and rows that have expired
-- are swept. Who asked is looked at again then, so that the row says what they asked for and nothing of what they may.

-- +goose Up
create table exports (
    hash        bytea primary key,
    created_by  text not null,
    format      text not null check (format in ('CSV', 'NDJSON')),
    org_id      uuid references organizations,
    hashes      boolean not null,
    expires_at  timestamptz not null
);
create index exports_expires_at on exports (expires_at);
