package directory_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"roster/access"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
)

func TestSetupByManyServersAtOnce(t *testing.T) {
	t.Parallel()
	var statements dbtest.Statements
	database := dbtest.New(t, &statements)
	servers := make([]*directory.Directory, 8)
	for _, err := range race(len(servers), func(i int) error {
		servers[i] = directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler)})
		t.Cleanup(servers[i].Close)
		return servers[i].Setup(t.Context())
	}) {
		must(0, err)(t)
	}
	b := &business{servers[0], t, database, access.WithActor(t.Context(), access.System("test"))}
	for what, want := range map[string]int{
		"permissions where is_system": len(access.SystemPermissions),
		"roles where is_system":       len(access.SystemRoles),
		"settings":                    1,
		"organizations where is_default and code = 'default' and name = 'Default'": 1,
		"changes": len(access.SystemPermissions) + len(access.SystemRoles) + 3,
		"changes where actor = 'system:setup' and action in ('permission.created', 'role.created', 'settings.created', 'organization.created')": len(access.SystemPermissions) + len(access.SystemRoles) + 3,
	} {
		t.Run(what, func(t *testing.T) {
			if n := b.count(what); n != want {
				t.Errorf("%s: %d, want %d", what, n, want)
			}
		})
	}
	for _, role := range access.SystemRoles {
		want := slices.Sorted(slices.Values(role.Permissions))
		if got := b.contents(role.Key); !slices.Equal(got, want) {
			t.Errorf("%s contains %v, want %v", role.Key, got, want)
		}
	}
	statements.Take()
	must(0, b.Setup(t.Context()))(t)
	for _, text := range statements.Take() {
		if !strings.HasPrefix(text, "select") && !strings.HasPrefix(text, "insert into settings") { // which does nothing on conflict
			t.Errorf("a second run runs %s", text)
		}
	}
	if n := b.count("changes"); n != len(access.SystemPermissions)+len(access.SystemRoles)+3 {
		t.Errorf("a second run recorded changes: there are %d", n)
	}
}

// contents returns the keys of the permissions that a role contains now.
func (b *business) contents(role string) []access.Permission {
	b.t.Helper()
	return must(db.Select[access.Permission](b.t.Context(), b.db, `select p.key from role_permissions rp join permissions p on p.id = rp.permission_id
		join roles r on r.id = rp.role_id where r.key = $1 and rp.revoked_at is null order by p.key`, role))(b.t)
}

func TestSetupBringsAnOlderDatabaseUpToDate(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	exec := func(text string) {
		t.Helper()
		if _, err := b.db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	before := b.contents("roster-viewer")
	// As if the version before had not known members, had let viewers write users,
	// and the version after, which runs too, has one permission more.
	exec(`delete from role_permissions where permission_id = (select id from permissions where key = 'roster:members:read')`)
	exec(`delete from permissions where key = 'roster:members:read'`)
	exec(`insert into permissions (id, key, name, is_system) values (gen_random_uuid(), 'roster:new:read', 'New', true)`)
	exec(`insert into role_permissions (role_id, permission_id, granted_by) select r.id, p.id, 'system:setup' from roles r, permissions p
		where r.key = 'roster-viewer' and p.key in ('roster:users:write', 'roster:new:read')`)
	must(0, b.Setup(t.Context()))(t)

	if got, want := b.contents("roster-viewer"), append(slices.Clone(before), "roster:new:read"); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("viewers have %v, want %v", got, want)
	}
	role := must(b.Role(b.ctx, directory.RoleRef{Key: new("roster-viewer")}))(t)
	if role.Version != 2 {
		t.Errorf("version is %d", role.Version)
	}
	want := []string{
		`role.permissions.added - {"permissions": ["roster:members:read"]}`,
		`role.permissions.removed {"permissions": ["roster:users:write"]} -`,
	}
	if got := b.changesOf(role.ID.String()); !slices.Equal(got[1:], want) {
		t.Errorf("recorded %q", got)
	}

	exec(`update roles set is_system = false where key = 'roster-viewer'`)
	if err := b.Setup(t.Context()); err == nil || !strings.Contains(err.Error(), `a role with the key "roster-viewer"`) {
		t.Errorf("a role under the key of a system role: %v", err)
	}
}
