package directory_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/directory"
)

func defaultOrganization(ref directory.OrganizationRef) directory.UpdateSettingsInput {
	return directory.UpdateSettingsInput{DefaultOrganization: graphql.OmittableOf(&ref)}
}

func defaultRoles(keys ...string) directory.UpdateSettingsInput {
	refs := make([]*directory.RoleRef, len(keys))
	for i := range keys {
		refs[i] = &directory.RoleRef{Key: &keys[i]}
	}
	return directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf(refs)}
}

func TestSettingsAreReadAndChanged(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	settings := must(b.Settings(b.ctx))(t)
	first := settings.DefaultOrganization
	if !settings.AllowSelfSignUp || !settings.SyncProfilesOnSignIn || first.Code != "default" || len(settings.DefaultRoles) != 0 {
		t.Errorf("a new business has %+v", settings)
	}
	acme, basic, other := b.organization("Acme"), b.role("basic"), b.role("another")
	in := defaultRoles("basic", "another", "basic")
	in.AllowSelfSignUp, in.DefaultOrganization = graphql.OmittableOf(new(false)), graphql.OmittableOf(new(orgID(acme)))
	for range 2 { // the second time makes no difference
		for _, settings := range []*directory.Settings{must(b.UpdateSettings(b.ctx, in))(t), must(b.Settings(b.ctx))(t)} {
			org, roles := settings.DefaultOrganization, settings.DefaultRoles
			if settings.AllowSelfSignUp || !settings.SyncProfilesOnSignIn || org.ID != acme.ID || !org.IsDefault || org.Version != 2 ||
				len(roles) != 2 || roles[0].ID != other.ID || roles[1].ID != basic.ID || !roles[0].IsDefault || roles[1].Version != 2 {
				t.Errorf("settings are %+v", settings)
			}
		}
	}
	if was := must(b.Organization(b.ctx, orgID(first), nil))(t); was.IsDefault || was.Version != 2 {
		t.Errorf("the former default organization is %+v", was)
	}
	must(b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf[[]*directory.RoleRef](nil)}))(t)
	want := []string{
		`settings.created - {"branding": {"name": "Roster", "colour": null, "logoUrl": null, "termsUrl": null, "privacyUrl": null}, "allowCodeSignIn": true,` +
			` "allowSelfSignUp": true, "sessionIdleSeconds": 1209600, "allowPasswordSignIn": true, "rememberOrganization": false, "syncProfilesOnSignIn": true,` +
			` "minimumPasswordLength": 15, "sessionMaximumSeconds": 7776000, "allowOrganizationSignUp": false}`,
		`settings.updated {"defaultRoles": [], "allowSelfSignUp": true, "defaultOrganization": "` + first.ID.String() + `"}` +
			` {"defaultRoles": ["another", "basic"], "allowSelfSignUp": false, "defaultOrganization": "` + acme.ID.String() + `"}`,
		`settings.updated {"defaultRoles": ["another", "basic"]} {"defaultRoles": []}`,
	}
	if got := b.changesOf("settings"); !slices.Equal(got, want) {
		t.Errorf("recorded %q", got)
	}

	// The former default organization is now like any other.
	must(b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(first)}))(t)
	user := b.user("ada")
	if n := b.count("memberships where user_id = $1 and org_id = $2", user.ID, acme.ID); n != 1 {
		t.Error("the newcomer is not in the default organization")
	}
}

func TestSettingsFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	paused := b.organization("Paused")
	must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(paused)}))(t)
	b.role("writer", &directory.PermissionRef{Key: new(string(access.UsersWrite))})

	_, err := b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{
		AllowSelfSignUp: graphql.OmittableOf[*bool](nil), SyncProfilesOnSignIn: graphql.OmittableOf[*bool](nil),
		DefaultOrganization: graphql.OmittableOf[*directory.OrganizationRef](nil), DefaultRoles: defaultRoles("writer").DefaultRoles,
	})
	wantFaults(t, err, "INVALID input.allowSelfSignUp, INVALID input.defaultOrganization, INVALID input.defaultRoles, INVALID input.syncProfilesOnSignIn")
	for _, c := range []struct {
		in   directory.UpdateSettingsInput
		want string
	}{
		{defaultOrganization(orgID(paused)), "INVALID input.defaultOrganization"},
		{defaultOrganization(orgCode("nowhere")), "NOT_FOUND input.defaultOrganization"},
		{defaultRoles("roster-viewer"), "INVALID input.defaultRoles"},
		{defaultRoles("writer", "nobody"), "INVALID input.defaultRoles, NOT_FOUND input.defaultRoles.1"},
	} {
		t.Run(c.want, func(t *testing.T) {
			_, err := b.UpdateSettings(b.ctx, c.in)
			wantFaults(t, err, c.want)
		})
	}
	if got := b.changesOf("settings"); len(got) != 1 {
		t.Errorf("recorded %q", got)
	}
}

