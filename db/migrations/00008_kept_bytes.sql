-- Answers that are kept for retries are counted by the credential that they were given to: owner is derived from it, as name is,
-- and size is what the answer takes, in bytes. An answer whose text is gone (sealed is null) named a user who was deleted.

-- +goose Up
alter table kept_answers add column owner bytea, add column size integer not null default 0;
create index kept_answers_owner on kept_answers (owner, at) include (size) where owner is not null;
