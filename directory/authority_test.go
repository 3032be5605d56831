package directory_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/directory"
	"roster/problem"
)

// Nobody hands out what they do not hold, by any of the paths of this package
// that lead to a role, a key or a permission. Each line is an actor, the
// permissions it holds besides those that it needs to come here at all (in the
// organization "acme" when it begins with @), and whether it may hand out an
// ordinary permission (p), one that it does not know (q) and a system one (s).
func TestEscalation(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme := "acme"
	member := []*directory.UserRef{userID(b.user("member", b.organization(acme)))}
	b.definePermissions("p", "q")
	system := string(access.ImportsWrite)
	for _, key := range []string{"p", "q"} {
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "with-" + key, Permissions: permissionRefs(key)}))(t)
	}
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "empty"}))(t)
	nameOf := func(key string) string { return strings.ReplaceAll(key, ":", "-") }
	// Some of what is granted with each of the permissions is suspended: a member, with
	// grants of now and to come, and an organization, with a member who has a role there.
	for _, key := range []string{"p", "q", system} {
		name := nameOf(key)
		user := b.user("suspended-"+name, b.organization("kept "+name))
		must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
			Organization: orgCode("kept-" + name), Users: []*directory.UserRef{userID(user)}, Permissions: permissionRefs(key), StartsAt: new(time.Now().Add(time.Hour)),
		}))(t)
		must(b.SuspendUser(b.ctx, directory.UserActionInput{User: *userID(user)}))(t)
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "of-" + name, Permissions: permissionRefs(key)}))(t)
		org := b.organization("suspended " + name)
		b.user("in-"+name, org)
		must(0, b.grantRole("in-"+name, org.Code, "of-"+name))(t)
		must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(org)}))(t)
		keyed := orgID(b.organization("keyed " + name))
		made, _, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: "x", Permissions: permissionRefs(key), Organization: &keyed})
		must(made, err)(t)
		must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: keyed}))(t)
		must(b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "joined " + name, DefaultRoles: roleRefs("of-" + name)}))(t)
	}
	roleOf := func(key string) []*directory.RoleRef { return roleRefs("of-" + nameOf(key)) }

	paths := map[string]func(ctx context.Context, key string) error{
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
		needed := []access.Permission{access.RolesWrite, access.KeysWrite, access.UsersWrite, access.OrganizationsWrite, access.MembersWrite, access.SettingsWrite}
		held := strings.Fields(holds)
		for _, p := range needed {
			held = append(held, string(p))
		}
		ctx := b.holding(in, held...)
		for path, do := range paths {
			for short, key := range map[string]string{"p": "p", "q": "q", "s": system} {
				if short == "s" && (path == "make role default" || path == "make role default in settings") {
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
