package directory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
)

// handouts returns the paths of this package that lead to a role, a key or a permission,
// each with what is handed out by it for good, which is a permission: the ordinary ones p
// and q, or a system one. It prepares the business for them, and the organization acme.
func (b *business) handouts() map[string]func(ctx context.Context, key string) error {
	b.t.Helper()
	acme := "acme"
	member := []*directory.UserRef{userID(b.user("member", b.organization(acme)))}
	b.definePermissions("p", "q")
	system := string(access.ImportsWrite)
	for _, key := range []string{"p", "q"} {
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "with-" + key, Permissions: permissionRefs(key)}))(b.t)
	}
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "empty"}))(b.t)
	nameOf := func(key string) string { return strings.ReplaceAll(key, ":", "-") }
	// Some of what is granted with each of the permissions is suspended: a member, with
	// grants of now and to come, and an organization, with a member who has a role there.
	for _, key := range []string{"p", "q", system} {
		name := nameOf(key)
		user := b.user("suspended-"+name, b.organization("kept "+name))
		must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
			Organization: orgCode("kept-" + name), Users: []*directory.UserRef{userID(user)}, Permissions: permissionRefs(key), StartsAt: new(time.Now().Add(time.Hour)),
		}))(b.t)
		must(b.SuspendUser(b.ctx, directory.UserActionInput{User: *userID(user)}))(b.t)
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "of-" + name, Permissions: permissionRefs(key)}))(b.t)
		org := b.organization("suspended " + name)
		b.user("in-"+name, org)
		must(0, b.grantRole("in-"+name, org.Code, "of-"+name))(b.t)
		must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(org)}))(b.t)
		keyed := orgID(b.organization("keyed " + name))
		made, _, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: "x", Permissions: permissionRefs(key), Organization: &keyed})
		must(made, err)(b.t)
		must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: keyed}))(b.t)
		if key != system {
			must(b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "joined " + name, DefaultRoles: roleRefs("of-" + name)}))(b.t)
		}
	}
	roleOf := func(key string) []*directory.RoleRef { return roleRefs("of-" + nameOf(key)) }

	return map[string]func(ctx context.Context, key string) error{
		"create role": func(ctx context.Context, key string) error {
			_, err := b.CreateRole(ctx, directory.CreateRoleInput{Key: "x", Permissions: permissionRefs(key)})
			return err
		},
		"add to role": func(ctx context.Context, key string) error {
			_, err := b.AddRolePermissions(ctx, contents("empty", key))
			return err
		},
		"create key": func(ctx context.Context, key string) error {
			_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", Permissions: permissionRefs(key)})
			return err
		},
		"create key in acme": func(ctx context.Context, key string) error {
			_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{
				Name: "x", Permissions: permissionRefs(key), Organization: &directory.OrganizationRef{Code: &acme},
			})
			return err
		},
		"restore user": func(ctx context.Context, key string) error {
			_, err := b.RestoreUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: new("suspended-" + nameOf(key))}})
			return err
		},
		"restore organization": func(ctx context.Context, key string) error {
			_, err := b.RestoreOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("suspended-" + nameOf(key))})
			return err
		},
		"restore organization with key": func(ctx context.Context, key string) error {
			_, err := b.RestoreOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("keyed-" + nameOf(key))})
			return err
		},
		"grant role in acme": func(ctx context.Context, key string) error {
			_, err := b.GrantRoles(ctx, directory.GrantRolesInput{Organization: orgCode(acme), Users: member, Roles: roleOf(key)})
			return err
		},
		"grant permission in acme": func(ctx context.Context, key string) error {
			_, err := b.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: orgCode(acme), Users: member, Permissions: permissionRefs(key)})
			return err
		},
		"add member with role in acme": func(ctx context.Context, key string) error {
			_, err := b.AddMembers(ctx, directory.AddMembersInput{Organization: orgCode(acme), Users: member, Roles: roleOf(key)})
			return err
		},
		"create user with role": func(ctx context.Context, key string) error {
			_, err := b.CreateUser(ctx, directory.CreateUserInput{Username: new("x"), Organizations: []*directory.OrganizationRef{{Code: &acme}}, Roles: roleOf(key)})
			return err
		},
		"move member": func(ctx context.Context, key string) error {
			_, err := b.MoveMember(ctx, directory.MoveMemberInput{
				User: directory.UserRef{Username: new("suspended-" + nameOf(key))}, From: orgCode("kept-" + nameOf(key)), To: orgCode(acme), KeepGrants: true,
			})
			return err
		},
		"make role default in settings": func(ctx context.Context, key string) error {
			_, err := b.UpdateSettings(ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf(roleOf(key))})
			return err
		},
		"make role default of organization": func(ctx context.Context, key string) error {
			_, err := b.UpdateOrganization(ctx, directory.UpdateOrganizationInput{Organization: orgCode(acme), DefaultRoles: graphql.OmittableOf(roleOf(key))})
			return err
		},
		"make organization default": func(ctx context.Context, key string) error {
			_, err := b.UpdateSettings(ctx, directory.UpdateSettingsInput{DefaultOrganization: graphql.OmittableOf(new(orgCode("joined-" + nameOf(key))))})
			return err
		},
		"make role default": func(ctx context.Context, key string) error {
			_, err := b.UpdateRole(ctx, directory.UpdateRoleInput{Role: roleRef("with-" + key), IsDefault: graphql.OmittableOf(new(true))})
			return err
		},
	}
}

