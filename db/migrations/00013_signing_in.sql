-- Sessions, passwords, flows (sign-ins under way), attempts, and the log of sign-ins.
--
-- What belongs to a person begins with the id of the person. Nothing that lets anybody in can be read here: sessions, tickets and codes
-- are hashed, passwords by a slow hash.

-- +goose Up
alter table users add column last_org_id uuid references organizations;
alter table api_keys add column responsible_user_id uuid references users;
create index api_keys_responsible_user on api_keys (responsible_user_id) where responsible_user_id is not null;

create table sessions (
    user_id       uuid not null references users,
    id            uuid not null,
    hash          bytea not null,
    org_id        uuid references organizations,
    methods       text[] not null,
    device        text,
    address       text,
    created_at    timestamptz not null,
    last_used_at  timestamptz not null,
    expires_at    timestamptz not null,
    primary key (user_id, id)
);
create index sessions_expires_at on sessions (expires_at);

create table passwords (
    user_id     uuid primary key references users,
    hash        text not null,
    -- set by an administrator, and to be changed at the next sign-in
    temporary   boolean not null,
    changed_at  timestamptz not null
);

-- A flow is what somebody has shown so far of what a purpose needs. The ticket names it, and a step is taken once. Flows of unknown
-- accounts have no user, and are never completed.
create table flows (
    id          uuid primary key,
    hash        bytea not null,
    purpose     text not null check (purpose in ('SIGN_IN', 'SIGN_UP', 'RESET_PASSWORD', 'CHANGE_EMAIL')),
    next        text not null check (next in ('EMAIL_CODE', 'PASSWORD', 'NEW_PASSWORD', 'ORGANIZATION')),
    user_id     uuid references users,
    account     text not null, -- what was typed, folded
    email       text,
    code_hash   bytea,
    tries       integer not null default 0,
    methods     text[] not null default '{}',
    wish        jsonb not null default '{}',
    created_at  timestamptz not null,
    expires_at  timestamptz not null
);
create index flows_user on flows (user_id) where user_id is not null;
create index flows_expires_at on flows (expires_at);

-- How often something that is limited was tried of late, by a hash of whom and what.
create table attempts (
    name     bytea primary key,
    number   double precision not null,
    at       timestamptz not null,
    free_at  timestamptz not null
);
create index attempts_at on attempts (at);

create table sign_ins (
    id         uuid primary key,
    at         timestamptz not null,
    user_id    uuid references users,
    method     text not null,
    succeeded  boolean not null,
    reason     text,
    address    text,
    device     text,
    org_id     uuid references organizations
);
create index sign_ins_user on sign_ins (user_id, at, id);
create index sign_ins_at on sign_ins (at, id);
