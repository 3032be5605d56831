package directory_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/problem"
)

// Every kind of write, in random order, in a small world: its impact is what
// the ordinary reading finds to be different after it.
func TestImpactIsTheDifference(t *testing.T) {
	t.Parallel()
	const worlds, writes = 2, 600
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newImpactWorld(t, seed)
			for w.done < writes {
				w.document(1 + w.IntN(3))
			}
			w.report()
		})
	}
}

// impactWorld is a business with at most 6 users, 4 organizations, 4 roles of
// its own and 8 permissions of its own.
type impactWorld struct {
	*business
	*rand.Rand
	// effective is what everybody may do now.
	effective map[line]bool
	// done counts the writes, effects those of each kind that had an impact.
	done    int
	effects map[string]int
}

// line is a permission that a user has somewhere.
type line struct{ organization, user, permission string }

func newImpactWorld(t *testing.T, seed uint64) *impactWorld {
	w := &impactWorld{business: newBusiness(t), Rand: rand.New(rand.NewPCG(seed, 7)), effects: map[string]int{}}
	for i := range 8 {
		w.definePermissions(fmt.Sprintf("p%d", i))
	}
	for i := range 3 {
		w.organization(fmt.Sprintf("o%d", i))
	}
	for i := range 4 {
		w.role(fmt.Sprintf("r%d", i), w.somePermissions()...)
	}
	w.effective = w.everybody(w.ctx)
	return w
}

// everybody reads what everybody may do.
func (w *impactWorld) everybody(ctx context.Context) map[line]bool {
	w.t.Helper()
	rows := must(db.Select[db.Membership](ctx, w.db, "select * from memberships"))(w.t)
	members := make([]*db.Membership, len(rows))
	for i := range rows {
		members[i] = &rows[i]
	}
	all := map[line]bool{}
	for i, permissions := range must(w.EffectivePermissions(ctx, members, nil))(w.t) {
		for _, p := range permissions {
			all[line{members[i].OrgID.String(), members[i].UserID.String(), p.Permission.ID.String()}] = true
		}
	}
	return all
}

// document makes so many writes in one transaction, which is undone when one of
// them is refused, and now and then anyway.
func (w *impactWorld) document(writes int) {
	w.t.Helper()
	undone := errors.New("undone")
	now, done := w.effective, 0
	err := w.Writer.Atomically(w.ctx, func(ctx context.Context) error {
		now, done = w.effective, 0
		for range writes {
			name, write := w.anyWrite()
			if err := write(ctx); err != nil {
				return err
			}
			after := w.everybody(ctx)
			if w.check(ctx, name, now, after) {
				w.effects[name]++
			}
			now, done = after, done+1
		}
		if w.IntN(10) == 0 {
			return undone
		}
		return nil
	})
	w.done += done
	switch {
	case err == nil:
		w.effective = now
	case !errors.Is(err, undone) && len(problem.All(err)) == 0:
		w.t.Fatal(err)
	}
}

// check compares the impact of the last write with the difference.
func (w *impactWorld) check(ctx context.Context, name string, before, after map[line]bool) (any bool) {
	w.t.Helper()
	impact := w.Impact(ctx)
	for _, list := range []struct {
		name      string
		read      func(context.Context, list.Page) (*list.Connection[directory.PermissionChange], error)
		from, but map[line]bool
	}{{"gained", impact.Gained, after, before}, {"lost", impact.Lost, before, after}} {
		want := maps.Clone(list.from)
		maps.DeleteFunc(want, func(l line, _ bool) bool { return list.but[l] })
		got := w.walk(ctx, list.read)
		any = any || len(want) > 0
		if !maps.Equal(got, want) {
			w.t.Fatalf("%s %s %v, want %v", name, list.name, got, want)
		}
	}
	return any
}

