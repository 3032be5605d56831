-- The trigger that checks that users belong to an organization looks their memberships up by the index of users, in its order. In a new
-- database, PostgreSQL keeps the plan that it made for an empty table: for "exists" that was to read all memberships, for each user that an
-- import puts in.

-- +goose Up
-- +goose StatementBegin
create or replace function check_user_has_organization() returns trigger language plpgsql as $$
declare
    who uuid;
begin
    if tg_table_name = 'users' then
        who := new.id;
    else
        who := old.user_id;
    end if;
    perform 1 from users where id = who and deleted_at is null for no key update;
    if found then
        perform 1 from memberships where user_id = who and org_id <> '00000000-0000-7000-8000-000000000000' order by joined_at, id limit 1;
        if not found then
            raise exception 'user without organization' using errcode = 'check_violation', constraint = 'users_have_organization';
        end if;
    end if;
    return null;
end $$;
-- +goose StatementEnd
