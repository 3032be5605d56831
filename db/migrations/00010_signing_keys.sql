-- The keys that sign tokens. The private key is sealed by the secret key of the servers, which is not in the database. Of each
-- algorithm, the key that signs is the one whose signs_from is the latest that has come; keys before it only verify, until the last
-- token that they signed has expired and they are deleted, and the one after it is published long before it signs.

-- +goose Up
create table signing_keys (
    kid          text collate "C" primary key,
    algorithm    text not null,
    private_key  bytea not null,
    created_at   timestamptz not null,
    signs_from   timestamptz not null
);
