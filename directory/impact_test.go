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
	"roster/impact"
	"roster/problem"
)

// Every kind of write, in random order, in a small world: its impact is the
// difference that a naive reading of the tables finds for all moments at which
// something changes.
func TestImpactIsTheDifference(t *testing.T) {
	t.Parallel()
	const writes = 300
	worlds := make([]*impactWorld, 1)
	if *long {
		worlds = make([]*impactWorld, 20)
	}
	passed := t.Run("worlds", func(t *testing.T) {
		for seed := range worlds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newImpactWorld(t, uint64(seed))
				worlds[seed] = w
				for w.done < writes || w.lacks() && w.done < 10*writes {
					w.document(1 + w.IntN(3))
				}
			})
		}
	})
	if passed {
		wantImpacts(t, worlds)
	}
}

// impactWorld is a business with at most 6 users, 4 organizations, 4 roles of
// its own and 8 permissions of its own.
type impactWorld struct {
	*business
	*rand.Rand
	// now is what decides about checks now.
	now *naive
	// done counts the writes, effects the writes of each kind that had an impact, and
	// later the ones of which a part begins or ends after them.
	done           int
	effects, later map[string]int
}

func newImpactWorld(t *testing.T, seed uint64) *impactWorld {
	w := &impactWorld{business: newBusiness(t), Rand: rand.New(rand.NewPCG(seed, 7)), effects: map[string]int{}, later: map[string]int{}}
	for i := range 8 {
		w.definePermissions(fmt.Sprintf("p%d", i))
	}
	for i := range 3 {
		w.organization(fmt.Sprintf("o%d", i))
	}
	for i := range 4 {
		w.role(fmt.Sprintf("r%d", i), w.somePermissions()...)
	}
	w.now = w.naive(w.ctx)
	return w
}

