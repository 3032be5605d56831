package directory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/secret"
)

// descends makes an API key by another one, and returns it with its secret.
func (b *business) descends(from secret.Text, name, organization string, user *directory.UserRef, permissions ...string) (*db.APIKey, secret.Text) {
	b.t.Helper()
	in := directory.CreateAPIKeyInput{Name: name, Permissions: permissionRefs(permissions...), User: user}
	if organization != "" {
		in.Organization = new(orgCode(organization))
	}
	key, shown, err := b.CreateAPIKey(b.as(from), in)
	return must(key, err)(b.t), shown
}

// as returns a context on which the API key acts.
func (b *business) as(shown secret.Text) context.Context {
	b.t.Helper()
	return access.WithActor(b.t.Context(), must(b.Authenticate(b.t.Context(), shown, ""))(b.t))
}

// family is a business in which keys descend from a key that stands for Mallory.
type family struct {
	*business
	other   *directory.Directory
	keys    map[string]*db.APIKey
	secrets map[string]secret.Text
}

// system are permissions of Roster that Mallory holds, and may hand out.
var system = []string{
	string(access.KeysWrite), string(access.UsersWrite), string(access.UsersRead), string(access.MembersRead), string(access.OrganizationsRead),
}

func newFamily(t *testing.T) *family {
	t.Helper()
	f := &family{newBusiness(t), nil, map[string]*db.APIKey{}, map[string]secret.Text{}}
	f.other = f.server()
	must(0, f.EnsureAdministratorKey(t.Context(), credential.New()))(t)
	acme := f.organization("acme")
	for _, name := range []string{"mallory", "ada", "bob"} {
		f.user(name, acme)
		users := []*directory.UserRef{{Username: &name}}
		must(f.AddMembers(f.ctx, directory.AddMembersInput{Organization: root, Users: users}))(t)
		must(f.GrantPermissions(f.ctx, directory.GrantPermissionsInput{Organization: root, Users: users, Permissions: permissionRefs(system...)}))(t)
	}
	for _, name := range []string{"mallory", "ada"} {
		f.keys[name], f.secrets[name] = f.keyOf(directory.UserRef{Username: &name}, "", system...)
	}
	for _, k := range []struct {
		name, from, organization string
		user                     *directory.UserRef
	}{
		{name: "child", from: "mallory"}, {name: "grandchild", from: "child"}, {name: "bound", from: "child", organization: "acme"},
		{name: "bob's", from: "grandchild", user: &directory.UserRef{Username: new("bob")}}, {name: "ada's child", from: "ada"},
	} {
		f.keys[k.name], f.secrets[k.name] = f.descends(f.secrets[k.from], k.name, k.organization, k.user, system...)
	}
	return f
}

// descendants are the names of the keys that fall with Mallory.
const descendants = "bob's bound child grandchild mallory"

