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
	"roster/db/list"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

func permissionRefs(keys ...string) []*directory.PermissionRef {
	refs := make([]*directory.PermissionRef, len(keys))
	for i := range keys {
		refs[i] = &directory.PermissionRef{Key: &keys[i]}
	}
	return refs
}

func roleRefs(keys ...string) []*directory.RoleRef {
	refs := make([]*directory.RoleRef, len(keys))
	for i := range keys {
		refs[i] = &directory.RoleRef{Key: &keys[i]}
	}
	return refs
}

func roleRef(key string) directory.RoleRef { return directory.RoleRef{Key: &key} }

func permissionRef(key string) directory.PermissionRef { return directory.PermissionRef{Key: &key} }

func contents(role string, permissions ...string) directory.RolePermissionsInput {
	return directory.RolePermissionsInput{Role: roleRef(role), Permissions: permissionRefs(permissions...)}
}

func keysOf(permissions []*db.Permission) string {
	keys := make([]string, len(permissions))
	for i, p := range permissions {
		keys[i] = p.Key
	}
	return strings.Join(keys, " ")
}

// definePermissions makes permissions with those keys.
func (b *business) definePermissions(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		must(b.CreatePermission(b.ctx, directory.CreatePermissionInput{Key: key}))(b.t)
	}
}

func (b *business) grantRole(username, organization, role string) error {
	_, err := b.GrantRoles(b.ctx, directory.GrantRolesInput{
		Organization: directory.OrganizationRef{Code: &organization}, Users: []*directory.UserRef{{Username: &username}}, Roles: roleRefs(role),
	})
	return err
}

// holding returns the context of a request with an API key that holds the
// permissions; in one organization only, unless its code is empty.
func (b *business) holding(organization string, permissions ...string) context.Context {
	b.t.Helper()
	_, shown := b.key(organization, permissions...)
	return access.WithActor(b.t.Context(), must(b.Authenticate(b.t.Context(), shown, ""))(b.t))
}

