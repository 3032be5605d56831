package directory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/directory"
)

// rename changes the key of a permission. The old one answers until that moment, or
// no longer if it is nil.
func (b *business) rename(from, to string, keepUntil *time.Time) error {
	_, err := b.UpdatePermission(b.ctx, directory.UpdatePermissionInput{
		Permission: permissionRef(from), Key: graphql.OmittableOf(&to), KeepOldKeyUntil: keepUntil,
	})
	return err
}

// askedBy returns what every way to ask answers about ada in acme by the key.
func (b *business) askedBy(key string) string {
	b.t.Helper()
	acme := orgCode("acme")
	user := must(b.User(b.ctx, ada, nil))(b.t)
	member := must(db.Select[db.Membership](b.ctx, b.db, "select * from memberships where user_id = $1 and org_id = (select id from organizations where code = 'acme')", user.ID))(b.t)
	explained := must(b.Explain(b.ctx, ada, acme, key))(b.t)
	members := must(b.Members(b.ctx, []db.OrganizationID{member[0].OrgID}, directory.MemberPage{}, &directory.MemberFilter{Can: &key}, nil))(b.t)
	narrowed := must(b.Members(b.ctx, []db.OrganizationID{member[0].OrgID}, directory.MemberPage{}, &directory.MemberFilter{Can: &key, Status: new(db.Active)}, nil))(b.t)
	memberships := must(b.UserMemberships(b.ctx, []db.UserID{user.ID}, directory.MemberPage{}, &key))(b.t)
	return fmt.Sprint(
		must(b.Can(b.ctx, ada, acme, key))(b.t),
		must(b.Checks(b.ctx, []*directory.CheckInput{{User: ada, Organization: acme, Permission: key}}))(b.t)[0],
		must(b.CheckMatrix(b.ctx, acme, []*directory.UserRef{&ada}, []string{key}))(b.t)[0][0],
		must(b.CanMembers(b.ctx, []*db.Membership{&member[0]}, key))(b.t)[0],
		must(b.CanUsers(b.ctx, []db.UserID{user.ID}, acme, key))(b.t)[0],
		explained.Allowed, len(explained.Obstacles) == 0, len(explained.RolesThatWouldAllow) > 0,
		len(members[0].Nodes) == 1, must(members[0].TotalCount(b.ctx))(b.t) == 1, len(narrowed[0].Nodes) == 1, len(memberships[0].Nodes) == 1,
		must(b.Permission(b.ctx, permissionRef(key)))(b.t) != nil,
	)
}