// needed are the permissions by which one comes upon these paths at all.
var needed = []access.Permission{
	access.RolesWrite, access.KeysWrite, access.UsersWrite, access.OrganizationsWrite, access.MembersWrite, access.SettingsWrite,
}

// Nobody hands out what they do not hold, by any path. Each line is an actor, the
// permissions it holds besides those that it needs to come here at all (in the
// organization "acme" when it begins with @), and whether it may hand out an
// ordinary permission (p), one that it does not know (q) and a system one (s).
func TestEscalation(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	paths := b.handouts()
	const acme, system = "acme", string(access.ImportsWrite)
	const anything = string(access.GrantsAny)
	for _, c := range []struct {
		holds   string
		allowed string
	}{
		{"", ""},
		{"p", "p"},
		{anything, "pq"},
		{anything + " " + system, "pqs"},
		{system, "s"},
		{"@p", "p"},
		{"@" + anything, "pq"},
		{"@" + system, "s"},
	} {
		holds, bound := strings.CutPrefix(c.holds, "@")
		in := ""
		if bound {
			in = acme
		}
		held := strings.Fields(holds)
		for _, p := range needed {
			held = append(held, string(p))
		}
		ctx := b.holding(in, held...)
		for path, do := range paths {
			for short, key := range map[string]string{"p": "p", "q": "q", "s": system} {
				if short == "s" && strings.Contains(path, "default") {
					continue // such a role cannot be a default one at all
				}
				t.Run(strings.Join([]string{c.holds, path, short}, "/"), func(t *testing.T) {
					// Undone, so that the cases do not meet.
					err := b.Writer.DryRun(ctx, func(ctx context.Context) error { return do(ctx, key) })
					switch {
					case bound && path == "move member":
						wantFaults(t, err, "NOT_FOUND input.from")
					case bound && !strings.HasSuffix(path, "in acme"):
						wantFaults(t, err, "FORBIDDEN ")
					case strings.Contains(c.allowed, short):
						wantFaults(t, err, "")
					case short == "s" && (path == "restore user" || path == "move member"):
						wantFaults(t, err, "FORBIDDEN input.user") // which is about rank
					default:
						wantFaults(t, err, "ESCALATION ")
						if err != nil && !strings.Contains(err.Error(), key) {
							t.Errorf("does not say what is missing: %v", err)
						}
					}
				})
			}
		}
	}

	// A write does not hand out again what is there already; renaming a permission hands
	// out the new key to all who hold the old one.
	ctx := b.holding("", string(access.RolesWrite), "p")
	_, err := b.AddRolePermissions(ctx, contents("with-q", "q"))
	wantFaults(t, err, "")
	_, err = b.UpdatePermission(ctx, directory.UpdatePermissionInput{Permission: permissionRef("p"), Key: graphql.OmittableOf(new("r"))})
	wantFaults(t, err, "ESCALATION ")
	_, err = b.UpdatePermission(ctx, directory.UpdatePermissionInput{Permission: permissionRef("q"), Name: graphql.OmittableOf(new("r"))})
	wantFaults(t, err, "")

	// All that is missing is named, together with what else is wrong.
	_, err = b.CreateRole(ctx, directory.CreateRoleInput{Key: "!", Permissions: permissionRefs("q", "none", system, "p")})
	wantFaults(t, err, "ESCALATION , INVALID input.key, NOT_FOUND input.permissions.1")
	if all := problem.All(err); all[len(all)-1].Message != "You cannot hand out what you do not hold: q, roster:imports:write." {
		t.Error(err)
	}
}