func (b *business) key(organization string, permissions ...string) (*db.APIKey, secret.Text) {
	b.t.Helper()
	in := directory.CreateAPIKeyInput{Name: "a key", Permissions: permissionRefs(permissions...)}
	if organization != "" {
		in.Organization = &directory.OrganizationRef{Code: &organization}
	}
	key, shown, err := b.CreateAPIKey(b.ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return key, shown
}

// one reads one value from the database itself.
func one[T any](b *business, text string, args ...any) T {
	b.t.Helper()
	return *must(db.SelectOne[T](b.t.Context(), b.db, text, args...))(b.t)
}

// A role is created, changed and deleted. The permissions that it contained at each
// moment stay on record.
func TestRoleLifeCycle(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a:read", "b:read", "c:read")
	b.user("ada")
	role := must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "clerk", Permissions: permissionRefs("a:read", "A:READ")}))(t)
	if role.Name != "clerk" || role.Version != 1 {
		t.Errorf("created %+v", role)
	}
	if err := b.grantRole("ada", "default", "clerk"); err != nil {
		t.Fatal(err)
	}

	type moment struct {
		at       time.Time
		contains string
	}
	var history []moment
	for i, step := range []struct {
		do       func() (*db.Role, error)
		version  int
		contains string
	}{
		{func() (*db.Role, error) {
			return b.AddRolePermissions(b.ctx, contents("Clerk", "c:read", "a:read", "b:read", "b:read"))
		}, 2, "a:read b:read c:read"},
		{func() (*db.Role, error) { return b.AddRolePermissions(b.ctx, contents("clerk", "b:read")) }, 2, "a:read b:read c:read"},
		{func() (*db.Role, error) { return b.AddRolePermissions(b.ctx, contents("clerk")) }, 2, "a:read b:read c:read"},
		{func() (*db.Role, error) { return b.RemoveRolePermissions(b.ctx, contents("clerk", "b:read", "b:read")) }, 3, "a:read c:read"},
		{func() (*db.Role, error) { return b.RemoveRolePermissions(b.ctx, contents("clerk", "b:read")) }, 3, "a:read c:read"},
		{func() (*db.Role, error) { return b.AddRolePermissions(b.ctx, contents("clerk", "b:read")) }, 4, "a:read b:read c:read"},
		{func() (*db.Role, error) {
			return b.UpdateRole(b.ctx, directory.UpdateRoleInput{
				Role: directory.RoleRef{ID: new(role.ID.String())}, IfVersion: new(4), Key: graphql.OmittableOf(new("writer")), Name: graphql.OmittableOf((*string)(nil)),
			})
		}, 5, "a:read b:read c:read"},
		{func() (*db.Role, error) {
			return b.UpdateRole(b.ctx, directory.UpdateRoleInput{Role: roleRef("writer"), Key: graphql.OmittableOf(new("writer"))})
		}, 5, "a:read b:read c:read"},
		{func() (*db.Role, error) {
			_, err := b.DeletePermission(b.ctx, directory.PermissionActionInput{Permission: permissionRef("c:read")})
			return must(b.Role(b.ctx, roleRef("writer")))(t), err
		}, 6, "a:read b:read"},
	} {
		result, err := step.do()
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		now := keysOf(must(b.RolePermissions(b.ctx, []db.RoleID{role.ID}))(t)[0])
		if result.Version != step.version || now != step.contains {
			t.Errorf("step %d: version %d contains %q; want %d and %q", i, result.Version, now, step.version, step.contains)
		}
		history = append(history, moment{one[time.Time](b, "select clock_timestamp()"), step.contains})
	}

	ids := must(b.DeleteRole(b.ctx, directory.RoleActionInput{Role: roleRef("writer")}))(t)
	if !slices.Equal(ids, []string{role.ID.String()}) {
		t.Errorf("deleted %v", ids)
	}
	if found := must(b.Role(b.ctx, directory.RoleRef{ID: &ids[0]}))(t); found != nil {
		t.Errorf("a deleted role is still found: %+v", found)
	}
	tombstone := must(b.RolesByID(b.ctx, []db.RoleID{db.NewID[db.RoleKind](), role.ID}))(t)
	if tombstone[0] != nil || tombstone[1].Name != "writer" || tombstone[1].DeletedAt == nil {
		t.Errorf("by id %+v", tombstone)
	}
	for _, m := range history {
		then := one[string](b, `select coalesce(string_agg(p.key, ' ' order by p.key), '') from role_permissions rp join permissions p on p.id = rp.permission_id
			where rp.role_id = $1 and rp.granted_at <= $2 and (rp.revoked_at is null or rp.revoked_at > $2)`, role.ID, m.at)
		if then != m.contains {
			t.Errorf("as of %v it contained %q; on record is %q", m.at, m.contains, then)
		}
	}
	if n := one[int](b, "select count(*) from role_permissions where role_id = $1 and revoked_by = 'system:test'", role.ID); n != 4 {
		t.Errorf("%d facts have ended, want 4", n)
	}
	if n := one[int](b, "select count(*) from membership_roles where role_id = $1 and not live and revoked_at >= granted_at and revoked_by = 'system:test'", role.ID); n != 1 {
		t.Error("the grant has not ended")
	}
	log := one[string](b, "select string_agg(action || coalesce(' ' || (before->'permissions')::text, '') || coalesce(' → ' || (after->'permissions')::text, ''), E'\n' order by at, id) from changes where subject = $1", role.ID.String())
	if want := strings.Join([]string{
		`role.created → ["a:read"]`,
		`role.permissions.added → ["b:read", "c:read"]`,
		`role.permissions.removed ["b:read"]`,
		`role.permissions.added → ["b:read"]`,
		`role.updated`,
		`role.permissions.removed ["c:read"]`,
		`role.deleted ["a:read", "b:read"]`,
	}, "\n"); log != want {
		t.Errorf("the log says\n%s\nwant\n%s", log, want)
	}
	if n := one[int](b, "select (before->>'grants')::int from changes where action = 'role.deleted'"); n != 1 {
		t.Errorf("the log says that %d grants ended", n)
	}
}

