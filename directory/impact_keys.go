package directory

import (
	"context"

	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// Keys returns, by time of creation, the API keys that the actor manages and that
// the write made useless, or of use again; what they may do does not matter. An
// actor who manages no keys gets none.
func (i *Impact) Keys(ctx context.Context) ([]*db.APIKey, error) {
	visible, err := visibleKeys(ctx)
	if problem.Is(err, problem.Forbidden) {
		return []*db.APIKey{}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := i.compare(ctx)
	if err != nil || len(c.keys)+len(c.users)+len(c.organizations) == 0 {
		return []*db.APIKey{}, err
	}
	q := list.NewStatement("impact.keys", c.at, c.keys, c.users, c.organizations)
	q.Add(changedKeys + " select k.* from api_keys k").Where(append(visible, list.Where("k.id in (select id from changed)"))...).Add(" order by k.created_at, k.id")
	return pointers(list.Select[db.APIKey](ctx, c.d.db, q))
}

// changedKeys are the keys that work either before or after a write: made at $1, it
// changed the keys $2, and the status of the users $3 and organizations $4.
var changedKeys = `
with concerned as (select * from api_keys where id = any($2::uuid[]) or user_id = any($3::uuid[]) or org_id = any($4::uuid[])),
	after as (select k.id from ` + credential.Working("concerned", "organizations", "users") + `),
	before as (select k.id from ` + credential.Working("(select id, org_id, user_id, expires_at, nullif(revoked_at, $1) as revoked_at from concerned)",
	statusBefore("organizations", "$4"), statusBefore("users", "$3")) + `),
	changed as ((select id from after except select id from before) union all (select id from before except select id from after))`

// statusBefore is the table as it was before the write: those rows had the other
// status, and what the write deleted was there.
func statusBefore(table, changed string) string {
	return "(select id, case when (status = 'ACTIVE') <> (id = any(" + changed + "::uuid[])) then 'ACTIVE' else 'SUSPENDED' end as status, nullif(deleted_at, $1) as deleted_at from " + table + ")"
}
