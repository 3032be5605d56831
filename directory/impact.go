package directory

import (
	"context"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/impact"
	"roster/problem"
)

// Impact is what one write gave and took, for actors who may see it. Read it within
// the write's transaction and before the next write, or as long as nobody changes
// what the write concerned.
type Impact struct {
	d          *Directory
	comparison *impact.Comparison
}

// Impact returns the impact of the last write in the transaction of ctx.
func (d *Directory) Impact(ctx context.Context) *Impact {
	written := changes.WrittenIn(ctx)
	return &Impact{d, impact.New(d.db, d.engine, written.At, written.Last)}
}

// Gained is impact.Comparison.Gained for actors who may see members: otherwise a dry
// run would show what members hold to everybody who may define roles.
func (i *Impact) Gained(ctx context.Context, page list.Page) (*list.Connection[impact.PermissionChange], error) {
	if _, err := access.ScopeOf(ctx, access.MembersRead); err != nil {
		return nil, err
	}
	return i.comparison.Gained(ctx, page)
}

// Lost is impact.Comparison.Lost for actors who may see members.
func (i *Impact) Lost(ctx context.Context, page list.Page) (*list.Connection[impact.PermissionChange], error) {
	if _, err := access.ScopeOf(ctx, access.MembersRead); err != nil {
		return nil, err
	}
	return i.comparison.Lost(ctx, page)
}

// Keys returns, by time of creation, the API keys that the actor manages and that
// no longer work since the write, or work again. Their permissions do not matter. An
// actor who manages no keys gets an empty list.
func (i *Impact) Keys(ctx context.Context) ([]*db.APIKey, error) {
	visible, err := visibleKeys(ctx)
	if problem.Is(err, problem.Forbidden) {
		return []*db.APIKey{}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := i.comparison.Concern(ctx)
	if err != nil {
		return nil, err
	}
	if len(c.Keys)+len(c.Users)+len(c.Organizations)+len(c.Suspended)+len(c.FormerlySuspended) == 0 {
		return []*db.APIKey{}, nil
	}
	nowUsers, nowOrgs := access.SplitKeys(c.Suspended)
	formerUsers, formerOrgs := access.SplitKeys(c.FormerlySuspended)
	q := list.NewStatement("impact.keys", c.At, c.Keys, c.Users, c.Organizations, c.Adopted, c.FormerResponsible, nowOrgs, nowUsers, formerOrgs, formerUsers, c.FormerResponsibleUser)
	q.Add(changedKeys + " select k.* from api_keys k").Where(append(visible, list.Where("k.id in (select id from changed)"))...).Add(" order by k.created_at, k.id")
	return pointers(list.Select[db.APIKey](ctx, i.d.db, q))
}

// changedKeys selects the keys that work either before or after a write: it was made
// at $1, and changed the keys $2, and the status of the users $3 and organizations $4.
// Before it, $6 or the user $11 answered for the key $5. It suspended the members $7 and $8; those of $9
// and $10 were suspended before. What descends from a key is concerned with it.
var changedKeys = `
with recursive concerned as (select id from api_keys where id = any($2::uuid[]) or user_id = any($3::uuid[]) or responsible_user_id = any($3::uuid[]) or org_id = any($4::uuid[])
			or (coalesce(org_id, ` + db.RootSQL + `), user_id) in (select * from unnest($7::uuid[], $8::uuid[]) union all select * from unnest($9::uuid[], $10::uuid[]))
		union select k.id from concerned c join api_keys k on k.responsible_id = c.id),
	after as (select k.id from ` + credential.Working("api_keys", "organizations", "users", credential.SuspendedMembers) + ` and k.id in (select id from concerned)),
	before as (select k.id from ` + credential.Working(`(select id, org_id, user_id, expires_at, nullif(revoked_at, $1) as revoked_at,
		case when id = $5::uuid then $6::uuid else responsible_id end as responsible_id,
		case when id = $5::uuid then $11::uuid else responsible_user_id end as responsible_user_id from api_keys)`,
	statusBefore("organizations", "$4"), statusBefore("users", "$3"), `(select org_id, user_id from memberships where status = 'SUSPENDED' and (org_id, user_id) not in (select * from unnest($7::uuid[], $8::uuid[]))
		union all select * from unnest($9::uuid[], $10::uuid[]) as f (org_id, user_id))`) + ` and k.id in (select id from concerned)),
	changed as ((select id from after except select id from before) union all (select id from before except select id from after))`

// statusBefore returns SQL for the table as it was before the write: the changed rows
// had the other status, and rows that the write deleted still existed.
func statusBefore(table, changed string) string {
	return "(select id, case when (status = 'ACTIVE') <> (id = any(" + changed + "::uuid[])) then 'ACTIVE' else 'SUSPENDED' end as status, nullif(deleted_at, $1) as deleted_at from " + table + ")"
}