// document makes that many writes in one transaction, which is undone if one of
// them is refused, and sometimes anyway.
func (w *impactWorld) document(writes int) {
	w.t.Helper()
	undone := errors.New("undone")
	now, done := w.now, 0
	err := w.Writer.Atomically(w.ctx, func(ctx context.Context) error {
		now, done = w.now, 0
		for range writes {
			name, write := w.anyWrite()
			if err := write(ctx); err != nil {
				return err
			}
			after := w.naive(ctx)
			w.check(ctx, name, now, after)
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
		w.now = now
	case !errors.Is(err, undone) && len(problem.All(err)) == 0:
		w.t.Fatal(err)
	}
}

// check compares the impact of the last write with the difference.
func (w *impactWorld) check(ctx context.Context, name string, before, after *naive) {
	w.t.Helper()
	at := must(db.Select[time.Time](ctx, w.db, "select coalesce(max(at), 'epoch') from changes"))(w.t)[0]
	impact := w.Impact(ctx)
	for _, side := range []struct {
		name      string
		read      readImpactPage
		from, but *naive
	}{{"gained", impact.Gained, after, before}, {"lost", impact.Lost, before, after}} {
		want := side.from.only(side.but, at)
		got := w.walk(ctx, side.read)
		if !maps.EqualFunc(got, want, slices.Equal) {
			w.t.Fatalf("%s at %v: %s %v, want %v", name, at, side.name, got, want)
		}
		if len(want) > 0 {
			w.effects[name]++
		}
		for _, periods := range want {
			if len(periods) > 1 || !periods[0].from.Equal(at) || !periods[0].until.IsZero() {
				w.later[name]++
			}
		}
	}
}

type readImpactPage = func(context.Context, list.Page) (*list.Connection[impact.PermissionChange], error)

// walk reads all pages of a list, and checks their order and the count.
func (w *impactWorld) walk(ctx context.Context, read readImpactPage) map[line][]period {
	w.t.Helper()
	all, n := map[line][]period{}, 0
	last := ""
	for page := (list.Page{First: new(1 + w.IntN(30))}); ; {
		c := must(read(ctx, page))(w.t)
		for _, change := range c.Nodes {
			l := line{change.Member.Organization.String(), change.Member.User.String(), change.Key}
			position := strings.Join([]string{l.organization, l.user, l.key, change.At.UTC().Format("2006-01-02T15:04:05.000000")}, " ")
			if position <= last {
				w.t.Fatalf("%q after %q", position, last)
			}
			p := period{from: change.At.UTC()}
			if change.Until != nil {
				p.until = change.Until.UTC()
			}
			all[l], last, n = append(all[l], p), position, n+1
		}
		if page.After = c.PageInfo().EndCursor; c.PageInfo().HasNextPage {
			continue
		}
		if total := must(c.TotalCount(ctx))(w.t); total != n {
			w.t.Fatalf("totalCount is %d of %d", total, n)
		}
		return all
	}
}

// withImpact are the writes that the test must have seen with an impact.
var withImpact = []string{
	"AddMembers", "AddRolePermissions", "CreateUser", "DeleteOrganization", "DeletePermission", "DeleteRole", "DeleteUser", "GrantPermissions", "GrantRoles",
	"MoveMember", "RemoveMembers", "RemoveRolePermissions", "RestoreMember", "RestoreOrganization", "RestoreUser", "RevokePermissions", "RevokeRoles", "SuspendMember", "SuspendOrganization", "SuspendUser", "UpdatePermission",
}

// lacks reports whether one of them is still to be seen.
func (w *impactWorld) lacks() bool {
	return slices.ContainsFunc(withImpact, func(name string) bool { return w.effects[name] == 0 })
}

// wantImpacts fails the test unless writes of each kind had an impact in one of the worlds
// (some are rare: a single world may have none), and no others had one.
func wantImpacts(t *testing.T, worlds []*impactWorld) {
	t.Helper()
	done, effects, later := 0, map[string]int{}, map[string]int{}
	for _, w := range worlds {
		done += w.done
		for name, n := range w.effects {
			effects[name] += n
		}
		for name, n := range w.later {
			later[name] += n
		}
	}
	for _, name := range withImpact {
		if effects[name] == 0 {
			t.Errorf("no %s with an impact", name)
		}
	}
	for _, name := range []string{"DeleteRole", "GrantPermissions", "GrantRoles", "MoveMember"} {
		if later[name] == 0 {
			t.Errorf("no %s with an impact that begins or ends later", name)
		}
	}
	for name, n := range effects {
		if slices.Contains([]string{"CreateOrganization", "CreateRole", "CreatePermission", "UpdateUser", "UpdateOrganization", "UpdateRole", "UpdateSettings"}, name) {
			t.Errorf("%d %s with an impact", n, name)
		}
	}
	t.Log(done, effects, later)
}

// The names below may name nothing: then the write is refused.

func (w *impactWorld) name(kind string, n int) string { return fmt.Sprint(kind, w.IntN(n)) }

func (w *impactWorld) someUser() directory.UserRef {
	return directory.UserRef{Username: new(w.name("u", 6))}
}

func (w *impactWorld) someUsers() []*directory.UserRef {
	return []*directory.UserRef{new(w.someUser()), new(w.someUser())}[:1+w.IntN(5)/4]
}

// somebody returns a user who, mostly, may do something in the organization.
func (w *impactWorld) somebody() (directory.OrganizationRef, []*directory.UserRef) {
	lines := slices.SortedFunc(maps.Keys(w.now.at(time.Now())), func(a, b line) int { return cmp.Compare(a.user+a.organization, b.user+b.organization) })
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

// someTerm returns a term around now, before it, or behind it.
func (w *impactWorld) someTerm() (from, to *time.Time) {
	hours := func(n int) *time.Time { return new(time.Now().Add(time.Duration(n) * time.Hour)) }
	terms := [][2]*time.Time{{nil, nil}, {nil, nil}, {nil, hours(1)}, {hours(-2), hours(3)}, {hours(-2), hours(-1)}, {hours(1), nil}, {hours(1), hours(2)}}
	term := terms[w.IntN(len(terms))]
	return term[0], term[1]
}

// someEnd returns when a revoke takes effect: now, or in some hours.
func (w *impactWorld) someEnd() *time.Time {
	if w.IntN(2) == 0 {
		return nil
	}
	return new(time.Now().Add(time.Duration(30+60*w.IntN(3)) * time.Minute))
}

// noResult drops the result of a write.
func noResult[T any](_ T, err error) error { return err }

func (w *impactWorld) anyWrite() (name string, write func(ctx context.Context) error) {
	all := w.writesToPeople()
	maps.Copy(all, w.writesToGrants())
	maps.Copy(all, w.writesToDefinitions())
	// Writes that take a lot are drawn least often, so that something is left to take.
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		weight := 4
		switch {
		case startsWith(name, "UpdatePermission", "Create", "Grant", "Revoke", "Add", "Restore"):
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
		"SuspendMember": func(ctx context.Context) error {
			return noResult(w.SuspendMember(ctx, directory.MemberActionInput{User: user.User, Organization: org.Organization}))
		},
		"RestoreMember": func(ctx context.Context) error {
			return noResult(w.RestoreMember(ctx, directory.MemberActionInput{User: user.User, Organization: org.Organization}))
		},
		"DeleteUser": func(ctx context.Context) error { return noResult(w.DeleteUser(ctx, user)) },
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
			return noResult(w.RevokeRoles(ctx, directory.RevokeRolesInput{Organization: org, Users: users, Roles: w.someRoles(), EndsAt: w.someEnd()}))
		},
		"GrantPermissions": func(ctx context.Context) error {
			return noResult(w.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: org, Users: users, Permissions: w.somePermissions(), StartsAt: from, EndsAt: to}))
		},
		"RevokePermissions": func(ctx context.Context) error {
			return noResult(w.RevokePermissions(ctx, directory.RevokePermissionsInput{Organization: org, Users: users, Permissions: w.somePermissions(), EndsAt: w.someEnd()}))
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
			in := directory.UpdatePermissionInput{Permission: permissionRef(permission), Key: graphql.OmittableOf(new(w.name("p", 11)))}
			if w.IntN(2) == 0 {
				in.KeepOldKeyUntil = new(time.Now().Add(time.Duration(1+w.IntN(3)) * time.Hour))
			}
			return noResult(w.UpdatePermission(ctx, in))
		},
		"DeletePermission": func(ctx context.Context) error {
			return noResult(w.DeletePermission(ctx, directory.PermissionActionInput{Permission: permissionRef(permission)}))
		},
	}
}