// walk reads all pages of a list, and checks their order and the count.
func (w *impactWorld) walk(ctx context.Context, read func(context.Context, list.Page) (*list.Connection[directory.PermissionChange], error)) map[line]bool {
	w.t.Helper()
	all := map[line]bool{}
	last := ""
	for page := (list.Page{First: new(1 + w.IntN(30))}); ; {
		c := must(read(ctx, page))(w.t)
		for _, change := range c.Nodes {
			l := line{change.Place.Organization.String(), change.Place.User.String(), change.Permission.ID.String()}
			at := strings.Join([]string{l.organization, l.user, change.Permission.Key}, " ")
			if at <= last {
				w.t.Fatalf("%q after %q", at, last)
			}
			all[l], last = true, at
		}
		if page.After = c.PageInfo().EndCursor; c.PageInfo().HasNextPage {
			continue
		}
		if total := must(c.TotalCount(ctx))(w.t); total != len(all) {
			w.t.Fatalf("totalCount is %d of %d", total, len(all))
		}
		return all
	}
}

// report checks that the test has tested something.
func (w *impactWorld) report() {
	w.t.Helper()
	for _, name := range []string{
		"AddMembers", "AddRolePermissions", "CreateUser", "DeleteOrganization", "DeletePermission", "DeleteRole", "DeleteUser", "GrantPermissions", "GrantRoles",
		"MoveMember", "RemoveMembers", "RemoveRolePermissions", "RestoreOrganization", "RestoreUser", "RevokePermissions", "RevokeRoles", "SuspendOrganization", "SuspendUser",
	} {
		if w.effects[name] == 0 {
			w.t.Errorf("no %s with an impact", name)
		}
	}
	for name, n := range w.effects {
		if slices.Contains([]string{"CreateOrganization", "CreateRole", "CreatePermission", "UpdateUser", "UpdateOrganization", "UpdateRole", "UpdatePermission", "UpdateSettings"}, name) {
			w.t.Errorf("%d %s with an impact", n, name)
		}
	}
	w.t.Log(w.done, w.effects)
}

// The names below need not be those of anything: then the write is refused.

func (w *impactWorld) name(kind string, n int) string { return fmt.Sprint(kind, w.IntN(n)) }

func (w *impactWorld) someUser() directory.UserRef {
	return directory.UserRef{Username: new(w.name("u", 6))}
}

func (w *impactWorld) someUsers() []*directory.UserRef {
	return []*directory.UserRef{new(w.someUser()), new(w.someUser())}[:1+w.IntN(5)/4]
}

// somebody is one who, mostly, may do something in the organization.
func (w *impactWorld) somebody() (directory.OrganizationRef, []*directory.UserRef) {
	lines := slices.SortedFunc(maps.Keys(w.effective), func(a, b line) int { return cmp.Compare(a.user+a.organization, b.user+b.organization) })
	if len(lines) == 0 || w.IntN(3) == 0 {
		return w.someOrganization(), w.someUsers()
	}
	l := lines[w.IntN(len(lines))]
	return directory.OrganizationRef{ID: &l.organization}, []*directory.UserRef{{ID: &l.user}}
}

func (w *impactWorld) someOrganization() directory.OrganizationRef {
	if w.IntN(4) == 0 {
		return orgCode("default")
	}
	return orgCode(w.name("o", 3))
}

func (w *impactWorld) someRoles() []*directory.RoleRef {
	if w.IntN(10) == 0 {
		return roleRefs("roster-viewer")
	}
	return roleRefs(w.name("r", 4), w.name("r", 4))[:1+w.IntN(2)]
}

func (w *impactWorld) somePermissions() []*directory.PermissionRef {
	if w.IntN(10) == 0 {
		return permissionRefs("roster:members:read")
	}
	return permissionRefs(w.name("p", 8), w.name("p", 8))[:1+w.IntN(2)]
}

// someTerm is one that lies around now, before it, or behind it.
func (w *impactWorld) someTerm() (from, to *time.Time) {
	hours := func(n int) *time.Time { return new(time.Now().Add(time.Duration(n) * time.Hour)) }
	terms := [][2]*time.Time{{nil, nil}, {nil, nil}, {nil, hours(1)}, {hours(-2), hours(3)}, {hours(-2), hours(-1)}, {hours(1), nil}, {hours(1), hours(2)}}
	term := terms[w.IntN(len(terms))]
	return term[0], term[1]
}

// noResult drops the result of a write.
func noResult[T any](_ T, err error) error { return err }

