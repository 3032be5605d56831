package directory_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/uptrace/bun"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/db/dbtest"
	"roster/db/list"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

// server returns another server over the same database.
func (b *business) server() *directory.Directory {
	other := directory.New(b.db, access.Options{Log: slog.New(slog.DiscardHandler)})
	b.t.Cleanup(other.Close)
	return other
}

func keyAction(key *db.APIKey) directory.APIKeyActionInput {
	return directory.APIKeyActionInput{APIKey: key.ID.String()}
}

func permissionsOf(actor *access.Actor) string { return fmt.Sprint(actor.Permissions) }

var ada = directory.UserRef{Username: new("ada")}

// keyOf is key for an API key that stands for a user.
func (b *business) keyOf(user directory.UserRef, organization string, permissions ...string) (*db.APIKey, secret.Text) {
	b.t.Helper()
	in := directory.CreateAPIKeyInput{Name: "a key", Permissions: permissionRefs(permissions...), User: &user}
	if organization != "" {
		in.Organization = &directory.OrganizationRef{Code: &organization}
	}
	key, shown, err := b.CreateAPIKey(b.ctx, in)
	return must(key, err)(b.t), shown
}

// A key that stands for a user may do what both may do, at every moment: in its
// organization or, without one, by what the user holds in the root.
func TestKeysOfUsers(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	must(0, b.Follow(t.Context()))(t)
	org := b.organization("acme")
	b.user("ada", org)
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "reader", Permissions: permissionRefs("roster:users:read", "roster:roles:read")}))(t)
	_, inAcme := b.keyOf(ada, "acme", "roster:users:read", "roster:settings:read", "roster:keys:write")
	_, everywhere := b.keyOf(ada, "", "roster:users:read", "roster:settings:read", "roster:keys:write")
	want := func(when, acme, business string) {
		t.Helper()
		for shown, want := range map[secret.Text]string{inAcme: acme, everywhere: business} {
			actor := must(b.Authenticate(t.Context(), shown, ""))(t)
			if got := permissionsOf(actor); got != want || actor.String() != actor.Key.ID.String() || !actor.Is(*actor.Key.UserID) {
				t.Errorf("%s: %s holds %s, want %s", when, actor, got, want)
			}
		}
	}
	grant := func(org directory.OrganizationRef, endsAt *time.Time, keys ...string) {
		t.Helper()
		must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
			Organization: org, Users: []*directory.UserRef{&ada}, Permissions: permissionRefs(keys...), EndsAt: endsAt,
		}))(t)
	}
	want("at first", "[]", "[]")
	must(0, b.grantRole("ada", "acme", "reader"))(t)
	want("with a role", "[roster:users:read]", "[]")
	must(b.AddRolePermissions(b.ctx, contents("reader", "roster:settings:read")))(t)
	want("when it has more", "[roster:settings:read roster:users:read]", "[]")
	must(b.RemoveRolePermissions(b.ctx, contents("reader", "roster:settings:read")))(t)
	want("when it has less", "[roster:users:read]", "[]")
	must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: []*directory.UserRef{&ada}}))(t)
	grant(root, nil, "roster:settings:read", "roster:settings:write")
	want("with more in the root", "[roster:settings:read roster:users:read]", "[roster:settings:read]")
	end := time.Now().Add(3 * time.Second) // time enough for the questions until then, on a busy machine
	grant(orgID(org), &end, "roster:keys:write")
	want("for a while", "[roster:keys:write roster:settings:read roster:users:read]", "[roster:settings:read]")
	time.Sleep(time.Until(end) + 20*time.Millisecond)
	want("afterwards", "[roster:settings:read roster:users:read]", "[roster:settings:read]")
	must(b.RevokeRoles(b.ctx, directory.RevokeRolesInput{Organization: orgID(org), Users: []*directory.UserRef{&ada}, Roles: roleRefs("reader")}))(t)
	want("without the role", "[roster:settings:read]", "[roster:settings:read]")
	must(b.RemoveMembers(b.ctx, directory.RemoveMembersInput{Organization: root, Users: []*directory.UserRef{&ada}}))(t)
	want("out of the root", "[]", "[]")
	must(b.SuspendUser(b.ctx, directory.UserActionInput{User: ada}))(t)
	_, err := b.Authenticate(t.Context(), everywhere, "")
	wantFaults(t, err, "UNAUTHENTICATED ")
	must(b.RestoreUser(b.ctx, directory.UserActionInput{User: ada}))(t)
	want("restored", "[]", "[]")
}

