package directory_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
)

// root names the organization that stands for the business.
var root = directory.OrganizationRef{Code: new("roster")}

// administrator is a user who can administer the business, and the ways to end that.
type administrator struct {
	user, role string
	key        *db.APIKey
}

func systemPermissions() []*directory.PermissionRef {
	var all []*directory.PermissionRef
	for _, p := range access.SystemPermissions {
		all = append(all, &directory.PermissionRef{Key: new(string(p.Key))})
	}
	return all
}

// direct is what administrators are granted on top of their role.
var direct = string(access.ImportsWrite)

// administrator makes an administrator: a user with a role and a permission in the
// root, for whom a key stands.
func (b *business) administrator(name string) administrator {
	b.t.Helper()
	a := administrator{user: name, role: name}
	most := slices.DeleteFunc(systemPermissions(), func(p *directory.PermissionRef) bool { return *p.Key == direct })
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: name, Permissions: most}))(b.t)
	b.user(name)
	users := []*directory.UserRef{{Username: &name}}
	must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: users, Roles: []*directory.RoleRef{{Key: &name}}}))(b.t)
	must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{Organization: root, Users: users, Permissions: permissionRefs(direct)}))(b.t)
	key, _, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: name, Permissions: systemPermissions(), User: users[0]})
	a.key = must(key, err)(b.t)
	return a
}

// answeredForByApplication makes an application, which adopts the administrator's key, and
// returns its id.
func (b *business) answeredForByApplication(a administrator) string {
	b.t.Helper()
	app, _, err := b.CreateApplication(b.ctx, directory.CreateApplicationInput{Name: a.user, Kind: db.MachineApplication, Permissions: systemPermissions()})
	must(app, err)(b.t)
	actor := must(b.AuthenticateApplication(b.t.Context(), app.ID))(b.t)
	must(b.AdoptAPIKey(access.WithActor(b.t.Context(), actor), keyAction(a.key)))(b.t)
	return app.ID.String()
}

// ends are all the ways in which an administrator can end.
var ends = map[string]func(ctx context.Context, b *business, a administrator) error{
	"the key is revoked": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RevokeAPIKey(ctx, directory.APIKeyActionInput{APIKey: a.key.ID.String()})
		return err
	},
	"the key is adopted by one that ends": func(ctx context.Context, b *business, a administrator) error {
		var all []string
		for _, p := range access.SystemPermissions {
			all = append(all, string(p.Key))
		}
		_, err := b.AdoptAPIKey(b.asKeyThatEnds(ctx, time.Now().Add(time.Hour), all...), directory.APIKeyActionInput{APIKey: a.key.ID.String()})
		return err
	},
	"the application that answers for the key is deleted": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.DeleteApplication(ctx, directory.ApplicationActionInput{Application: b.answeredForByApplication(a)})
		return err
	},
	"somebody who ends answers for that application": func(ctx context.Context, b *business, a administrator) error {
		var all []string
		for _, p := range access.SystemPermissions {
			all = append(all, string(p.Key))
		}
		app := b.answeredForByApplication(a)
		_, err := b.UpdateApplication(b.asKeyThatEnds(ctx, time.Now().Add(time.Hour), all...), directory.UpdateApplicationInput{Application: app, Organization: graphql.OmittableOf[*directory.OrganizationRef](nil)})
		return err
	},
	"the user is suspended": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.SuspendUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: &a.user}})
		return err
	},
	"the user is deleted": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.DeleteUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: &a.user}})
		return err
	},
	"the user is offboarded": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.OffboardUser(ctx, directory.OffboardUserInput{User: directory.UserRef{Username: &a.user}})
		return err
	},
	"the user is suspended in the root": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.SuspendMember(ctx, directory.MemberActionInput{Organization: root, User: directory.UserRef{Username: &a.user}})
		return err
	},
	"the user leaves the root": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RemoveMembers(ctx, directory.RemoveMembersInput{Organization: root, Users: []*directory.UserRef{{Username: &a.user}}})
		return err
	},
	"the role is revoked": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RevokeRoles(ctx, directory.RevokeRolesInput{
			Organization: root, Users: []*directory.UserRef{{Username: &a.user}}, Roles: []*directory.RoleRef{{Key: &a.role}},
		})
		return err
	},
	"the grant gets an end": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RevokeRoles(ctx, directory.RevokeRolesInput{
			Organization: root, Users: []*directory.UserRef{{Username: &a.user}}, Roles: []*directory.RoleRef{{Key: &a.role}}, EndsAt: new(time.Now().Add(time.Hour)),
		})
		return err
	},
	"the permission is revoked": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RevokePermissions(ctx, directory.RevokePermissionsInput{
			Organization: root, Users: []*directory.UserRef{{Username: &a.user}}, Permissions: permissionRefs(direct),
		})
		return err
	},
	"the grant of the permission gets an end": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RevokePermissions(ctx, directory.RevokePermissionsInput{
			Organization: root, Users: []*directory.UserRef{{Username: &a.user}}, Permissions: permissionRefs(direct), EndsAt: new(time.Now().Add(time.Hour)),
		})
		return err
	},
	"the role loses a permission": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.RemoveRolePermissions(ctx, contents(a.role, string(access.KeysWrite)))
		return err
	},
	"the role is deleted": func(ctx context.Context, b *business, a administrator) error {
		_, err := b.DeleteRole(ctx, directory.RoleActionInput{Role: roleRef(a.role)})
		return err
	},
}

