-- Mail that waits to be sent: a row is made in the transaction of what it tells, and deleted when the mail is sent or given up.
-- Nothing that it says can be read here: address, text and code are sealed with ROSTER_SECRET_KEY.

-- +goose Up
create table outbox (
    -- the local part of the mail's Message-ID
    id          text collate "C" primary key,
    sealed      bytea not null,
    -- how often a server has begun to send it
    tries       integer not null default 0,
    -- while a server sends it, when another one may
    due_at      timestamptz not null,
    -- when it is given up
    expires_at  timestamptz not null
);
create index outbox_due_at on outbox (due_at);