func (w *impactWorld) anyWrite() (name string, write func(ctx context.Context) error) {
	all := w.writesToPeople()
	maps.Copy(all, w.writesToGrants())
	maps.Copy(all, w.writesToDefinitions())
	// So that there is something to take, what takes a lot is drawn least often.
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		weight := 4
		switch {
		case startsWith(name, "Create", "Grant", "Revoke", "Add", "Restore"):
			weight = 12
		case startsWith(name, "Delete", "Suspend", "Update"):
			weight = 2
		}
		names = append(names, slices.Repeat([]string{name}, weight)...)
	}
	name = names[w.IntN(len(names))]
	return name, all[name]
}

func startsWith(name string, any ...string) bool {
	return slices.ContainsFunc(any, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func (w *impactWorld) writesToPeople() map[string]func(ctx context.Context) error {
	user, org := directory.UserActionInput{User: w.someUser()}, directory.OrganizationActionInput{Organization: w.someOrganization()}
	return map[string]func(ctx context.Context) error{
		"CreateUser": func(ctx context.Context) error {
			in := directory.CreateUserInput{Username: user.User.Username, Organizations: []*directory.OrganizationRef{new(w.someOrganization()), new(w.someOrganization())}}
			if w.IntN(2) == 0 {
				in.Roles = w.someRoles()
			}
			return noResult(w.CreateUser(ctx, in))
		},
		"UpdateUser": func(ctx context.Context) error {
			return noResult(w.UpdateUser(ctx, directory.UpdateUserInput{User: user.User, GivenName: graphql.OmittableOf(new(w.name("name", 9)))}))
		},
		"SuspendUser": func(ctx context.Context) error { return noResult(w.SuspendUser(ctx, user)) },
		"RestoreUser": func(ctx context.Context) error { return noResult(w.RestoreUser(ctx, user)) },
		"DeleteUser":  func(ctx context.Context) error { return noResult(w.DeleteUser(ctx, user)) },
		"CreateOrganization": func(ctx context.Context) error {
			return noResult(w.CreateOrganization(ctx, directory.CreateOrganizationInput{Name: "any", Code: org.Organization.Code, DefaultRoles: w.someRoles()}))
		},
		"UpdateOrganization": func(ctx context.Context) error {
			return noResult(w.UpdateOrganization(ctx, directory.UpdateOrganizationInput{Organization: org.Organization, DefaultRoles: graphql.OmittableOf(w.someRoles())}))
		},
		"SuspendOrganization": func(ctx context.Context) error { return noResult(w.SuspendOrganization(ctx, org)) },
		"RestoreOrganization": func(ctx context.Context) error { return noResult(w.RestoreOrganization(ctx, org)) },
		"DeleteOrganization":  func(ctx context.Context) error { return noResult(w.DeleteOrganization(ctx, org)) },
		"UpdateSettings": func(ctx context.Context) error {
			return noResult(w.UpdateSettings(ctx, defaultOrganization(org.Organization)))
		},
	}
}

func (w *impactWorld) writesToGrants() map[string]func(ctx context.Context) error {
	org, users := w.somebody()
	from, to := w.someTerm()
	return map[string]func(ctx context.Context) error{
		"AddMembers": func(ctx context.Context) error {
			in := directory.AddMembersInput{Organization: org, Users: users}
			if w.IntN(2) == 0 {
				in.Roles = w.someRoles()
			}
			return noResult(w.AddMembers(ctx, in))
		},
		"RemoveMembers": func(ctx context.Context) error {
			return noResult(w.RemoveMembers(ctx, directory.RemoveMembersInput{Organization: org, Users: users}))
		},
		"MoveMember": func(ctx context.Context) error {
			return noResult(w.MoveMember(ctx, directory.MoveMemberInput{User: *users[0], From: org, To: w.someOrganization(), KeepGrants: w.IntN(2) == 0}))
		},
		"GrantRoles": func(ctx context.Context) error {
			return noResult(w.GrantRoles(ctx, directory.GrantRolesInput{Organization: org, Users: users, Roles: w.someRoles(), StartsAt: from, EndsAt: to}))
		},
		"RevokeRoles": func(ctx context.Context) error {
			return noResult(w.RevokeRoles(ctx, directory.RevokeRolesInput{Organization: org, Users: users, Roles: w.someRoles()}))
		},
		"GrantPermissions": func(ctx context.Context) error {
			return noResult(w.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: org, Users: users, Permissions: w.somePermissions(), StartsAt: from, EndsAt: to}))
		},
		"RevokePermissions": func(ctx context.Context) error {
			return noResult(w.RevokePermissions(ctx, directory.RevokePermissionsInput{Organization: org, Users: users, Permissions: w.somePermissions()}))
		},
	}
}

