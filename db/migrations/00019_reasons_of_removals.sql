-- The log says why somebody was taken out of an organization. When a user is deleted, these words go: the index leads to them, and has only
-- removals for which somebody has given a reason. A program that does not know of them would leave them there, so it must not start any more.

-- +goose Up
create index changes_removal_reasons on changes ((before ->> 'userId')) where action = 'membership.deleted' and after is not null;

update schema_compatibility set least_version = 19;