// All faults are reported at once, in the terms of the schema.
func TestDefinitionFaults(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a:read", "b:read")
	for _, key := range []string{"one", "two"} {
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: key, Permissions: permissionRefs("a:read")}))(t)
	}
	createRole := func(in directory.CreateRoleInput) error { _, err := b.CreateRole(b.ctx, in); return err }
	updateRole := func(in directory.UpdateRoleInput) error { _, err := b.UpdateRole(b.ctx, in); return err }
	createPermission := func(in directory.CreatePermissionInput) error { _, err := b.CreatePermission(b.ctx, in); return err }
	updatePermission := func(in directory.UpdatePermissionInput) error { _, err := b.UpdatePermission(b.ctx, in); return err }
	add := func(in directory.RolePermissionsInput) error { _, err := b.AddRolePermissions(b.ctx, in); return err }
	remove := func(in directory.RolePermissionsInput) error {
		_, err := b.RemoveRolePermissions(b.ctx, in)
		return err
	}
	deleteRole := func(by directory.RoleRef) error {
		_, err := b.DeleteRole(b.ctx, directory.RoleActionInput{Role: by})
		return err
	}
	deletePermission := func(by directory.PermissionRef) error {
		_, err := b.DeletePermission(b.ctx, directory.PermissionActionInput{Permission: by})
		return err
	}
	long, missing := strings.Repeat("x", 3000), db.NewID[db.RoleKind]().String()
	administrator, usersRead := "roster-administrator", string(access.UsersRead)

	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"everything": {
			createRole(directory.CreateRoleInput{
				Key: "Not a key", Name: &long, Description: new("a\x00b"), IsDefault: true,
				Permissions: append(permissionRefs("a:read", "no\x00ne", usersRead), &directory.PermissionRef{ID: new("perm_what")}, &directory.PermissionRef{}),
			}),
			"INVALID input.description, INVALID input.isDefault, INVALID input.key, INVALID input.name, NOT_FOUND input.permissions.1, NOT_FOUND input.permissions.3, NOT_FOUND input.permissions.4"},
		"too many":                         {createRole(directory.CreateRoleInput{Key: "x", Permissions: make([]*directory.PermissionRef, 1001)}), "INVALID input.permissions"},
		"reserved role":                    {createRole(directory.CreateRoleInput{Key: "roster-x"}), "INVALID input.key"},
		"reserved permission":              {createPermission(directory.CreatePermissionInput{Key: "roster:x"}), "INVALID input.key"},
		"role key taken":                   {createRole(directory.CreateRoleInput{Key: "one"}), "CONFLICT input.key"},
		"permission key taken":             {createPermission(directory.CreatePermissionInput{Key: "a:read"}), "CONFLICT input.key"},
		"other role's key":                 {updateRole(directory.UpdateRoleInput{Role: roleRef("one"), Key: graphql.OmittableOf(new("two"))}), "CONFLICT input.key"},
		"other permission's key":           {updatePermission(directory.UpdatePermissionInput{Permission: permissionRef("b:read"), Key: graphql.OmittableOf(new("a:read"))}), "CONFLICT input.key"},
		"update to nothing":                {updateRole(directory.UpdateRoleInput{Role: roleRef("one"), IfVersion: new(7), Key: graphql.OmittableOf((*string)(nil)), IsDefault: graphql.OmittableOf((*bool)(nil))}), "CONFLICT input.ifVersion, INVALID input.isDefault, INVALID input.key"},
		"reserved by update":               {updateRole(directory.UpdateRoleInput{Role: roleRef("one"), Key: graphql.OmittableOf(new("roster-x"))}), "INVALID input.key"},
		"reserved by permission update":    {updatePermission(directory.UpdatePermissionInput{Permission: permissionRef("a:read"), Key: graphql.OmittableOf(new("roster:x"))}), "INVALID input.key"},
		"no such role":                     {updateRole(directory.UpdateRoleInput{Role: directory.RoleRef{ID: &missing}}), "NOT_FOUND input.role"},
		"no such permission":               {deletePermission(permissionRef("none")), "NOT_FOUND input.permission"},
		"no such role to add to":           {add(contents("none", "a:read")), "NOT_FOUND input.role"},
		"no such permission to add":        {add(contents("one", "none")), "NOT_FOUND input.permissions.0"},
		"system role changed":              {updateRole(directory.UpdateRoleInput{Role: roleRef(administrator), Name: graphql.OmittableOf(new("x"))}), "FORBIDDEN input.role"},
		"system role deleted":              {deleteRole(roleRef(administrator)), "FORBIDDEN input.role"},
		"system role extended":             {add(contents(administrator, "a:read")), "FORBIDDEN input.role"},
		"system role reduced":              {remove(contents(administrator, usersRead)), "FORBIDDEN input.role"},
		"system permission changed":        {updatePermission(directory.UpdatePermissionInput{Permission: permissionRef(usersRead), Description: graphql.OmittableOf(new("x"))}), "FORBIDDEN input.permission"},
		"system permission deleted":        {deletePermission(permissionRef(usersRead)), "FORBIDDEN input.permission"},
		"default role becomes powerful":    {b.defaultRoleWith(usersRead), "INVALID input.permissions"},
		"powerful role becomes default":    {b.powerfulDefaultRole(usersRead), "INVALID input.isDefault"},
		"removing what it does not have":   {remove(contents("one", "b:read")), ""},
		"renaming a permission to its key": {updatePermission(directory.UpdatePermissionInput{Permission: permissionRef("a:read"), Key: graphql.OmittableOf(new("a:read"))}), ""},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, c.err, c.want) })
	}
}