// Nothing that is handed out outlives what lets the actor do it: the grant of the
// permission, or of the permission by which the actor hands it out. The fault names the
// moment.
func TestAuthorityEnds(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	paths := b.handouts()
	friday := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Microsecond)
	const anything = string(access.GrantsAny)
	writes := make([]string, len(needed))
	for i, p := range needed {
		writes[i] = string(p)
	}
	// actor returns a context on which the key of a new user acts, who holds some
	// permissions for good and others until Friday.
	actor := func(t *testing.T, name string, forGood, ending []string) context.Context {
		t.Helper()
		user := []*directory.UserRef{userID(b.user(name))}
		must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: user}))(t)
		must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{Organization: root, Users: user, Permissions: permissionRefs(forGood...)}))(t)
		// Two grants that follow each other count as one; what comes after a gap does not.
		for _, term := range [][2]*time.Time{{nil, new(friday.Add(-time.Hour))}, {new(friday.Add(-time.Hour)), &friday}, {new(friday.Add(time.Minute)), nil}} {
			must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
				Organization: root, Users: user, Permissions: permissionRefs(ending...), StartsAt: term[0], EndsAt: term[1],
			}))(t)
		}
		_, shown := b.keyOf(*user[0], "", slices.Concat(forGood, ending)...)
		return access.WithActor(t.Context(), must(b.Authenticate(t.Context(), shown, ""))(t))
	}
	for name, ctx := range map[string]context.Context{
		"what one holds":         actor(t, "one", writes, []string{anything}),
		"what one hands out by":  actor(t, "two", []string{anything}, writes),
		"everything that counts": actor(t, "three", []string{string(access.UsersRead)}, append([]string{anything}, writes...)),
	} {
		for path, do := range paths {
			t.Run(name+"/"+path, func(t *testing.T) {
				err := b.Writer.DryRun(ctx, func(ctx context.Context) error { return do(ctx, "q") })
				wantFaults(t, err, "ESCALATION ")
				if err != nil && !strings.Contains(err.Error(), "until "+friday.Format(time.RFC3339Nano)) {
					t.Errorf("does not say until when: %v", err)
				}
			})
		}
		for path, do := range map[string]func(ctx context.Context, endsAt *time.Time) error{
			"grant role": func(ctx context.Context, endsAt *time.Time) error {
				_, err := b.GrantRoles(ctx, directory.GrantRolesInput{Organization: orgCode("acme"), Users: []*directory.UserRef{{Username: new("member")}}, Roles: roleRefs("with-q"), EndsAt: endsAt})
				return err
			},
			"grant permission": func(ctx context.Context, endsAt *time.Time) error {
				_, err := b.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: orgCode("acme"), Users: []*directory.UserRef{{Username: new("member")}}, Permissions: permissionRefs("q"), EndsAt: endsAt})
				return err
			},
			"create key": func(ctx context.Context, endsAt *time.Time) error {
				_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", Permissions: permissionRefs("q"), ExpiresAt: endsAt})
				return err
			},
			"restore user": func(ctx context.Context, endsAt *time.Time) error {
				returning := []*directory.UserRef{userID(b.user("returning-"+db.NewID[db.UserKind]().String(), must(b.Organization(b.ctx, orgCode("acme"), nil))(t)))}
				must(b.GrantRoles(b.ctx, directory.GrantRolesInput{Organization: orgCode("acme"), Users: returning, Roles: roleRefs("with-q"), EndsAt: endsAt}))(t)
				must(b.SuspendUser(b.ctx, directory.UserActionInput{User: *returning[0]}))(t)
				_, err := b.RestoreUser(ctx, directory.UserActionInput{User: *returning[0]})
				return err
			},
			"move member": func(ctx context.Context, endsAt *time.Time) error {
				org := b.organization("from " + db.NewID[db.UserKind]().String())
				moving := []*directory.UserRef{userID(b.user("moving-"+org.Code, org))}
				must(b.GrantRoles(b.ctx, directory.GrantRolesInput{Organization: orgID(org), Users: moving, Roles: roleRefs("with-q"), EndsAt: endsAt}))(t)
				_, err := b.MoveMember(ctx, directory.MoveMemberInput{User: *moving[0], From: orgID(org), To: orgCode("acme"), KeepGrants: true})
				return err
			},
		} {
			t.Run(name+"/"+path+" until then", func(t *testing.T) {
				for endsAt, want := range map[time.Time]string{friday: "", friday.Add(-time.Minute): "", friday.Add(time.Microsecond): "ESCALATION "} {
					wantFaults(t, do(ctx, &endsAt), want)
				}
			})
		}
	}
}

