package directory_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// timeLine is the term of a grant, as its row has it, before and after the write
// at a moment; see docs/decisions/0006-grants-side-by-side.md.
type timeLine struct {
	ID            db.GrantID
	Before, After string
}

const timeLineText = `
select id, case when granted_at = $1 then 'none' when shortened_at = $1 then coalesce(left(former_end::text, 4), 'ever') else coalesce(left(ends_at::text, 4), 'ever') end as before,
	case when revoked_at = greatest(granted_at, $1) then 'none' else coalesce(left(ends_at::text, 4), 'ever') end as after
from membership_roles where live or revoked_at = greatest(granted_at, $1) order by granted_at, id`

// A grant for a time stands beside a grant for good: each has its id, term and
// reason; roles and members are listed once; and a revoke with a date shortens all of
// them. The rows have the time lines before and after each write.
func TestGrantsSideBySide(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a:read")
	b.role("clerk", permissionRefs("a:read")...)
	b.user("ada")
	users, org := []*directory.UserRef{{Username: new("ada")}}, directory.OrganizationRef{Code: new("default")}
	member := func() *db.Membership {
		return must(b.UserMemberships(b.ctx, []db.UserID{must(b.User(b.ctx, *users[0], nil))(t).ID}, directory.MemberPage{}, nil))(t)[0].Nodes[0]
	}
	year := func(n int) *time.Time {
		if n == 0 {
			return nil
		}
		return new(time.Date(n, 7, 1, 0, 0, 0, 0, time.UTC))
	}
	grant := func(starts, ends int, reason string) func() error {
		return func() error {
			in := directory.GrantRolesInput{Organization: org, Users: users, Roles: roleRefs("clerk"), StartsAt: year(starts), EndsAt: year(ends)}
			if reason != "" {
				in.Reason = &reason
			}
			_, err := b.GrantRoles(b.ctx, in)
			return err
		}
	}
	revoke := func(ends int) func() error {
		return func() error {
			_, err := b.RevokeRoles(b.ctx, directory.RevokeRolesInput{Organization: org, Users: users, Roles: roleRefs("clerk"), EndsAt: year(ends), Reason: new("less")})
			return err
		}
	}
	type moment struct {
		at      time.Time
		sources int
	}
	var past []moment
	ids := map[int]db.GrantID{}
	for _, step := range []struct {
		name string
		do   func() error
		// rows are the terms of each grant before and after, in the order in which they were granted.
		rows string
		// grants are the reasons of the grants that hold now or will hold.
		grants string
		// sources is the number of grants by which it is held now.
		sources int
	}{
		{"for good", grant(0, 0, "job"), "none→ever", "[job]", 1},
		{"for a time", grant(0, 2090, "cover"), "ever→ever none→2090", "[job cover]", 2},
		{"from a time on", grant(2080, 0, ""), "ever→ever 2090→2090 none→ever", "[job cover -]", 2},
		{"the same again", grant(0, 2090, ""), "", "[job cover -]", 2},
		{"the same, which began earlier", grant(2020, 2090, "cover"), "", "[job cover -]", 2},
		{"the same for another reason", grant(2080, 0, "later"), "ever→ever 2090→2090 ever→ever", "[job cover later]", 2},
		{"over already", grant(2010, 2011, "then"), "ever→ever 2090→2090 ever→ever none→2011", "[job cover later]", 2},
		{"until then, at the latest", revoke(2090), "ever→2090 2090→2090 ever→2090 2011→2011", "[job cover later]", 2},
		{"until what begins then", revoke(2080), "2090→2080 2090→2080 2090→none 2011→2011", "[job cover]", 2},
		{"the same end again", revoke(2080), "", "[job cover]", 2},
		{"longer than all", revoke(2085), "", "[job cover]", 2},
		{"for good once more", grant(0, 0, ""), "2080→2080 2080→2080 none→ever", "[job cover -]", 3},
		{"now", revoke(0), "2080→none 2080→none ever→none", "[]", 0},
	} {
		before := one[int](b, "select count(*) from changes")
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		at := one[time.Time](b, "select max(at) from changes")
		var texts string
		for i, line := range must(db.Select[timeLine](b.ctx, b.db, timeLineText, at))(t) {
			if i > 0 {
				texts += " "
			}
			texts += line.Before + "→" + line.After
			if i < 3 && ids[i] != (db.GrantID{}) && ids[i] != line.ID && step.name != "for good once more" && step.name != "now" {
				t.Errorf("%s: a grant has another id", step.name)
			}
			ids[i] = line.ID
		}
		changed := one[int](b, "select count(*) from changes") > before
		if changed != (step.rows != "") || changed && texts != step.rows {
			t.Errorf("%s: changed %t, %s\nwant %s", step.name, changed, texts, step.rows)
		}
		m := member()
		var reasons []string
		for _, g := range must(b.Grants(b.ctx, []*db.Membership{m}, false))(t)[0] {
			reason := "-"
			if g := g.(*directory.RoleGrant); g.Reason != nil {
				reason = *g.Reason
			}
			reasons = append(reasons, reason)
		}
		if got := fmt.Sprint(reasons); got != step.grants {
			t.Errorf("%s: grants are %s, want %s", step.name, got, step.grants)
		}
		held := min(step.sources, 1)
		if roles := must(b.HeldRoles(b.ctx, []*db.Membership{m}))(t)[0]; len(roles) != held {
			t.Errorf("%s: holds %d roles", step.name, len(roles))
		}
		clerk := must(b.Role(b.ctx, roleRef("clerk")))(t).ID
		if list := must(b.RoleMembers(b.ctx, []db.RoleID{clerk}, nil, directory.MemberPage{Page: list.Page{First: new(1)}}))(t)[0]; len(list.Nodes) != held || list.PageInfo().HasNextPage ||
			must(list.TotalCount(b.ctx))(t) != held {
			t.Errorf("%s: the role has not %d members", step.name, held)
		}
		if e := must(b.Explain(b.ctx, *users[0], org, "a:read"))(t); len(e.Sources) != step.sources || e.Allowed != (held == 1) {
			t.Errorf("%s: explained as %+v", step.name, e)
		}
		past = append(past, moment{one[time.Time](b, "select clock_timestamp()"), step.sources})
	}
	for i, then := range past {
		effective := must(b.EffectivePermissions(b.ctx, []*db.Membership{member()}, &then.at))(t)[0]
		if len(effective) != min(then.sources, 1) {
			t.Errorf("as of step %d: %d permissions", i, len(effective))
		}
		for _, p := range effective {
			if sources := must(p.Sources(b.ctx))(t); len(sources) != then.sources {
				t.Errorf("as of step %d: %d sources, want %d", i, len(sources), then.sources)
			}
		}
	}
	log := must(db.Select[string](b.ctx, b.db, `select concat_ws(' ', action, 'from', left(before->>'endsAt', 4), before->>'role', 'to', left(after->>'endsAt', 4), after->>'reason')
		from changes where action in ('membership.role.changed', 'membership.role.shortened', 'membership.role.revoked') and before ? 'grantId' order by at, id limit 5`))(t)
	if want := []string{
		"membership.role.changed from clerk to later",
		"membership.role.shortened from clerk to 2090 less",
		"membership.role.shortened from clerk to 2090 less",
		"membership.role.shortened from 2090 clerk to 2080 less",
		"membership.role.shortened from 2090 clerk to 2080 less",
	}; !slices.Equal(log, want) {
		t.Errorf("the log says %q", log)
	}
}

// Grants whose term is over are no longer live when others come beside them, and the
// number that stand side by side is limited.
func TestManyGrantsSideBySide(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a:read")
	b.user("ada")
	grant := func(starts, ends time.Time) error {
		_, err := b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
			Organization: directory.OrganizationRef{Code: new("default")}, Users: []*directory.UserRef{{Username: new("ada")}}, Permissions: permissionRefs("a:read"),
			StartsAt: &starts, EndsAt: &ends,
		})
		return err
	}
	old, future := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := range 150 {
		must(0, grant(old, old.AddDate(0, 0, day+1)))(t)
	}
	for day := range 100 {
		must(0, grant(future, future.AddDate(0, 0, day+1)))(t)
	}
	wantFaults(t, grant(future, future.AddDate(0, 0, 101)), "INVALID input.permissions")
	must(0, grant(future, future.AddDate(0, 0, 7)))(t) // which is there
	if n := one[int](b, "select count(*) from membership_permissions where live"); n != 100 {
		t.Errorf("%d are live", n)
	}
	if n := one[int](b, "select count(*) from membership_permissions where revoked_at is null"); n != 250 {
		t.Errorf("%d are on record", n)
	}
}