// someKey returns a context for an API key that may do everything and administers
// nothing: the key that answers for it expires.
func (b *business) someKey() context.Context {
	b.t.Helper()
	newKey := func() *db.APIKey {
		id := db.NewID[db.APIKeyKind]()
		return &db.APIKey{ID: id, CreatedAt: time.Now(), CreatedBy: "system:test", Hash: []byte(id.String())}
	}
	actor, responsible := *access.System(""), newKey()
	responsible.ExpiresAt = new(time.Now().Add(24 * time.Hour))
	actor.Key = newKey()
	actor.Key.ResponsibleID = &responsible.ID
	for _, key := range []*db.APIKey{responsible, actor.Key} {
		must(b.db.NewInsert().Model(key).Exec(b.t.Context()))(b.t)
	}
	must(b.db.ExecContext(b.t.Context(), "insert into api_key_permissions select ?, id from permissions where is_system", actor.Key.ID))(b.t)
	return access.WithActor(b.t.Context(), &actor)
}

// The last administrator stays, however they would end; and of the last two who
// end at the same moment, in whatever ways, one stays.
func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	ctx := b.someKey()
	var ways []string
	for way := range ends {
		ways = append(ways, way)
	}
	rounds := len(ways)
	if *long {
		rounds *= len(ways)
	}
	for i := range rounds {
		pair := []administrator{b.administrator(fmt.Sprintf("a%d", i)), b.administrator(fmt.Sprintf("b%d", i))}
		ended := []string{ways[i%len(ways)], ways[(i*3+i/len(ways))%len(ways)]}
		refused := -1
		for j, err := range race(2, func(j int) error { return ends[ended[j]](ctx, b, pair[j]) }) {
			switch {
			case problem.Is(err, problem.LastAdministrator) && refused < 0:
				refused = j
			case err != nil:
				t.Errorf("%v: %v", ended, err)
			case j == 1 && refused < 0:
				t.Fatalf("%v: nobody is left", ended)
			}
		}
		if refused < 0 {
			continue
		}
		for _, way := range ended { // TestLastingAdministrators tries all of them
			if err := ends[way](ctx, b, pair[refused]); !problem.Is(err, problem.LastAdministrator) {
				t.Errorf("%s: %v, want LAST_ADMINISTRATOR", way, err)
			}
		}
		// It is one too many for the next round.
		if _, err := b.db.NewRaw("update api_keys set revoked_at = now() where id = ?", pair[refused].key.ID).Exec(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Only who can administer the business from now on without end counts as another
// administrator: a person too, but by a key that stands for them.
func TestLastingAdministrators(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	actor := *access.System("")
	actor.Key = &db.APIKey{ID: db.NewID[db.APIKeyKind](), CreatedBy: access.System("setup").String()} // the business answers for what it makes
	ctx := access.WithActor(t.Context(), &actor)
	last := b.administrator("last")
	role := roleRefs("roster-administrator")
	friday := new(time.Now().Add(72 * time.Hour))
	grant := func(ctx context.Context, name string, startsAt, endsAt *time.Time) {
		t.Helper()
		must(b.GrantRoles(ctx, directory.GrantRolesInput{
			Organization: root, Users: []*directory.UserRef{{Username: &name}}, Roles: role, StartsAt: startsAt, EndsAt: endsAt,
		}))(t)
	}
	key := func(ctx context.Context, in directory.CreateAPIKeyInput) {
		t.Helper()
		in.Name, in.Permissions = "x", systemPermissions()
		made, _, err := b.CreateAPIKey(access.WithActor(ctx, access.System("test")), in)
		must(made, err)(t)
	}
	acme := orgID(b.organization("acme"))
	for name, c := range map[string]struct {
		make func(ctx context.Context, ref *directory.UserRef)
		// counts is whether what make makes is an administrator.
		counts bool
	}{
		"key": {func(ctx context.Context, _ *directory.UserRef) { key(ctx, directory.CreateAPIKeyInput{}) }, true},
		"key-with-an-end": {func(ctx context.Context, _ *directory.UserRef) {
			key(ctx, directory.CreateAPIKeyInput{ExpiresAt: friday})
		}, false},
		"key-of-an-organization": {func(ctx context.Context, _ *directory.UserRef) {
			key(ctx, directory.CreateAPIKeyInput{Organization: &acme})
		}, false},
		"key-that-lacks-something": {func(ctx context.Context, _ *directory.UserRef) {
			made, _, err := b.CreateAPIKey(access.WithActor(ctx, access.System("test")), directory.CreateAPIKeyInput{Name: "x", Permissions: systemPermissions()[1:]})
			must(made, err)(t)
		}, false},
		"person": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, nil, nil)
			key(ctx, directory.CreateAPIKeyInput{User: ref})
		}, true},
		"person-until-friday": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, nil, friday)
			key(ctx, directory.CreateAPIKeyInput{User: ref})
		}, false},
		"person-from-friday-on": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, friday, nil)
			key(ctx, directory.CreateAPIKeyInput{User: ref})
		}, false},
		"person-with-another-grant-without-end": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, nil, friday)
			grant(ctx, *ref.Username, nil, nil)
			key(ctx, directory.CreateAPIKeyInput{User: ref})
		}, true},
		"person-without-a-key": {func(ctx context.Context, ref *directory.UserRef) { grant(ctx, *ref.Username, nil, nil) }, false},
		"person-with-a-key-until-friday": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, nil, nil)
			key(ctx, directory.CreateAPIKeyInput{User: ref, ExpiresAt: friday})
		}, false},
		"person-who-is-suspended": {func(ctx context.Context, ref *directory.UserRef) {
			grant(ctx, *ref.Username, nil, nil)
			key(ctx, directory.CreateAPIKeyInput{User: ref})
			must(b.SuspendUser(ctx, directory.UserActionInput{User: *ref}))(t)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ref := userID(b.user(name))
			must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: []*directory.UserRef{ref}}))(t)
			ref = &directory.UserRef{Username: &name}
			for way, end := range ends {
				// Undone, so that the cases do not meet.
				err := b.Writer.DryRun(ctx, func(ctx context.Context) error {
					c.make(access.WithActor(ctx, access.System("test")), ref)
					return end(ctx, b, last)
				})
				if refused := problem.Is(err, problem.LastAdministrator); refused == c.counts || err != nil && !refused {
					t.Errorf("%s: %v", way, err)
				}
			}
		})
	}
}