func (w *impactWorld) writesToDefinitions() map[string]func(ctx context.Context) error {
	role, permission := w.name("r", 4), w.name("p", 8)
	contents := directory.RolePermissionsInput{Role: roleRef(role), Permissions: w.somePermissions()}
	return map[string]func(ctx context.Context) error{
		"CreateRole": func(ctx context.Context) error {
			return noResult(w.CreateRole(ctx, directory.CreateRoleInput{Key: role, Permissions: contents.Permissions, IsDefault: w.IntN(3) == 0}))
		},
		"UpdateRole": func(ctx context.Context) error {
			return noResult(w.UpdateRole(ctx, directory.UpdateRoleInput{Role: roleRef(role), IsDefault: graphql.OmittableOf(new(w.IntN(2) == 0))}))
		},
		"DeleteRole": func(ctx context.Context) error {
			return noResult(w.DeleteRole(ctx, directory.RoleActionInput{Role: roleRef(role)}))
		},
		"AddRolePermissions":    func(ctx context.Context) error { return noResult(w.AddRolePermissions(ctx, contents)) },
		"RemoveRolePermissions": func(ctx context.Context) error { return noResult(w.RemoveRolePermissions(ctx, contents)) },
		"CreatePermission": func(ctx context.Context) error {
			return noResult(w.CreatePermission(ctx, directory.CreatePermissionInput{Key: permission}))
		},
		"UpdatePermission": func(ctx context.Context) error {
			return noResult(w.UpdatePermission(ctx, directory.UpdatePermissionInput{Permission: permissionRef(permission), Key: graphql.OmittableOf(new(w.name("p", 8)))}))
		},
		"DeletePermission": func(ctx context.Context) error {
			return noResult(w.DeletePermission(ctx, directory.PermissionActionInput{Permission: permissionRef(permission)}))
		},
	}
}

// Writes to the same members at the same time: what they gave and took adds up to
// what is there in the end.
func TestImpactsOfRacersAddUp(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, 1)
	for i := range 4 {
		w.user(fmt.Sprintf("u%d", i))
	}
	start := w.everybody(w.ctx)
	var mu sync.Mutex
	balance := map[line]int{}
	for _, err := range race(6, func(racer int) error {
		mine := &impactWorld{business: w.business, Rand: rand.New(rand.NewPCG(uint64(racer), 3)), effective: start}
		for range 40 {
			writes := mine.writesToGrants()
			name := slices.Sorted(maps.Keys(writes))[mine.IntN(len(writes))]
			var gained, lost map[line]bool
			err := w.Writer.Atomically(w.ctx, func(ctx context.Context) error {
				if err := writes[name](ctx); err != nil {
					return err
				}
				impact := w.Impact(ctx)
				gained, lost = mine.walk(ctx, impact.Gained), mine.walk(ctx, impact.Lost)
				return nil
			})
			if err != nil && len(problem.All(err)) == 0 {
				return err
			}
			if err == nil {
				mu.Lock()
				for l := range gained {
					balance[l]++
				}
				for l := range lost {
					balance[l]--
				}
				mu.Unlock()
			}
		}
		return nil
	}) {
		must(0, err)(t)
	}
	for l := range start {
		balance[l]++
	}
	end := w.everybody(w.ctx)
	for l, n := range balance {
		if held := end[l]; n != 0 && n != 1 || held != (n == 1) {
			t.Errorf("%v: gained %d times more often than lost; held: %v", l, n, held)
		}
	}
	if len(end) == 0 {
		t.Error("nobody holds anything")
	}
}
