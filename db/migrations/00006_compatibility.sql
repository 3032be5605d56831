-- Which program can work with this schema: one that knows the migration least_version. Programs pass over columns and tables that
-- they don't know, so adding some leaves it as it is. A migration that older programs could not live with (it renames, removes or
-- gives a column another meaning or a stricter rule) raises it to its own number: they refuse to start then.

-- +goose Up
create table schema_compatibility (
    id             boolean primary key default true check (id),
    least_version  bigint not null
);
insert into schema_compatibility (least_version) values (6);
