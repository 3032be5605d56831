package directory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

// No document gives anybody more than its caller could have given by a direct grant, or
// than the default roles give to newcomers; and it places nobody where the caller must not
// add members. Random callers run random documents of two to four mutations that are
// permitted.
func TestCompositions(t *testing.T) {
	t.Parallel()
	worlds := 2
	if *long {
		worlds = 300
	}
	documents := 0
	for i := range worlds {
		seed := *oracleSeed
		switch {
		case seed != 0:
		case *long:
			seed = rand.Uint64()
		default:
			seed = uint64(i) + 1 // the same ones each time, so that no run fails by chance
		}
		w := newRandomWorld(t, seed)
		for range 60 {
			documents += w.document()
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d documents", documents)
	if documents < worlds*20 {
		t.Error("hardly a document is permitted")
	}
}

// randomWorld is a business with some random facts.
type randomWorld struct {
	*business
	seed    uint64
	random  *rand.Rand
	callers []secret.Text
	made    int
}

// What random mutations name.
var (
	worldUsers = []string{"u0", "u1", "u2", "u3", "u4"}
	worldOrgs  = []string{"acme", "globex", "default", "roster"}
	worldRoles = []string{"reads", "writes", "both", "nothing", "manages"}
	ordinary   = []string{"p", "q", "r"}
	// systemic are the permissions of Roster that callers hold, beside ordinary ones.
	systemic = []string{
		string(access.MembersWrite), string(access.RolesWrite), string(access.UsersWrite), string(access.OrganizationsWrite), string(access.SettingsWrite),
		string(access.KeysWrite), string(access.GrantsAny), string(access.UsersRead), string(access.MembersRead), string(access.OrganizationsRead),
	}
)

func newRandomWorld(t *testing.T, seed uint64) *randomWorld {
	t.Helper()
	w := &randomWorld{business: newBusiness(t), seed: seed, random: rand.New(rand.NewPCG(seed, 1))}
	must(0, w.EnsureAdministratorKey(t.Context(), credential.New()))(t)
	w.definePermissions(ordinary...)
	acme, globex := w.organization("acme"), w.organization("globex")
	for i, name := range worldUsers {
		w.user(name, []*db.Organization{acme, globex}[i%2])
	}
	for i, permissions := range [][]string{{"p"}, {"q"}, {"p", "r"}, {}, {string(access.MembersWrite)}} {
		w.role(worldRoles[i], permissionRefs(permissions...)...)
	}
	// The facts of the world are made by random mutations of the server itself.
	for range 60 {
		_ = w.mutation().run(w.ctx)
	}
	for range 12 {
		w.caller()
	}
	for range 40 { // what they make answers to them
		if actor := w.actor(); actor != nil {
			_ = w.mutation().run(access.WithActor(t.Context(), actor))
		}
	}
	return w
}

func pick[T any](w *randomWorld, all []T) T { return all[w.random.IntN(len(all))] }

// sample returns up to n of all, or none at all.
func sample[T any](w *randomWorld, all []T, n int) []T {
	var some []T
	for _, i := range w.random.Perm(len(all))[:w.random.IntN(n+1)] {
		some = append(some, all[i])
	}
	return some
}

// end returns a random end, which lies between the moments at which facts are compared.
func (w *randomWorld) end() *time.Time {
	if n := w.random.IntN(5); n < 3 {
		return new(time.Now().Add(time.Duration(n+1) * time.Hour))
	}
	return nil
}

// caller makes a key with random permissions, which stands for itself or for a user who
// holds them for some time.
func (w *randomWorld) caller() {
	w.t.Helper()
	held := slices.Concat(sample(w, systemic, 7), sample(w, ordinary, 2))
	in := directory.CreateAPIKeyInput{Name: "caller", Permissions: permissionRefs(held...)}
	where := "roster"
	if w.random.IntN(3) == 0 {
		where = "acme"
		in.Organization = new(orgCode(where))
	}
	if w.random.IntN(2) == 0 {
		user := &directory.UserRef{Username: new(w.name("caller"))}
		must(w.CreateUser(w.ctx, directory.CreateUserInput{Username: user.Username}))(w.t)
		for _, org := range []directory.OrganizationRef{root, orgCode("acme")} {
			_, _ = w.AddMembers(w.ctx, directory.AddMembersInput{Organization: org, Users: []*directory.UserRef{user}}) // unless acme is gone
		}
		for _, p := range held { // in the root, ordinary ones cannot be held
			_, _ = w.GrantPermissions(w.ctx, directory.GrantPermissionsInput{Organization: orgCode(where), Users: []*directory.UserRef{user}, Permissions: permissionRefs(p), EndsAt: w.end()})
		}
		in.User = user
	}
	if key, shown, err := w.CreateAPIKey(w.ctx, in); err == nil && key != nil { // else acme is gone
		w.callers = append(w.callers, shown)
	}
}

func (w *randomWorld) name(prefix string) string {
	w.made++
	return fmt.Sprint(prefix, "-", w.made)
}

// randomMutation is a mutation and what it is called in a trace.
type randomMutation struct {
	name string
	run  func(ctx context.Context) error
}

func mutate[In, Out any](method func(context.Context, In) (Out, error), in In) randomMutation {
	return randomMutation{fmt.Sprintf("%T %s", in, inputText(in)), func(ctx context.Context) error {
		_, err := method(ctx, in)
		return err
	}}
}

// mutation returns a random mutation.
func (w *randomWorld) mutation() randomMutation {
	org, user := orgCode(pick(w, worldOrgs)), directory.UserRef{Username: new(pick(w, worldUsers))}
	users, role, permissions := []*directory.UserRef{&user}, roleRef(pick(w, worldRoles)), permissionRefs(sample(w, slices.Concat(ordinary, systemic[:2]), 2)...)
	roles := roleRefs(sample(w, worldRoles, 2)...)
	flag := graphql.OmittableOf(new(w.random.IntN(2) == 0))
	key := func() directory.APIKeyActionInput {
		ids := must(db.Select[db.APIKeyID](w.t.Context(), w.db, "select id from api_keys where created_by <> 'system:setup' order by id"))(w.t)
		if len(ids) == 0 {
			return directory.APIKeyActionInput{}
		}
		return directory.APIKeyActionInput{APIKey: pick(w, ids).String()}
	}
	application := func() string {
		ids := must(db.Select[db.ApplicationID](w.t.Context(), w.db, "select id from applications where deleted_at is null order by id"))(w.t)
		if len(ids) == 0 {
			return ""
		}
		return pick(w, ids).String()
	}
	switch w.random.IntN(27) {
	case 0, 1:
		var orgs []*directory.OrganizationRef
		if w.random.IntN(2) == 0 {
			orgs = append(orgs, &org)
		}
		if w.random.IntN(2) == 0 {
			roles = nil
		}
		return mutate(w.CreateUser, directory.CreateUserInput{Username: new(w.name("new")), Organizations: orgs, Roles: roles})
	case 2, 3:
		if w.random.IntN(2) == 0 {
			roles = nil
		}
		return mutate(w.AddMembers, directory.AddMembersInput{Organization: org, Users: users, Roles: roles})
	case 4, 5:
		return mutate(w.GrantRoles, directory.GrantRolesInput{Organization: org, Users: users, Roles: roles, EndsAt: w.end()})
	case 6, 7:
		return mutate(w.GrantPermissions, directory.GrantPermissionsInput{Organization: org, Users: users, Permissions: permissions, EndsAt: w.end()})
	case 8:
		return mutate(w.MoveMember, directory.MoveMemberInput{User: user, From: org, To: orgCode(pick(w, worldOrgs)), KeepGrants: w.random.IntN(2) == 0})
	case 9:
		return mutate(w.AddRolePermissions, directory.RolePermissionsInput{Role: role, Permissions: permissions})
	case 10:
		return mutate(w.RemoveRolePermissions, directory.RolePermissionsInput{Role: role, Permissions: permissions})
	case 11:
		return mutate(w.UpdateRole, directory.UpdateRoleInput{Role: role, IsDefault: flag})
	case 12:
		return mutate(w.CreateRole, directory.CreateRoleInput{Key: w.name("role"), Permissions: permissions, IsDefault: *flag.Value()})
	case 13:
		in := directory.UpdateOrganizationInput{Organization: org, AllowSelfSignUp: flag}
		if w.random.IntN(2) == 0 {
			in = directory.UpdateOrganizationInput{Organization: org, AutoJoinDomains: graphql.OmittableOf(sample(w, []string{"a.example", "b.example"}, 2))}
		}
		return mutate(w.UpdateOrganization, in)
	case 14:
		return mutate(w.UpdateOrganization, directory.UpdateOrganizationInput{Organization: org, DefaultRoles: graphql.OmittableOf(roles)})
	case 15:
		in := directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf(roles)}
		if w.random.IntN(2) == 0 {
			in = directory.UpdateSettingsInput{DefaultOrganization: graphql.OmittableOf(&org)}
		}
		return mutate(w.UpdateSettings, in)
	case 16:
		to := pick(w, append(slices.Clone(ordinary), w.name("key")))
		return mutate(w.UpdatePermission, directory.UpdatePermissionInput{Permission: permissionRef(pick(w, ordinary)), Key: graphql.OmittableOf(&to)})
	case 17:
		if w.random.IntN(4) > 0 {
			return mutate(w.CreatePermission, directory.CreatePermissionInput{Key: pick(w, ordinary)})
		}
		return mutate(w.DeletePermission, directory.PermissionActionInput{Permission: permissionRef(pick(w, ordinary))})
	case 18:
		if w.random.IntN(2) == 0 {
			return mutate(w.SuspendMember, directory.MemberActionInput{User: user, Organization: org})
		}
		return mutate(w.SuspendUser, directory.UserActionInput{User: user})
	case 19:
		if w.random.IntN(2) == 0 {
			return mutate(w.RestoreMember, directory.MemberActionInput{User: user, Organization: org})
		}
		return mutate(w.RestoreUser, directory.UserActionInput{User: user})
	case 20:
		action := directory.OrganizationActionInput{Organization: org}
		return pick(w, []randomMutation{mutate(w.SuspendOrganization, action), mutate(w.RestoreOrganization, action), mutate(w.RestoreOrganization, action), mutate(w.DeleteOrganization, action)})
	case 21:
		return mutate(w.AdoptAPIKey, key())
	case 22:
		return mutate(w.RevokeAPIKey, key())
	case 23, 24:
		in := directory.CreateApplicationInput{Name: "made", Kind: db.MachineApplication, Permissions: permissions}
		if w.random.IntN(2) == 0 {
			in.Organization = &org
		}
		return mutate(func(ctx context.Context, in directory.CreateApplicationInput) (*db.Application, error) {
			app, _, err := w.CreateApplication(ctx, in)
			return app, err
		}, in)
	case 25:
		return mutate(w.UpdateApplication, directory.UpdateApplicationInput{Application: application(), Permissions: graphql.OmittableOf(permissions)})
	}
	in := directory.CreateAPIKeyInput{Name: "made", Permissions: permissions, ExpiresAt: w.end()}
	if w.random.IntN(2) == 0 {
		in.Organization = &org
	}
	if w.random.IntN(3) == 0 {
		in.User = &user
	}
	return mutate(func(ctx context.Context, in directory.CreateAPIKeyInput) (*db.APIKey, error) {
		key, _, err := w.CreateAPIKey(ctx, in)
		return key, err
	}, in)
}

// actor returns a random caller, or an application that acts for itself; nil for one that the
// facts of the world have ended.
func (w *randomWorld) actor() *access.Actor {
	w.t.Helper()
	machines := must(db.Select[db.ApplicationID](w.t.Context(), w.db, "select id from applications where deleted_at is null order by id"))(w.t)
	actor, err := (*access.Actor)(nil), error(nil)
	if len(machines) > 0 && w.random.IntN(3) == 0 {
		actor, err = w.AuthenticateApplication(w.t.Context(), pick(w, machines))
	} else {
		actor, err = w.Authenticate(w.t.Context(), pick(w, w.callers), "")
	}
	if err != nil {
		return nil
	}
	return actor
}

// errUndone rolls a document back.
var errUndone = errors.New("undone")

// document runs a random document of permitted mutations by a random caller, checks what
// it gave to whom, and undoes it. It returns 0 if none of its mutations was permitted.
func (w *randomWorld) document() (done int) {
	w.t.Helper()
	actor := w.actor()
	if actor == nil {
		return 0
	}
	now := time.Now()
	before := w.facts(w.t.Context(), now)
	var trace []string
	want := 2 + w.random.IntN(3)
	err := w.Writer.Atomically(access.WithActor(w.t.Context(), actor), func(ctx context.Context) error {
		trace = nil
		for try := 0; try < 60 && len(trace) < want; try++ {
			m := w.mutation()
			tx := w.db.Executor(ctx)
			must(tx.ExecContext(ctx, "savepoint m"))(w.t)
			if err := m.run(ctx); err != nil && problem.All(err) == nil {
				return err
			} else if err != nil {
				must(tx.ExecContext(ctx, "rollback to savepoint m"))(w.t)
				continue
			}
			trace = append(trace, m.name)
		}
		after := w.facts(ctx, now)
		for _, fault := range before.compare(after, actor) {
			w.t.Errorf("seed %d: %s\nby %v of %v in %v, who stands for %v:\n%s", w.seed, fault, actor, actor.Permissions, actor.Organization, actor.User, strings.Join(trace, "\n"))
		}
		return errUndone
	})
	if !errors.Is(err, errUndone) {
		w.t.Fatal(err)
	}
	return min(len(trace), 1)
}