// Making a key that stands for another user allows reading what they may read of
// themselves. In the root, users have only permissions of Roster.
func TestWhatKeysOfUsersNeed(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.user("ada", b.organization("acme"))
	b.user("eve", b.organization("other"))
	b.definePermissions("invoices:read")
	acme := &directory.OrganizationRef{Code: new("acme")}
	for _, c := range []struct {
		held []string
		in   directory.CreateAPIKeyInput
		want string
	}{
		{[]string{"roster:keys:write", "roster:members:read", "roster:organizations:read"}, directory.CreateAPIKeyInput{User: &ada, Organization: acme}, "ESCALATION "},
		{[]string{"roster:keys:write", "roster:members:read", "roster:organizations:read", "roster:users:read"}, directory.CreateAPIKeyInput{User: &ada, Organization: acme}, ""},
		{[]string{"roster:keys:write", "roster:members:read", "roster:organizations:read", "roster:users:read"}, directory.CreateAPIKeyInput{User: &ada}, "FORBIDDEN "},
		{[]string{"roster:keys:write", "roster:members:read", "roster:organizations:read", "roster:users:read"},
			directory.CreateAPIKeyInput{User: &directory.UserRef{Username: new("eve")}, Organization: acme}, "NOT_FOUND input.user"},
	} {
		c.in.Name = "key"
		_, _, err := b.CreateAPIKey(b.holding("acme", c.held...), c.in)
		wantFaults(t, err, c.want)
	}
	must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: []*directory.UserRef{&ada}}))(t)
	for name, err := range map[string]error{
		"a permission of the product": second(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{
			Organization: root, Users: []*directory.UserRef{&ada}, Permissions: permissionRefs("invoices:read"),
		})),
		"a key for the root": third(b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: "key", Organization: &root})),
		"a user of the root": second(b.CreateUser(b.ctx, directory.CreateUserInput{Username: new("bob"), Organizations: []*directory.OrganizationRef{&root}})),
		"moved to the root":  second(b.MoveMember(b.ctx, directory.MoveMemberInput{User: ada, From: *acme, To: root})),
		"left with the root": second(b.RemoveMembers(b.ctx, directory.RemoveMembersInput{Organization: *acme, Users: []*directory.UserRef{&ada}})),
		"deleted":            second(b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: root})),
		"suspended":          second(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: root})),
		"the default one":    second(b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{DefaultOrganization: graphql.OmittableOf(&root)})),
	} {
		t.Run(name, func(t *testing.T) {
			if !problem.Is(err, problem.NotFound) && !problem.Is(err, problem.Invalid) && !problem.Is(err, problem.LastOrganization) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

// Whatever ends a key ends it on every path: on the server that made the change at
// once, even if the key is hot; on others within a second; on a server that sees it
// for the first time; and in the same words as for a key that never existed.
func TestKeysEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *business, key *db.APIKey, org *db.Organization) error{
		"revoked": func(b *business, key *db.APIKey, _ *db.Organization) error {
			_, err := b.RevokeAPIKey(b.ctx, keyAction(key))
			return err
		},
		"revoked with its organization's rights": func(b *business, key *db.APIKey, org *db.Organization) error {
			held := []string{string(access.KeysWrite)}
			for _, p := range access.SystemRoles[2].Permissions { // that Ada holds there
				held = append(held, string(p))
			}
			_, err := b.RevokeAPIKey(b.holding(org.Code, held...), keyAction(key))
			return err
		},
		"organization suspended": func(b *business, _ *db.APIKey, org *db.Organization) error {
			_, err := b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(org)})
			return err
		},
		"organization deleted": func(b *business, _ *db.APIKey, org *db.Organization) error {
			_, err := b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(org)})
			return err
		},
		"user suspended": func(b *business, _ *db.APIKey, _ *db.Organization) error {
			_, err := b.SuspendUser(b.ctx, directory.UserActionInput{User: ada})
			return err
		},
		"user deleted": func(b *business, _ *db.APIKey, _ *db.Organization) error {
			_, err := b.DeleteUser(b.ctx, directory.UserActionInput{User: ada})
			return err
		},
		"user removed": func(b *business, _ *db.APIKey, org *db.Organization) error {
			_, err := b.RemoveMembers(b.ctx, directory.RemoveMembersInput{Organization: orgID(org), Users: []*directory.UserRef{&ada}})
			return err
		},
		"user moved": func(b *business, _ *db.APIKey, org *db.Organization) error {
			_, err := b.MoveMember(b.ctx, directory.MoveMemberInput{User: ada, From: orgID(org), To: orgCode("elsewhere")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBusiness(t)
			org := b.organization("acme")
			b.user("ada", org, b.organization("elsewhere"))
			must(0, b.grantRole("ada", "acme", "roster-viewer"))(t)
			key, shown := b.keyOf(ada, "acme", string(access.UsersRead), string(access.UsersWrite))
			other := b.server()
			for range 2 {
				if actor := must(b.Authenticate(t.Context(), shown, ""))(t); actor.Key.ID != key.ID || *actor.Organization != org.ID || permissionsOf(actor) != "[roster:users:read]" || !actor.Is(*key.UserID) {
					t.Errorf("authenticated %+v", actor)
				}
				must(other.Authenticate(t.Context(), shown, ""))(t)
				time.Sleep(5 * time.Millisecond) // the caches take their time
			}
			if err := end(b, key, org); err != nil {
				t.Fatal(err)
			}
			_, here := b.Authenticate(t.Context(), shown, "")
			_, cold := b.server().Authenticate(t.Context(), shown, "")
			time.Sleep(1100 * time.Millisecond)
			_, there := other.Authenticate(t.Context(), shown, "")
			_, unknown := b.Authenticate(t.Context(), credential.New(), "")
			for _, err := range []error{here, cold, there, unknown} {
				wantFaults(t, err, "UNAUTHENTICATED ")
				if err.Error() != unknown.Error() {
					t.Errorf("tells %q from %q", err, unknown)
				}
			}
		})
	}
}