func (b *business) defaultRoleWith(permission string) error {
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "newcomer", IsDefault: true}))(b.t)
	_, err := b.AddRolePermissions(b.ctx, contents("newcomer", permission))
	return err
}

func (b *business) powerfulDefaultRole(permission string) error {
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "powerful", Permissions: permissionRefs(permission)}))(b.t)
	_, err := b.UpdateRole(b.ctx, directory.UpdateRoleInput{Role: roleRef("powerful"), IsDefault: graphql.OmittableOf(new(true))})
	return err
}

// Lists come in the order of keys, cut and searched; an actor who may read
// definitions in one organization sees the same ones.
func TestDefinitionLists(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.organization("acme")
	b.definePermissions("b:write", "a:read", "a:write")
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "clerk", Name: new("Straße"), Permissions: permissionRefs("a:write", "a:read")}))(t)
	ctx := b.holding("acme", string(access.RolesRead))
	page := func(p list.Page, search string) string {
		t.Helper()
		c := must(b.Permissions(ctx, p, &search))(t)
		total := must(c.TotalCount(ctx))(t)
		return fmt.Sprint(keysOf(c.Nodes), " of ", total, c.PageInfo().HasPreviousPage, c.PageInfo().HasNextPage)
	}
	cursor := must(b.Permissions(ctx, list.Page{First: new(1)}, nil))(t).Edges()[0].Cursor()
	if got := page(list.Page{Last: new(2)}, ":write"); !strings.HasPrefix(got, "roster:settings:write roster:users:write of ") || !strings.HasSuffix(got, "true false") {
		t.Error(got)
	}
	if got := page(list.Page{First: new(2)}, ":WRITE"); !strings.HasPrefix(got, "a:write b:write of ") || !strings.HasSuffix(got, "false true") {
		t.Error(got)
	}
	if got := page(list.Page{First: new(1), After: &cursor}, "a:"); !strings.HasPrefix(got, "a:write of ") {
		t.Error(got)
	}
	if got := page(list.Page{}, "%"); got != " of 0 false false" {
		t.Error(got)
	}
	roles := must(b.Roles(ctx, list.Page{}, new("STRASSE")))(t)
	if len(roles.Nodes) != 1 || roles.Nodes[0].Key != "clerk" {
		t.Errorf("found %+v", roles.Nodes)
	}
	with := must(b.PermissionRoles(ctx, []db.PermissionID{
		must(b.Permission(ctx, permissionRef("b:write")))(t).ID, must(b.Permission(ctx, permissionRef("A:write")))(t).ID,
	}))(t)
	if len(with[0]) != 0 || len(with[1]) != 1 || with[1][0].ID != roles.Nodes[0].ID {
		t.Errorf("roles with them: %+v", with)
	}
	for _, id := range []string{"role_x", "\x00", db.NewID[db.RoleKind]().String()} {
		if found := must(b.Role(ctx, directory.RoleRef{ID: &id}))(t); found != nil {
			t.Errorf("%q is found", id)
		}
	}
	_, err := b.Roles(ctx, list.Page{First: new(0)}, nil)
	wantFaults(t, err, "INVALID first")
	if all := must(b.Permissions(ctx, list.Page{}, new(" ")))(t); len(all.Nodes) < 2 {
		t.Errorf("a search for nothing finds %+v", all.Nodes)
	}
	_, err = b.Permissions(ctx, list.Page{}, new(strings.Repeat("x", 201)))
	wantFaults(t, err, "INVALID search")
	_, err = b.Roles(b.holding("", string(access.UsersRead)), list.Page{}, nil)
	wantFaults(t, err, "FORBIDDEN ")
	_, err = b.RolePermissions(t.Context(), nil)
	wantFaults(t, err, "UNAUTHENTICATED ")
	_, err = b.CreateRole(ctx, directory.CreateRoleInput{Key: "x"})
	wantFaults(t, err, "FORBIDDEN ")
	_, err = b.CreatePermission(b.holding("acme", string(access.RolesWrite)), directory.CreatePermissionInput{Key: "x"})
	wantFaults(t, err, "FORBIDDEN ")
}