// A former key answers every question until its second, and no question from then on,
// though nobody writes anything: from memory as from the database.
func TestFormerKey(t *testing.T) {
	t.Parallel()
	yes, no := "true true true true true true true true true true true true true", "false false false false false false false false false false false false false"
	for name, follow := range map[string]bool{"memory": true, "database": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			if follow {
				must(0, b.Follow(t.Context()))(t)
			}
			b.user("ada", b.organization("acme"))
			b.definePermissions("old", "other")
			id := b.role("clerk", permissionRefs("old")...).ID
			must(0, b.grantRole("ada", "acme", "clerk"))(t)
			must(0, b.rename("old", "new", new(time.Now().Add(time.Hour))))(t)
			for _, key := range []string{"old", "new"} {
				if got := b.askedBy(key); got != yes {
					t.Errorf("by %s: %s", key, got)
				}
			}
			p := must(b.Permission(b.ctx, permissionRef("old")))(t)
			if p.Key != "new" {
				t.Errorf("found %s", p.Key)
			}
			// As a reference, together with others of the same permission.
			must(b.AddRolePermissions(b.ctx, contents("clerk", "old", "new")))(t)
			must(b.RemoveRolePermissions(b.ctx, contents("clerk", "old", "other")))(t)
			if has := must(b.RolePermissions(b.ctx, []db.RoleID{id}))(t)[0]; len(has) != 0 {
				t.Errorf("the role has %s", keysOf(has))
			}
			must(b.AddRolePermissions(b.ctx, contents("clerk", "old")))(t)

			// It is taken, except for its own permission.
			wantFaults(t, second(b.CreatePermission(b.ctx, directory.CreatePermissionInput{Key: "old"})), "CONFLICT input.key")
			wantFaults(t, b.rename("other", "old", nil), "CONFLICT input.key")
			must(0, b.rename("new", "old", nil))(t)
			if got := b.askedBy("old") + b.askedBy("new"); got != yes+no {
				t.Errorf("renamed back: %s", got)
			}
			if former := must(b.FormerKeys(b.ctx, []db.PermissionID{p.ID}))(t)[0]; len(former) != 0 {
				t.Errorf("renamed back, it is still called %s", former[0].Key)
			}

			until := time.Now().Add(2 * time.Second).UTC().Truncate(time.Microsecond)
			must(0, b.rename("old", "new", &until))(t)
			if former := must(b.FormerKeys(b.ctx, []db.PermissionID{p.ID}))(t)[0]; time.Now().Before(until) && (len(former) != 1 || former[0].Key != "old" || !former[0].Until.Equal(until)) {
				t.Errorf("former keys: %v", former)
			}
			b.askedBy("old")
			time.Sleep(time.Until(until) + 10*time.Millisecond)
			if got := b.askedBy("old"); got != no {
				t.Errorf("after its time: %s", got)
			}
			if got := b.askedBy("new"); got != yes {
				t.Errorf("by the new key: %s", got)
			}
			if former := must(b.FormerKeys(b.ctx, []db.PermissionID{p.ID}))(t)[0]; len(former) != 0 {
				t.Errorf("after its time, it is still called %s", former[0].Key)
			}
			b.definePermissions("old")
			if again := must(b.Permission(b.ctx, permissionRef("old")))(t); again.ID == p.ID {
				t.Error("the key still names its former permission")
			}
		})
	}
}

// The old key is kept only for a new one, and until a moment to come. With its
// permission it is gone.
func TestKeepingAnOldKey(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a", "b")
	later := new(time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"for the same key": {b.rename("a", "a", later), "INVALID input.keepOldKeyUntil"},
		"for no key": {second(b.UpdatePermission(b.ctx, directory.UpdatePermissionInput{Permission: permissionRef("a"), KeepOldKeyUntil: later})),
			"INVALID input.keepOldKeyUntil"},
		"in the past":             {b.rename("a", "c", new(time.Now().Add(-time.Second))), "INVALID input.keepOldKeyUntil"},
		"for a key that is taken": {b.rename("a", "b", later), "CONFLICT input.key"},
		"of no permission":        {b.rename("x", "y", later), "NOT_FOUND input.permission"},
		"for a key that is none":  {b.rename("a", "!", later), "INVALID input.key"},
		"of Roster itself":        {b.rename("roster:users:read", "c", later), "ESCALATION , FORBIDDEN input.permission"},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, c.err, c.want) })
	}
	if n := b.count("former_keys"); n != 0 {
		t.Errorf("%d former keys", n)
	}
	// Several at a time.
	must(0, b.rename("a", "a1", later))(t)
	must(0, b.rename("a1", "a2", later))(t)
	id := must(b.Permission(b.ctx, permissionRef("a")))(t).ID
	former := must(b.FormerKeys(b.ctx, []db.PermissionID{id}))(t)[0]
	if len(former) != 2 || former[0].Key != "a" || former[1].Key != "a1" {
		t.Errorf("former keys: %v", former)
	}
	must(b.DeletePermission(b.ctx, directory.PermissionActionInput{Permission: permissionRef("a")}))(t)
	b.definePermissions("a", "a1", "a2")
}

// Two writes want the same key at the same time, one as a new key and one by keeping
// it: there are never two permissions that answer by it.
func TestKeysAreTakenInTurns(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("p")
	for i := range 10 {
		from, to := fmt.Sprint("k", i), fmt.Sprint("n", i)
		b.definePermissions(from)
		errs := race(2, func(racer int) error {
			if racer == 0 {
				return b.rename(from, to, new(time.Now().Add(time.Hour)))
			}
			return b.rename("p", from, nil)
		})
		if errs[0] != nil {
			t.Errorf("the old key was not kept: %v", errs[0])
		}
		wantFaults(t, errs[1], "CONFLICT input.key")
	}
}