// A setting of signing in is judged together with those that stay.
func TestSettingsOfSigningIn(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	text := func(value string) graphql.Omittable[*string] { return graphql.OmittableOf(&value) }
	no, number := graphql.OmittableOf(new(false)), func(n int) graphql.Omittable[*int] { return graphql.OmittableOf(&n) }
	branding := func(in directory.BrandingInput) directory.UpdateSettingsInput {
		return directory.UpdateSettingsInput{Branding: graphql.OmittableOf(&in)}
	}
	const day = 24 * 60 * 60
	for _, c := range []struct {
		name string
		in   directory.UpdateSettingsInput
		want string
	}{
		{"no password", directory.UpdateSettingsInput{AllowPasswordSignIn: no}, ""},
		{"neither way", directory.UpdateSettingsInput{AllowCodeSignIn: no}, "INVALID input.allowCodeSignIn"},
		{"the other way", directory.UpdateSettingsInput{AllowCodeSignIn: no, AllowPasswordSignIn: graphql.OmittableOf(new(true))}, ""},
		{"neither way again", directory.UpdateSettingsInput{AllowPasswordSignIn: no}, "INVALID input.allowPasswordSignIn"},
		{"shortest", directory.UpdateSettingsInput{MinimumPasswordLength: number(8)}, ""},
		{"longest", directory.UpdateSettingsInput{MinimumPasswordLength: number(64)}, ""},
		{"too long", directory.UpdateSettingsInput{MinimumPasswordLength: number(65)}, "INVALID input.minimumPasswordLength"},
		{"idle for longer than it lasts", directory.UpdateSettingsInput{SessionIdleSeconds: number(91 * day)}, "INVALID input.sessionIdleSeconds"},
		{"lasts for less than it is idle", directory.UpdateSettingsInput{SessionMaximumSeconds: number(13 * day)}, "INVALID input.sessionMaximumSeconds"},
		{"the least", directory.UpdateSettingsInput{SessionIdleSeconds: number(300), SessionMaximumSeconds: number(300)}, ""},
		{"the most", directory.UpdateSettingsInput{SessionIdleSeconds: number(365 * day), SessionMaximumSeconds: number(5 * 365 * day)}, ""},
		{"too much", directory.UpdateSettingsInput{SessionIdleSeconds: number(365*day + 1), SessionMaximumSeconds: number(5*365*day + 1)}, "INVALID input.sessionIdleSeconds, INVALID input.sessionMaximumSeconds"},
		{"no branding", directory.UpdateSettingsInput{Branding: graphql.OmittableOf[*directory.BrandingInput](nil)}, "INVALID input.branding"},
		{"branding", branding(directory.BrandingInput{Name: text(" Ärzte "), LogoURL: text("https://example.com/logo.svg"), Colour: text("#0A7CFF"), PrivacyURL: text("https://example.com/p"), TermsURL: text("https://example.com/t")}), ""},
		{"a part of it", branding(directory.BrandingInput{TermsURL: graphql.OmittableOf[*string](nil)}), ""},
		{"no name", branding(directory.BrandingInput{Name: graphql.OmittableOf[*string](nil)}), "INVALID input.branding.name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := must(b.Settings(b.ctx))(t)
			_, err := b.UpdateSettings(b.ctx, c.in)
			wantFaults(t, err, c.want)
			if after := must(b.Settings(b.ctx))(t); reflect.DeepEqual(before.Settings, after.Settings) != (c.want != "") {
				t.Errorf("settings were %+v and are %+v", before.Settings, after.Settings)
			}
		})
	}
	// A person who signs in holds no permission.
	got, err := b.SignInSettings(t.Context())
	want := db.Settings{
		ID: true, AllowSelfSignUp: true, SyncProfilesOnSignIn: true, AllowPasswordSignIn: true, MinimumPasswordLength: 64, SessionIdleSeconds: 365 * day, SessionMaximumSeconds: 5 * 365 * day,
		Branding: db.Branding{Name: "Ärzte", LogoURL: new("https://example.com/logo.svg"), Colour: new("#0a7cff"), PrivacyURL: new("https://example.com/p")},
	}
	if must(got, err)(t); !reflect.DeepEqual(got.Settings, want) {
		t.Errorf("settings are %+v", got.Settings)
	}
	if _, err := b.Settings(t.Context()); err == nil {
		t.Error("anybody may ask for the settings")
	}
}