// Writes to the same members at the same time: their impacts add up to what is
// there in the end, now and later on.
func TestImpactsOfRacersAddUp(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, 1)
	for i := range 4 {
		w.user(fmt.Sprintf("u%d", i))
	}
	start := w.naive(w.ctx)
	began := time.Now()
	var mu sync.Mutex
	var entries [2][]map[line][]period
	for _, err := range race(6, func(racer int) error {
		mine := &impactWorld{business: w.business, Rand: rand.New(rand.NewPCG(uint64(racer), 3)), now: start}
		for range 40 {
			writes := mine.writesToGrants()
			name := slices.Sorted(maps.Keys(writes))[mine.IntN(len(writes))]
			var gained, lost map[line][]period
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
				entries[0], entries[1] = append(entries[0], gained), append(entries[1], lost)
				mu.Unlock()
			}
		}
		return nil
	}) {
		must(0, err)(t)
	}
	end := w.naive(w.ctx)
	if len(end.at(time.Now())) == 0 {
		t.Error("nobody holds anything")
	}
	if took := time.Since(began); took > 20*time.Minute {
		t.Fatalf("this took %v: terms have ended meanwhile", took)
	}
	for _, later := range []time.Duration{0, 90 * time.Minute, 150 * time.Minute, 210 * time.Minute, 100 * time.Hour} {
		w.addUp(start, end, time.Now().Add(later), entries)
	}
}

// addUp checks, for one moment, that what is there in the end was there at the
// start or was gained more often than lost.
func (w *impactWorld) addUp(start, end *naive, at time.Time, entries [2][]map[line][]period) {
	w.t.Helper()
	balance := map[line]int{}
	for l := range start.at(at) {
		balance[l]++
	}
	for i, step := range []int{1, -1} {
		for _, changes := range entries[i] {
			for l, periods := range changes {
				for _, p := range periods {
					if !p.from.After(at) && (p.until.IsZero() || p.until.After(at)) {
						balance[l] += step
					}
				}
			}
		}
	}
	held := end.at(at)
	for l := range held {
		balance[l] += 0
	}
	for l, n := range balance {
		if n != 0 && n != 1 || held[l] != (n == 1) {
			w.t.Errorf("%v at %v: gained %d times more often than lost; held: %v", l, at, n, held[l])
		}
	}
}
