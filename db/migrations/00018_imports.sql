-- Imports: files of users on their way in. A file lies in the database in chunks, so that any server goes on with it; when it is read,
-- each of its rows has a report (import_rows) and, until it is carried out, what it describes (import_people). Rows are carried out in
-- their order: those up to imports.rows_done are in effect. What they have done stands in the log of changes, by import_id.
--
-- An older server writes no import_id and would leave the addresses of deleted users in the reports, so it must not start any more.

-- +goose Up
create table uploads (
    id          uuid primary key,
    size        bigint not null default 0,
    created_at  timestamptz not null
);

create table upload_chunks (
    upload_id  uuid not null,
    number     integer not null,
    data       bytea not null,
    primary key (upload_id, number)
);
alter table upload_chunks alter column data set storage external;

create table imports (
    id             uuid primary key,
    upload_id      uuid, -- null once the file is read
    file_name      text not null,
    format         text not null,
    encoding       text not null default '',
    status         text not null,
    on_conflict    text not null,
    on_unknown     text not null,
    org_id         uuid not null references organizations,
    columns        jsonb not null default '{}',
    firebase       bytea, -- sealed
    rows_total     bigint not null default 0,
    rows_done      bigint not null default 0,
    creates        bigint not null default 0,
    updates        bigint not null default 0,
    skips          bigint not null default 0,
    failures       bigint not null default 0,
    error          text,
    error_code     text,
    created_by     text not null,
    created_at     timestamptz not null,
    finished_at    timestamptz,
    -- on whose authority it goes on, and where they act
    actor          text not null,
    actor_org_id   uuid,
    withdrawn      boolean not null default false,
    -- the server that works on it, and until when others leave it alone
    worker         uuid,
    claimed_until  timestamptz not null default 'epoch'
);
create index imports_created_at on imports (created_at, id);
create index imports_unfinished on imports (claimed_until) where status in ('PLANNING', 'APPLYING', 'UNDOING');

create table import_rows (
    import_id  uuid not null,
    number     bigint not null,
    line       bigint not null,
    outcome    text collate "C" not null,
    user_id    uuid,
    email      text,
    errors     jsonb,
    warnings   jsonb,
    primary key (import_id, number)
);
create index import_rows_outcome on import_rows (import_id, outcome, number);
create index import_rows_user on import_rows (user_id) where user_id is not null;

create table import_people (
    import_id  uuid not null,
    number     bigint not null,
    person     text not null,
    primary key (import_id, number)
);

-- Who a file has named so far, by a hash of each name, so that several rows of one person find each other.
create table import_names (
    import_id  uuid not null,
    name       uuid not null,
    user_id    uuid not null,
    primary key (import_id, name)
);

alter table changes add column import_id uuid;

-- Somebody who has nothing but a phone number is found by that.
create index users_phone on users (phone) where phone is not null and email is null and username is null and external_id is null;

update schema_compatibility set least_version = 18;