// While the default organization is switched to and fro, and others are suspended and
// deleted, there is always exactly one, and new users have a place.
func TestDefaultOrganizationUnderRaces(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for round := range 6 {
		x, y := b.organization("X"), b.organization("Y")
		for i, err := range race(16, func(i int) error {
			var err error
			switch i % 8 {
			case 0, 1:
				_, err = b.UpdateSettings(b.ctx, defaultOrganization(orgID(x)))
			case 2, 3:
				_, err = b.UpdateSettings(b.ctx, defaultOrganization(orgID(y)))
			case 4:
				_, err = b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(x)})
			case 5:
				_, err = b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(y)})
			default:
				name := string(rune('a'+round)) + string(rune('a'+i))
				_, err = b.CreateUser(b.ctx, directory.CreateUserInput{Username: &name})
			}
			return err
		}) {
			if got := faults(t, err); i%8 >= 6 && got != "" {
				t.Errorf("a newcomer was refused: %v", err)
			}
		}
		if n := b.count("organizations where is_default and status = 'ACTIVE' and deleted_at is null"); n != 1 {
			t.Fatalf("%d default organizations", n)
		}
	}
	if n := b.count("users u where not exists (select from memberships m join organizations o on o.id = m.org_id and o.deleted_at is null where m.user_id = u.id)"); n != 0 {
		t.Errorf("%d users are nowhere", n)
	}
}

func TestSettingsChangedAtOnceAreAllChanged(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for round := range 10 {
		value := graphql.OmittableOf(new(round%2 == 1))
		for _, err := range race(2, func(i int) error {
			_, err := b.UpdateSettings(b.ctx, []directory.UpdateSettingsInput{{AllowSelfSignUp: value}, {SyncProfilesOnSignIn: value}}[i])
			return err
		}) {
			must(0, err)(t)
		}
		if s := must(b.Settings(b.ctx))(t); s.AllowSelfSignUp != *value.Value() || s.SyncProfilesOnSignIn != *value.Value() {
			t.Fatalf("settings are %+v, both should be %v", s, *value.Value())
		}
	}
}

// A new user gets the default roles from before a change or from after it, never some
// of each.
func TestDefaultRolesAreSwitchedAsAWhole(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	old, next := []string{"a1", "a2"}, []string{"b1", "b2"}
	for _, key := range slices.Concat(old, next) {
		b.role(key)
	}
	for round := range 12 {
		old, next = next, old
		must(b.UpdateSettings(b.ctx, defaultRoles(old...)))(t)
		for _, err := range race(8, func(i int) error {
			var err error
			if i == 0 {
				_, err = b.UpdateSettings(b.ctx, defaultRoles(next...))
			} else {
				name := string(rune('a'+round)) + string(rune('a'+i))
				_, err = b.CreateUser(b.ctx, directory.CreateUserInput{Username: &name})
			}
			return err
		}) {
			must(0, err)(t)
		}
	}
	if n := b.count(`(select string_agg(r.key, ' ' order by r.key) as keys from users u left join membership_roles g on g.user_id = u.id and g.live
		left join roles r on r.id = g.role_id group by u.id) held where keys is null or keys not in ('a1 a2', 'b1 b2')`); n != 0 {
		t.Errorf("%d newcomers have a mixture", n)
	}
}