// A holder of a role until Friday does not get it for longer by granting it to themselves.
func TestAuthorityOverOneself(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("p")
	eve := []*directory.UserRef{userID(b.user("eve", b.organization("acme")))}
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "leaving", Permissions: permissionRefs("p", string(access.MembersWrite), string(access.KeysWrite))}))(t)
	friday := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Microsecond)
	grant := func(ctx context.Context, endsAt *time.Time) error {
		_, err := b.GrantRoles(ctx, directory.GrantRolesInput{Organization: orgCode("acme"), Users: eve, Roles: roleRefs("leaving"), EndsAt: endsAt})
		return err
	}
	must(0, grant(b.ctx, &friday))(t)
	_, shown := b.keyOf(*eve[0], "acme", "p", string(access.MembersWrite), string(access.KeysWrite))
	ctx := access.WithActor(t.Context(), must(b.Authenticate(t.Context(), shown, ""))(t))
	for endsAt, want := range map[*time.Time]string{nil: "ESCALATION ", new(friday.Add(time.Hour)): "ESCALATION ", &friday: "", new(friday.Add(-time.Hour)): ""} {
		wantFaults(t, grant(ctx, endsAt), want)
	}
	// A permission that is taken away meanwhile is not handed out, whatever the key could do when the
	// request began.
	must(b.RevokeRoles(b.ctx, directory.RevokeRolesInput{Organization: orgCode("acme"), Users: eve, Roles: roleRefs("leaving")}))(t)
	wantFaults(t, grant(ctx, &friday), "ESCALATION ")
}