// If several want one key at the same moment, one gets it.
func TestOneKeyOnce(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for name, create := range map[string]func() error{
		"role": func() error { _, err := b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "clerk"}); return err },
		"permission": func() error {
			_, err := b.CreatePermission(b.ctx, directory.CreatePermissionInput{Key: "clerk"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			won := 0
			for _, err := range race(24, func(int) error { return create() }) {
				if err == nil {
					won++
					continue
				}
				wantFaults(t, err, "CONFLICT input.key")
			}
			if won != 1 {
				t.Errorf("%d made the %s", won, name)
			}
		})
	}
}

// Nothing that is granted, added or given to a key while a role or permission is
// deleted is left alive.
func TestDeletionRaces(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.user("ada")
	for round := range 12 {
		key := fmt.Sprintf("thing%d", round)
		b.definePermissions(key)
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: key}))(t)
		must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: key + "-other", Permissions: permissionRefs(key)}))(t)
		all := []func() error{
			func() error { return b.grantRole("ada", "default", key) },
			func() error {
				_, err := b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
					Organization: directory.OrganizationRef{Code: new("default")}, Users: []*directory.UserRef{{Username: new("ada")}}, Permissions: permissionRefs(key),
				})
				return err
			},
			func() error { _, err := b.AddRolePermissions(b.ctx, contents(key, key)); return err },
			func() error { _, err := b.RemoveRolePermissions(b.ctx, contents(key+"-other", key)); return err },
			func() error {
				_, _, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: key, Permissions: permissionRefs(key)})
				return err
			},
			func() error {
				_, err := b.DeleteRole(b.ctx, directory.RoleActionInput{Role: roleRef(key)})
				return err
			},
			func() error {
				_, err := b.DeletePermission(b.ctx, directory.PermissionActionInput{Permission: permissionRef(key)})
				return err
			},
		}
		for i, err := range race(len(all), func(i int) error { return all[i]() }) {
			if err != nil && !problem.Is(err, problem.NotFound) || err != nil && i >= 5 {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	for what, text := range map[string]string{
		"grants of roles":       "select count(*) from membership_roles g join roles r on r.id = g.role_id where g.live and r.deleted_at is not null",
		"grants of permissions": "select count(*) from membership_permissions g join permissions p on p.id = g.permission_id where g.live and p.deleted_at is not null",
		"contents of roles": `select count(*) from role_permissions rp join permissions p on p.id = rp.permission_id join roles r on r.id = rp.role_id
			where rp.revoked_at is null and (p.deleted_at is not null or r.deleted_at is not null)`,
		"permissions of keys": "select count(*) from api_key_permissions kp join permissions p on p.id = kp.permission_id where p.deleted_at is not null",
	} {
		t.Run(what, func(t *testing.T) {
			if n := one[int](b, text); n != 0 {
				t.Errorf("%d %s are left", n, what)
			}
		})
	}
	removed := one[int](b, "select count(*) from changes where action = 'role.permissions.removed'")
	ended := one[int](b, "select count(*) from role_permissions where revoked_at is not null")
	if deleted := one[int](b, "select coalesce(sum(jsonb_array_length(before->'permissions')), 0) from changes where action = 'role.deleted'"); removed+deleted != ended {
		t.Errorf("%d facts have ended; the log tells of %d and %d", ended, removed, deleted)
	}
}