// working returns the names of the keys that work on both servers, in order.
func (f *family) working() string {
	f.t.Helper()
	var names []string
	for name, shown := range f.secrets {
		_, here := f.Authenticate(f.t.Context(), shown, "")
		_, there := f.other.Authenticate(f.t.Context(), shown, "")
		if here == nil {
			names = append(names, name)
		}
		if (here == nil) != (there == nil) {
			f.t.Errorf("%s: %v here, %v on another server", name, here, there)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// revoked returns the names of the keys that are revoked, each with a record, in order.
func (f *family) revoked() string {
	f.t.Helper()
	var names []string
	for name, key := range f.keys {
		if f.count("api_keys where id = $1 and revoked_at is not null", key.ID) == 1 {
			names = append(names, name)
		}
		if recorded := f.count("changes where subject = $1 and action = 'apiKey.revoked'", key.ID.String()); recorded != 0 != slices.Contains(names, name) || recorded > 1 {
			f.t.Errorf("%s has %d records of its revocation", name, recorded)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// What descends from a person falls with them: it stops while they are suspended, and
// is revoked for good with the key or the person. A dry run lists it.
func TestLineage(t *testing.T) {
	t.Parallel()
	mallory := directory.UserActionInput{User: directory.UserRef{Username: new("mallory")}}
	const all = "ada ada's child " + descendants
	sorted := func(names string) string { // by words, since names have spaces
		keep := strings.Split(names, " ")
		slices.Sort(keep)
		return strings.Join(keep, " ")
	}
	for name, c := range map[string]struct {
		end                    func(f *family, ctx context.Context) error
		concerned, works, gone string
	}{
		"suspended": {func(f *family, ctx context.Context) error { return noResult(f.SuspendUser(ctx, mallory)) }, descendants, "ada ada's child", ""},
		"deleted":   {func(f *family, ctx context.Context) error { return noResult(f.DeleteUser(ctx, mallory)) }, descendants, "ada ada's child", descendants},
		"key revoked": {func(f *family, ctx context.Context) error {
			return noResult(f.RevokeAPIKey(ctx, keyAction(f.keys["mallory"])))
		},
			descendants, "ada ada's child", descendants},
		"child revoked": {func(f *family, ctx context.Context) error {
			return noResult(f.RevokeAPIKey(ctx, keyAction(f.keys["child"])))
		},
			"bob's bound child grandchild", "ada ada's child mallory", "bob's bound child grandchild"},
		"organization deleted": {func(f *family, ctx context.Context) error {
			return noResult(f.DeleteOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("acme")}))
		}, "bound", "ada ada's child bob's child grandchild mallory", "bound"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFamily(t)
			f.t = t
			if got := f.working(); sorted(got) != sorted(all) {
				t.Fatalf("at first %s work", got)
			}
			time.Sleep(10 * time.Millisecond) // the caches take their time
			f.working()
			var foretold, told string
			must(0, f.Writer.DryRun(f.ctx, func(ctx context.Context) error {
				err := c.end(f, ctx)
				foretold = f.named(must(f.Impact(ctx).Keys(f.ctxIn(ctx)))(t))
				return err
			}))(t)
			must(0, f.Writer.Atomically(f.ctx, func(ctx context.Context) error {
				err := c.end(f, ctx)
				told = f.named(must(f.Impact(ctx).Keys(f.ctxIn(ctx)))(t))
				return err
			}))(t)
			if foretold != c.concerned || told != c.concerned {
				t.Errorf("impact is %q, %q in a dry run, want %q", told, foretold, c.concerned)
			}
			time.Sleep(1100 * time.Millisecond) // the other server learns of it within the staleness bound
			if got := f.working(); got != c.works {
				t.Errorf("%q work, want %q", got, c.works)
			}
			if got := f.revoked(); got != c.gone {
				t.Errorf("%q are revoked, want %q", got, c.gone)
			}
			if name != "suspended" {
				return
			}
			// Restoring brings back what the descendants can do, so it hands that out:
			// also what Mallory no longer holds, by which nobody outranks her.
			must(f.RevokePermissions(f.ctx, directory.RevokePermissionsInput{Organization: root, Users: []*directory.UserRef{&mallory.User}, Permissions: permissionRefs(string(access.UsersRead))}))(t)
			weak := f.holding("", slices.DeleteFunc(slices.Clone(system), func(key string) bool { return key == string(access.UsersRead) })...)
			wantFaults(t, noResult(f.RestoreUser(weak, mallory)), "ESCALATION ")
			must(f.RestoreUser(f.ctx, mallory))(t)
			if got := f.working(); sorted(got) != sorted(all) {
				t.Errorf("after all %q work", got)
			}
		})
	}
}

// ctxIn returns the context of a transaction, on which the server itself acts.
func (f *family) ctxIn(ctx context.Context) context.Context {
	return access.WithActor(ctx, access.System("test"))
}

// named returns the names that the family has for the keys, in order.
func (f *family) named(keys []*db.APIKey) string {
	var names []string
	for name, key := range f.keys {
		if slices.ContainsFunc(keys, func(k *db.APIKey) bool { return k.ID == key.ID }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// A key ends with the second at which one that answers for it expires, though it is in
// memory.
func TestLineageExpires(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	must(f.db.NewRaw("update api_keys set expires_at = clock_timestamp() + interval '1300 milliseconds' where id = ?", f.keys["child"].ID).Exec(t.Context()))(t)
	f.worksUntil(t, f.secrets["bob's"], f.keys["child"])
}

// Somebody else who may hand out all that a key holds can answer for it, so that it need
// not fall with who made it.
func TestAdoption(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	f.definePermissions("p")
	suspended := func(ctx context.Context) error {
		return noResult(f.SuspendUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: new("mallory")}}))
	}
	adopt := func(ctx context.Context, name string) error {
		return noResult(f.AdoptAPIKey(ctx, keyAction(f.keys[name])))
	}
	by := func(name string) context.Context { return f.as(f.secrets[name]) }
	special, _ := f.descends(f.secrets["ada"], "special", "", nil, system[:2]...)
	must(f.db.NewRaw("insert into api_key_permissions select ?, id from permissions where key = 'p'", special.ID).Exec(t.Context()))(t)
	f.keys["special"] = special
	f.keys["revoked"], _ = f.descends(f.secrets["ada"], "revoked", "", nil)
	must(f.RevokeAPIKey(f.ctx, keyAction(f.keys["revoked"])))(t)
	soon := time.Now().Add(time.Hour)
	made, shortly, err := f.CreateAPIKey(by("ada"), directory.CreateAPIKeyInput{Name: "shortly", Permissions: permissionRefs(system...), ExpiresAt: &soon})
	must(made, err)(t)
	for _, c := range []struct {
		ctx       context.Context
		key, want string
	}{
		{by("child"), "child", "INVALID input.apiKey"},
		{by("bob's"), "child", "INVALID input.apiKey"},
		{by("bob's"), "mallory", "INVALID input.apiKey"},
		{by("ada"), "revoked", "INVALID input.apiKey"},
		{by("ada"), "special", "ESCALATION "},
		{f.as(shortly), "grandchild", "ESCALATION "}, // which would outlive it
		{f.holding("", string(access.UsersRead)), "grandchild", "FORBIDDEN "},
		{f.holding("acme", system...), "grandchild", "NOT_FOUND input.apiKey"},
		{f.holding("acme", string(access.KeysWrite)), "bound", "ESCALATION "},
	} {
		wantFaults(t, adopt(c.ctx, c.key), c.want)
	}
	before := f.count("changes")
	must(0, adopt(by("child"), "grandchild"))(t)
	if n := f.count("changes"); n != before {
		t.Error("who answers for a key already changed something")
	}

	must(0, adopt(by("ada"), "grandchild"))(t)
	if log := fmt.Sprint(f.changesOf(f.keys["grandchild"].ID.String())); !strings.Contains(log, "apiKey.adopted") || !strings.Contains(log, f.keys["ada"].ID.String()) {
		t.Errorf("the log has %s", log)
	}
	must(0, suspended(f.ctx))(t)
	if got := f.working(); got != "ada ada's child bob's grandchild" {
		t.Errorf("%q work", got)
	}
	// A key that had stopped with its maker works again, with what descends from it; the
	// impact says so.
	must(0, f.Writer.Atomically(by("ada"), func(ctx context.Context) error {
		err := adopt(ctx, "child")
		if got := f.named(must(f.Impact(ctx).Keys(f.ctxIn(ctx)))(t)); got != "bound child" {
			t.Errorf("impact is %q", got)
		}
		return err
	}))(t)
	if got := f.working(); got != "ada ada's child bob's bound child grandchild" {
		t.Errorf("%q work", got)
	}
}

// The business itself answers for what the administrator's key makes and adopts, so that a
// new administrator's key stops nothing.
func TestTheBusinessAnswersForKeys(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	first := credential.New()
	must(0, f.EnsureAdministratorKey(t.Context(), first))(t)
	f.keys["made"], f.secrets["made"] = f.descends(first, "made", "", nil, system...)
	must(f.AdoptAPIKey(f.as(first), keyAction(f.keys["child"])))(t)
	must(0, f.EnsureAdministratorKey(t.Context(), credential.New()))(t)
	must(f.DeleteUser(f.ctx, directory.UserActionInput{User: directory.UserRef{Username: new("mallory")}}))(t)
	time.Sleep(1100 * time.Millisecond)
	if got := f.working(); got != "ada ada's child bob's bound child grandchild made" {
		t.Errorf("%q work", got)
	}
}

// A key that is made while the one that makes it is revoked does not outlive that one.
func TestMakingRacesWithRevoking(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	for range 8 {
		parent, shown := f.descends(f.secrets["ada"], "parent", "", nil, system...)
		ctx := f.as(shown)
		for i, err := range race(4, func(i int) error {
			if i == 0 {
				return noResult(f.RevokeAPIKey(f.ctx, keyAction(parent)))
			}
			_, _, err := f.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "late", Permissions: permissionRefs(system...)})
			return err
		}) {
			if err != nil && (i == 0 || faults(t, err) != "UNAUTHENTICATED ") {
				t.Error(err)
			}
		}
	}
	if n := f.count("api_keys k join api_keys r on r.id = k.responsible_id where r.revoked_at is not null and k.revoked_at is null"); n != 0 {
		t.Errorf("%d keys outlive the ones that answer for them", n)
	}
}

// Keys that adopt each other at the same moment never answer for one another in a circle,
// and the line of keys is bounded.
func TestLinesOfKeys(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	for range 10 {
		left, leftShown := f.descends(f.secrets["ada"], "left", "", nil, system...)
		right, rightShown := f.descends(f.secrets["ada"], "right", "", nil, system...)
		_, belowLeft := f.descends(leftShown, "below left", "", nil, system...)
		_, belowRight := f.descends(rightShown, "below right", "", nil, system...)
		ctxs, keys := []context.Context{f.as(belowLeft), f.as(belowRight)}, []*db.APIKey{right, left}
		for _, err := range race(2, func(i int) error { return noResult(f.AdoptAPIKey(ctxs[i], keyAction(keys[i]))) }) {
			if err != nil && faults(t, err) != "INVALID input.apiKey" {
				t.Error(err)
			}
		}
		for _, shown := range []secret.Text{belowLeft, belowRight} {
			line := one[int](f.business, `with recursive line as (select id, responsible_id, 1 as n from api_keys where hash = $1
				union all select k.id, k.responsible_id, n + 1 from line join api_keys k on k.id = line.responsible_id and n < 50) select max(n) from line`, credential.Hash(shown))
			if line > 10 {
				t.Fatal("keys answer for one another in a circle")
			}
		}
	}
	last := f.secrets["ada"]
	for n := 1; ; n++ {
		key, shown, err := f.CreateAPIKey(f.as(last), directory.CreateAPIKeyInput{Name: "next", Permissions: permissionRefs(system...)})
		if err != nil {
			wantFaults(t, err, "INVALID input")
			if n < 20 {
				t.Errorf("only %d keys in a line", n)
			}
			break
		}
		if n > 100 {
			t.Fatal("the line has no end")
		}
		last, f.keys["last"] = shown, key
	}
	// It does not get longer by adoption either.
	wantFaults(t, noResult(f.AdoptAPIKey(f.as(last), keyAction(f.keys["ada's child"]))), "INVALID input")
}