// A key makes no key that outlives it, but what it grants may stay for good.
func TestExpiryOfACredentialBoundsCredentials(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("p")
	b.user("ada", b.organization("acme"))
	soon := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	made, shown, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{
		Name: "provisioning", Permissions: permissionRefs("p", string(access.MembersWrite), string(access.KeysWrite)), ExpiresAt: &soon,
	})
	must(made, err)(t)
	ctx := access.WithActor(t.Context(), must(b.Authenticate(t.Context(), shown, ""))(t))
	for endsAt, want := range map[*time.Time]string{nil: "ESCALATION ", new(soon.Add(time.Microsecond)): "ESCALATION ", &soon: ""} {
		for _, permissions := range [][]string{nil, {"p"}} {
			_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", Permissions: permissionRefs(permissions...), ExpiresAt: endsAt})
			wantFaults(t, err, want)
			if err != nil && !strings.Contains(err.Error(), "until "+soon.Format(time.RFC3339Nano)) {
				t.Errorf("does not say until when: %v", err)
			}
		}
	}
	_, err = b.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: orgCode("acme"), Users: []*directory.UserRef{&ada}, Permissions: permissionRefs("p")})
	wantFaults(t, err, "")
}

// Nobody is placed into an organization by somebody who must not add members there, except
// into the default one; and newcomers get no system permissions, whichever way a role and
// the defaults are edited.
func TestPlacesAndDefaults(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.organization("victim")
	b.definePermissions("p")
	b.role("plain", permissionRefs("p")...)
	b.role("powerful", permissionRefs(string(access.UsersRead))...)
	create := func(ctx context.Context, roles []*directory.RoleRef, orgs ...string) error {
		in := directory.CreateUserInput{Username: new("new-" + db.NewID[db.UserKind]().String()), Roles: roles}
		for _, org := range orgs {
			in.Organizations = append(in.Organizations, new(orgCode(org)))
		}
		return noResult(b.CreateUser(ctx, in))
	}
	users := b.holding("", string(access.UsersWrite), "p")
	wantFaults(t, create(users, nil), "")
	wantFaults(t, create(users, []*directory.RoleRef{}, "default"), "")
	wantFaults(t, create(users, nil, "victim"), "FORBIDDEN ")
	wantFaults(t, create(users, nil, "default", "victim"), "FORBIDDEN ")
	wantFaults(t, create(users, roleRefs("plain")), "FORBIDDEN ") // which would be a grant
	wantFaults(t, create(b.holding("", string(access.UsersWrite), string(access.MembersWrite), "p"), roleRefs("plain"), "victim"), "")
	wantFaults(t, noResult(b.UpdateSettings(b.holding("", string(access.SettingsWrite)),
		directory.UpdateSettingsInput{DefaultOrganization: graphql.OmittableOf(new(orgCode("victim")))})), "FORBIDDEN ")

	defaults := func(roles ...string) directory.UpdateOrganizationInput {
		return directory.UpdateOrganizationInput{Organization: orgCode("victim"), DefaultRoles: graphql.OmittableOf(roleRefs(roles...))}
	}
	wantFaults(t, noResult(b.UpdateOrganization(b.ctx, defaults("plain", "powerful"))), "INVALID input.defaultRoles")
	wantFaults(t, noResult(b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "x", DefaultRoles: roleRefs("powerful")})), "INVALID input.defaultRoles")
	must(b.UpdateOrganization(b.ctx, defaults("plain")))(t)
	wantFaults(t, noResult(b.AddRolePermissions(b.ctx, contents("plain", string(access.UsersRead)))), "INVALID input.permissions")
	must(b.UpdateOrganization(b.ctx, defaults()))(t)
	must(b.AddRolePermissions(b.ctx, contents("plain", string(access.UsersRead))))(t)
	wantFaults(t, noResult(b.UpdateOrganization(b.ctx, defaults("plain"))), "INVALID input.defaultRoles")
	// One becomes a default role while it gets a system permission: one of the two is refused.
	for i := range 10 {
		role := b.role(fmt.Sprint("role", i)).Key
		refused := 0
		for _, err := range race(2, func(i int) error {
			if i == 0 {
				return noResult(b.UpdateOrganization(b.ctx, defaults(role)))
			}
			return noResult(b.AddRolePermissions(b.ctx, contents(role, string(access.UsersRead))))
		}) {
			if problem.Is(err, problem.Invalid) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused != 1 {
			t.Errorf("%d of the two were refused", refused)
		}
	}
}