func TestMalformedSecretsCostNothing(t *testing.T) {
	t.Parallel()
	var statements dbtest.Statements
	d := directory.New(dbtest.New(t, &statements), access.Options{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(d.Close)
	statements.Take()
	for _, text := range []string{"", "rk", "RK_" + strings.Repeat("x", 43), "Bearer rk_x", "rk_" + strings.Repeat("x", 100_000)} {
		_, err := d.Authenticate(t.Context(), secret.New(text), "")
		wantFaults(t, err, "UNAUTHENTICATED ")
	}
	if done := statements.Take(); len(done) > 0 {
		t.Errorf("asked the database: %q", done)
	}
	_, err := d.Authenticate(t.Context(), secret.New("rk_\x00\xff"), "")
	wantFaults(t, err, "UNAUTHENTICATED ")
}

// A key expires to the instant, by the database's clock, though a server knows
// it from before.
func TestKeysExpire(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	key, shown := b.key("", string(access.UsersRead))
	must(b.db.NewRaw("update api_keys set expires_at = clock_timestamp() + interval '1300 milliseconds' where id = ?", key.ID).Exec(t.Context()))(t)
	b.worksUntil(t, shown, key)
}

// worksUntil checks that an API key works, and ends with another one, or itself, at the
// moment when that expires.
func (b *business) worksUntil(t *testing.T, shown secret.Text, expires *db.APIKey) {
	t.Helper()
	worked := 0
	for {
		late := one[bool](b, "select clock_timestamp() >= expires_at from api_keys where id = $1", expires.ID)
		_, err := b.Authenticate(t.Context(), shown, "")
		switch {
		case err == nil && late:
			t.Fatal("a key works though it has expired, or one that answers for it")
		case err == nil:
			worked++
			continue
		}
		wantFaults(t, err, "UNAUTHENTICATED ")
		if worked == 0 {
			t.Error("it never worked")
		}
		return
	}
}

// A hot key costs no statement, one after a change costs one; its use is noted
// once a minute, and no request waits for that.
func TestAuthenticationCosts(t *testing.T) {
	t.Parallel()
	var statements dbtest.Statements
	database := dbtest.New(t, &statements)
	b := &business{directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler)}), t, database, access.WithActor(t.Context(), access.System("test"))}
	t.Cleanup(b.Close)
	if err := b.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, shown := b.key("", string(access.UsersRead))
	statements.Take()
	costs := func(d *directory.Directory, want int) *access.Actor {
		t.Helper()
		actor := must(d.Authenticate(t.Context(), shown, ""))(t)
		if done := statements.Take(); len(done) != want {
			t.Errorf("%d statements, want %d: %q", len(done), want, done)
		}
		return actor
	}
	// A key that was just used is free, once the cache has it: it takes its time.
	free := func() {
		t.Helper()
		for range 100 {
			must(b.Authenticate(t.Context(), shown, ""))(t)
			if len(statements.Take()) == 0 {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Error("a hot key costs statements")
	}
	if used := costs(b.Directory, 2).Key.LastUsedAt; used == nil || time.Since(*used) > time.Minute {
		t.Errorf("last used at %v", used)
	}
	free()
	b.definePermissions("p")
	statements.Take()
	costs(b.Directory, 0) // no key can hold it yet
	must(b.UpdatePermission(b.ctx, directory.UpdatePermissionInput{Permission: directory.PermissionRef{Key: new("p")}, Key: graphql.OmittableOf(new("q"))}))(t)
	statements.Take()
	costs(b.Directory, 1)
	free()

	must(b.db.NewRaw("update api_keys set last_used_at = now() - interval '61 seconds' where id = ?", key.ID).Exec(t.Context()))(t)
	err := b.db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewRaw("select from api_keys for no key update").Exec(ctx); err != nil {
			return err
		}
		var log bytes.Buffer
		other := directory.New(b.db, access.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer other.Close()
		statements.Take()
		costs(other, 2)
		if log.Len() > 0 { // it waited for the row, and gave up
			t.Error(&log)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.count("api_keys where last_used_at > now() - interval '60 seconds'"); n != 0 {
		t.Error("the use was noted though the row was locked")
	}
	statements.Take()
	costs(b.server(), 2)
	costs(b.server(), 1)
}

// A key that was revoked never works after the answer, however many requests
// use it at that moment.
func TestRevokedKeyNeverWorks(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for round := range 4 {
		key, shown := b.key("", string(access.UsersRead))
		var answered atomic.Bool
		var worked atomic.Int64
		for _, err := range race(9, func(i int) error {
			if i == 0 {
				for worked.Load() < 100 {
					time.Sleep(time.Millisecond)
				}
				defer answered.Store(true)
				_, err := b.RevokeAPIKey(b.ctx, keyAction(key))
				return err
			}
			for after := 0; after < 50; {
				late := answered.Load()
				_, err := b.Authenticate(t.Context(), shown, "")
				switch {
				case err == nil && late:
					return fmt.Errorf("round %d: a revoked key works", round)
				case err == nil:
					worked.Add(1)
				case !problem.Is(err, problem.Unauthenticated):
					return err
				}
				if late {
					after++
				}
			}
			return nil
		}) {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// A key follows every change of its permissions.
func TestPermissionsOfKeys(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("a", "b", "c")
	key, shown := b.key("", "c", "a", "b", "a")
	holds := func(want string) {
		t.Helper()
		actor := must(b.Authenticate(t.Context(), shown, ""))(t)
		listed := must(b.APIKeyPermissions(b.ctx, []db.APIKeyID{db.NewID[db.APIKeyKind](), key.ID}))(t)
		if got := permissionsOf(actor); got != "["+want+"]" || keysOf(listed[1]) != want || len(listed[0]) != 0 {
			t.Errorf("it holds %s, and %q is listed; want %q", got, keysOf(listed[1]), want)
		}
	}
	holds("a b c")
	must(b.UpdatePermission(b.ctx, directory.UpdatePermissionInput{Permission: permissionRef("a"), Key: graphql.OmittableOf(new("z"))}))(t)
	holds("b c z")
	must(b.DeletePermission(b.ctx, directory.PermissionActionInput{Permission: permissionRef("b")}))(t)
	holds("c z")
	b.definePermissions("b") // another one by that name
	holds("c z")
}

// A key of one organization manages that organization's keys, and knows of no
// others.
func TestKeysOfOneOrganization(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, bravo := b.organization("acme"), b.organization("bravo")
	ours, _ := b.key("acme", string(access.UsersRead))
	theirs, _ := b.key("bravo", string(access.UsersRead))
	everyones, _ := b.key("", string(access.UsersRead))
	ctx := b.holding("acme", string(access.KeysWrite))

	page := must(b.APIKeys(ctx, list.Page{First: new(1)}, list.Fields{"name"}))(t)
	if n := must(page.TotalCount(ctx))(t); n != 2 || page.Nodes[0].ID != ours.ID || page.Nodes[0].CreatedBy != "system:test" || page.Nodes[0].Prefix != "" || !page.PageInfo().HasNextPage {
		t.Errorf("%d keys, first %+v", n, page.Nodes[0])
	}
	if all := must(b.APIKeys(b.ctx, list.Page{}, nil))(t); len(all.Nodes) != 4 {
		t.Errorf("%d keys in all", len(all.Nodes))
	}
	for _, hidden := range []string{theirs.ID.String(), everyones.ID.String(), db.NewID[db.APIKeyKind]().String(), "key_x", "\x00"} {
		_, err := b.RevokeAPIKey(ctx, directory.APIKeyActionInput{APIKey: hidden})
		wantFaults(t, err, "NOT_FOUND input.apiKey")
		if id, err := db.ParseID[db.APIKeyKind](hidden); err == nil && must(b.APIKey(ctx, id))(t) != nil {
			t.Errorf("%s is found", hidden)
		}
	}
	if listed := must(b.APIKeyPermissions(ctx, []db.APIKeyID{theirs.ID, ours.ID}))(t); len(listed[0]) != 0 || len(listed[1]) != 1 {
		t.Errorf("permissions %v", listed)
	}
	_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x"})
	wantFaults(t, err, "FORBIDDEN ")
	_, _, err = b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", Organization: new(orgID(bravo))})
	wantFaults(t, err, "NOT_FOUND input.organization")
	_, err = b.APIKeys(b.holding("", string(access.UsersRead)), list.Page{}, nil)
	wantFaults(t, err, "FORBIDDEN ")

	_, _, err = b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{
		Name: " ", Permissions: permissionRefs("none"), Organization: new(orgID(acme)), ExpiresAt: new(time.Now().Add(-time.Second)),
	})
	wantFaults(t, err, "INVALID input.expiresAt, INVALID input.name, NOT_FOUND input.permissions.0")

	in := time.Date(2126, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 3600))
	made, shown, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "Clerk", Organization: new(orgID(acme)), ExpiresAt: &in})
	if err != nil {
		t.Fatal(err)
	}
	stored := must(b.APIKey(ctx, made.ID))(t)
	if !regexp.MustCompile(`^rk_[A-Za-z0-9_-]{43}$`).MatchString(shown.Reveal()) || stored.Prefix != shown.Reveal()[:10] || !stored.ExpiresAt.Equal(*made.ExpiresAt) || stored.Name != "Clerk" {
		t.Errorf("stored %+v for %q", stored, shown.Reveal())
	}
	revoked := must(b.RevokeAPIKey(ctx, keyAction(made)))(t)
	again := must(b.RevokeAPIKey(b.ctx, keyAction(made)))(t)
	if revoked.RevokedAt == nil || !again.RevokedAt.Equal(*revoked.RevokedAt) || again.RevokedBy == nil || !strings.HasPrefix(*again.RevokedBy, "key_") {
		t.Errorf("revoked %+v, then %+v", revoked, again)
	}
	if log := b.changesOf(made.ID.String()); len(log) != 2 || strings.Contains(fmt.Sprint(log), shown.Reveal()[11:]) {
		t.Errorf("the log says %q", log)
	}
}

// The administrator's key is made once, follows the system permissions, and
// gives way to the next one.
func TestAdministratorKey(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	first, second := credential.New(), secret.New("rk_"+strings.Repeat("0123456789abcdef", 2))
	for _, err := range race(8, func(int) error { return b.EnsureAdministratorKey(t.Context(), first) }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(shown secret.Text, what string) {
		t.Helper()
		if n := b.count("api_keys where name = 'Administrator' and created_by = 'system:setup' and org_id is null and revoked_at is null"); n != 1 {
			t.Errorf("%s: there are %d", what, n)
		}
		actor := must(b.Authenticate(t.Context(), shown, ""))(t)
		if permissionsOf(actor) != permissionsOf(access.System("x")) || actor.Organization != nil {
			t.Errorf("%s: holds %v", what, actor.Permissions)
		}
	}
	is(first, "made")
	before := b.count("changes")
	if err := b.EnsureAdministratorKey(t.Context(), first); err != nil || b.count("changes") != before {
		t.Errorf("made again: %v, %d changes", err, b.count("changes")-before)
	}

	must(b.db.NewRaw("delete from api_key_permissions where permission_id = (select id from permissions where key = ?)", access.ChangesRead).Exec(t.Context()))(t)
	if err := b.EnsureAdministratorKey(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	is(first, "upgraded")
	own, ownSecret, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: "Administrator", Permissions: permissionRefs(string(access.UsersRead))})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureAdministratorKey(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	is(second, "replaced")
	if actor := must(b.Authenticate(t.Context(), ownSecret, ""))(t); actor.Key.ID != own.ID {
		t.Errorf("someone else's key became %+v", actor)
	}
	for text, want := range map[string]string{
		first.Reveal():                         "CONFLICT ",
		ownSecret.Reveal():                     "CONFLICT ",
		"":                                     "INVALID ",
		"rk_" + strings.Repeat("x", 31):        "INVALID ",
		"rk_" + strings.Repeat("x", 510):       "INVALID ",
		"rk_" + strings.Repeat("x ", 20):       "INVALID ",
		"sk_" + strings.Repeat("x", 43):        "INVALID ",
		"rk_" + strings.Repeat("é", 40):        "INVALID ",
		"rk_" + strings.Repeat("x", 32) + "\n": "INVALID ",
	} {
		wantFaults(t, b.EnsureAdministratorKey(t.Context(), secret.New(text)), want)
	}
	_, err = b.Authenticate(t.Context(), first, "")
	wantFaults(t, err, "UNAUTHENTICATED ")
	is(second, "after all that")
}
