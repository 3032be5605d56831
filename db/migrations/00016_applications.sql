-- Applications, which sign people in through Roster (OpenID Connect), and what they get: codes and families of refresh tokens.
--
-- A family is a session: it belongs to a person, ends like one, and its tokens are worth as much as it is. Nothing that lets anybody in
-- can be read here: codes and secrets are hashed, and refresh tokens are derived from the secret key of the servers.

-- +goose Up
create table applications (
    id                     uuid primary key,
    name                   text not null,
    kind                   text not null check (kind in ('WEB', 'SPA', 'NATIVE', 'MACHINE')),
    redirect_urls          text[] not null,
    logout_urls            text[] not null,
    audiences              text[] not null,
    -- of kinds that keep a secret; the one before works for another day
    secret_hash            bytea,
    former_secret_hash     bytea,
    former_secret_ends_at  timestamptz,
    created_at             timestamptz not null,
    deleted_at             timestamptz
);

-- What a MACHINE may do, and what answers for it, is the API key of the same id, which has no secret of its own.
alter table api_keys add column is_application boolean not null default false;

alter table sessions
    -- of a family: which application it is for, and the session of the browser that it began in
    add column application_id  uuid references applications,
    add column parent_id       uuid,
    add column scopes          text[] not null default '{}',
    add column audience        text,
    -- the number of the refresh token that is the present one; 0 without any
    add column generation      integer not null default 0,
    add column rotated_at      timestamptz;
create index sessions_application on sessions (application_id) where application_id is not null;

create table authorization_codes (
    user_id         uuid not null references users,
    id              uuid not null,
    hash            bytea not null,
    application_id  uuid not null references applications,
    session_id      uuid not null,
    org_id          uuid not null references organizations,
    redirect_url    text not null,
    challenge       text not null,
    nonce           text,
    scopes          text[] not null,
    audience        text not null,
    device          text,
    address         text,
    expires_at      timestamptz not null,
    -- the session that was begun with it: shown again, the code ends that
    family_id       uuid,
    primary key (user_id, id)
);
create index authorization_codes_expires_at on authorization_codes (expires_at);
