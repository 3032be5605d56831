package directory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/problem"
)

func orgID(o *db.Organization) directory.OrganizationRef {
	id := o.ID.String()
	return directory.OrganizationRef{ID: &id}
}

func orgCode(code string) directory.OrganizationRef { return directory.OrganizationRef{Code: &code} }

func userID(u *db.User) *directory.UserRef {
	id := u.ID.String()
	return &directory.UserRef{ID: &id}
}

func (b *business) organization(name string) *db.Organization {
	b.t.Helper()
	org, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: name})
	return must(org, err)(b.t)
}

func (b *business) user(name string, orgs ...*db.Organization) *db.User {
	b.t.Helper()
	in := directory.CreateUserInput{Username: &name}
	for _, org := range orgs {
		ref := orgID(org)
		in.Organizations = append(in.Organizations, &ref)
	}
	user, err := b.CreateUser(b.ctx, in)
	return must(user, err)(b.t)
}

func (b *business) role(key string, permissions ...*directory.PermissionRef) *db.Role {
	b.t.Helper()
	role, err := b.CreateRole(b.ctx, directory.CreateRoleInput{Key: key, Permissions: permissions})
	return must(role, err)(b.t)
}

// count returns the number of rows that a query finds.
func (b *business) count(from string, args ...any) int {
	b.t.Helper()
	n, err := db.SelectOne[int](b.t.Context(), b.db, "select count(*) from "+from, args...)
	return *must(n, err)(b.t)
}

// changesOf returns the actions recorded of a subject, in order, with the values
// before and after.
func (b *business) changesOf(subject string) []string {
	b.t.Helper()
	rows, err := db.Select[struct{ Action, Before, After string }](b.t.Context(), b.db,
		`select action, coalesce(before::text, '-') as before, coalesce(after::text, '-') as after from changes where subject = $1 order by at, id`, subject)
	must(rows, err)(b.t)
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = row.Action + " " + row.Before + " " + row.After
	}
	return texts
}

// faults returns the kinds and fields of the faults, in order.
func faults(t *testing.T, err error) string {
	t.Helper()
	problems := problem.All(err)
	if err != nil && len(problems) == 0 {
		t.Fatalf("a fault of the server: %v", err)
	}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = fmt.Sprint(p.Kind, " ", p.Field)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

func wantFaults(t *testing.T, err error, want string) {
	t.Helper()
	if got := faults(t, err); got != want {
		t.Errorf("faults are %q, want %q (%v)", got, want, err)
	}
}

func TestOrganizationFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	role := b.role("invoices-reader")
	key := "invoices-reader"
	org, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{
		Name: " Acme  Ltd ", ExternalID: new("ERP-1"), Properties: json.RawMessage(`{"plan": "gold", "seats": 5}`),
		AutoJoinDomains: []string{"ACME.com", "acme.com", " mail.acme.example "}, DefaultRoles: []*directory.RoleRef{{Key: &key}, {Key: &key}},
	})
	must(org, err)(t)
	if org.Code != "acme-ltd" || !slices.Equal(org.AutoJoinDomains, []string{"acme.com", "mail.acme.example"}) || org.Version != 1 {
		t.Errorf("created %+v", org)
	}
	for _, by := range []directory.OrganizationRef{orgID(org), orgCode("ACME-ltd"), {ExternalID: new("erp-1")}} {
		found, err := b.Organization(b.ctx, by, nil)
		if must(found, err)(t); found == nil || found.ID != org.ID || !found.CreatedAt.Equal(org.CreatedAt) {
			t.Errorf("%+v finds %+v", by, found)
		}
	}
	roles, err := b.DefaultRoles(b.ctx, []db.OrganizationID{db.NewID[db.OrganizationKind](), org.ID})
	if must(roles, err)(t); len(roles[0]) != 0 || len(roles[1]) != 1 || roles[1][0].ID != role.ID {
		t.Errorf("default roles are %v", roles)
	}

	// An update that changes nothing leaves the version alone, however it is written.
	same := directory.UpdateOrganizationInput{
		Organization: orgID(org), Name: graphql.OmittableOf(new("Acme  Ltd")), ExternalID: graphql.OmittableOf(new("ERP-1")),
		Properties:      graphql.OmittableOf(json.RawMessage(`{"seats":5,"plan":"gold"}`)),
		AutoJoinDomains: graphql.OmittableOf([]string{"acme.com", "MAIL.acme.example"}),
		DefaultRoles:    graphql.OmittableOf([]*directory.RoleRef{{Key: &key}}),
	}
	if updated, err := b.UpdateOrganization(b.ctx, same); must(updated, err)(t).Version != 1 {
		t.Errorf("an update without a difference made version %d", updated.Version)
	}
	empty := directory.UpdateOrganizationInput{
		Organization: orgID(org), IfVersion: new(1), ExternalID: graphql.OmittableOf[*string](nil),
		Properties: graphql.OmittableOf[json.RawMessage](nil), AutoJoinDomains: graphql.OmittableOf[[]string](nil),
		DefaultRoles: graphql.OmittableOf[[]*directory.RoleRef](nil),
	}
	must(b.UpdateOrganization(b.ctx, empty))(t)
	empty.IfVersion = new(2)
	emptied := must(b.UpdateOrganization(b.ctx, empty))(t)
	if emptied.Version != 2 || emptied.Name != "Acme  Ltd" || emptied.ExternalID != nil || string(emptied.Properties) != "{}" || len(emptied.AutoJoinDomains) != 0 {
		t.Errorf("emptied to %+v", emptied)
	}
	_, err = b.UpdateOrganization(b.ctx, directory.UpdateOrganizationInput{Organization: orgID(org), IfVersion: new(1), Name: graphql.OmittableOf[*string](nil)})
	wantFaults(t, err, "CONFLICT input.ifVersion, INVALID input.name")

	action := directory.OrganizationActionInput{Organization: orgID(org)}
	for _, step := range []struct {
		do   func(context.Context, directory.OrganizationActionInput) (*db.Organization, error)
		want db.Status
	}{{b.SuspendOrganization, db.Suspended}, {b.SuspendOrganization, db.Suspended}, {b.RestoreOrganization, db.Active}} {
		if changed, err := step.do(b.ctx, action); must(changed, err)(t).Status != step.want {
			t.Errorf("status is %s, want %s", changed.Status, step.want)
		}
	}
	ids, err := b.DeleteOrganization(b.ctx, action)
	if must(ids, err)(t); !slices.Equal(ids, []string{org.ID.String()}) {
		t.Errorf("deleted %v", ids)
	}
	_, err = b.DeleteOrganization(b.ctx, action)
	wantFaults(t, err, "NOT_FOUND input.organization")
	if found, err := b.Organization(b.ctx, orgID(org), nil); must(found, err)(t) != nil {
		t.Errorf("a deleted organization is found: %+v", found)
	}
	if kept, err := b.OrganizationsByID(b.ctx, []db.OrganizationID{org.ID}, nil); len(must(kept, err)(t)) != 1 || kept[0].Name != "Acme  Ltd" || kept[0].DeletedAt == nil {
		t.Errorf("the tombstone is %+v", kept)
	}
	again, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "New", Code: new("acme-ltd"), ExternalID: new("ERP-1")})
	must(again, err)(t)

	var actions []string
	for _, text := range b.changesOf(org.ID.String()) {
		actions = append(actions, strings.Fields(text)[0])
	}
	if want := []string{"organization.created", "organization.updated", "organization.suspended", "organization.restored", "organization.deleted"}; !slices.Equal(actions, want) {
		t.Errorf("recorded %v, want %v", actions, want)
	}
	updated := b.changesOf(org.ID.String())[1]
	if want := `organization.updated {"externalId": "ERP-1", "properties": {"plan": "gold", "seats": 5}, "defaultRoles": ["invoices-reader"], "autoJoinDomains": ["acme.com", "mail.acme.example"]}` +
		` {"externalId": null, "properties": {}, "defaultRoles": [], "autoJoinDomains": []}`; updated != want {
		t.Errorf("recorded\n%s, want\n%s", updated, want)
	}
}

func TestOrganizationFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.organization("Taken")
	unknown, taken := "nobody", "taken"
	tooMany := make([]string, 101)
	for i := range tooMany {
		tooMany[i] = fmt.Sprintf("d%d.example", i)
	}
	for _, c := range []struct {
		in   directory.CreateOrganizationInput
		want string
	}{
		{directory.CreateOrganizationInput{
			Name: " ", Code: new("Not a code"), ExternalID: new(""), Properties: json.RawMessage(`[]`),
			AutoJoinDomains: []string{"ok.example", "localhost", "-a.example", "a..example", "10.0.0.1", "a b.example", "@a.example", ""},
			DefaultRoles:    []*directory.RoleRef{{Key: new("roster-viewer")}, {Key: &unknown}},
		}, "INVALID input.autoJoinDomains.1, INVALID input.autoJoinDomains.2, INVALID input.autoJoinDomains.3, INVALID input.autoJoinDomains.4, " +
			"INVALID input.autoJoinDomains.5, INVALID input.autoJoinDomains.6, INVALID input.autoJoinDomains.7, INVALID input.code, " +
			"INVALID input.defaultRoles, INVALID input.externalId, INVALID input.name, INVALID input.properties, NOT_FOUND input.defaultRoles.1"},
		{directory.CreateOrganizationInput{Name: "Taken", Code: &taken}, "CONFLICT input.code"},
		{directory.CreateOrganizationInput{Name: "a\x00b", ExternalID: new("\xff")}, "INVALID input.externalId, INVALID input.name"},
		{directory.CreateOrganizationInput{Name: "x", Properties: json.RawMessage(`{"a": {"b": ["\u0000"]}}`)}, "INVALID input.properties"},
		{directory.CreateOrganizationInput{Name: "x", Properties: json.RawMessage(`{"a": 1e400}`)}, "INVALID input.properties"},
		{directory.CreateOrganizationInput{Name: "x", Properties: json.RawMessage(`{"a": "` + strings.Repeat("x", 16<<10) + `"}`)}, "INVALID input.properties"},
		{directory.CreateOrganizationInput{Name: "x", AutoJoinDomains: tooMany}, "INVALID input.autoJoinDomains"},
		{directory.CreateOrganizationInput{Name: "x", Code: new("")}, "INVALID input.code"},
		{directory.CreateOrganizationInput{Name: "x", Code: new(strings.Repeat("a", 64))}, "INVALID input.code"},
		{directory.CreateOrganizationInput{Name: "x", Code: new("a--b")}, "INVALID input.code"},
	} {
		t.Run(c.want, func(t *testing.T) {
			_, err := b.CreateOrganization(b.ctx, c.in)
			wantFaults(t, err, c.want)
		})
	}
	for _, do := range []func(context.Context, directory.OrganizationActionInput) error{
		func(ctx context.Context, in directory.OrganizationActionInput) error {
			_, err := b.SuspendOrganization(ctx, in)
			return err
		},
		func(ctx context.Context, in directory.OrganizationActionInput) error {
			_, err := b.DeleteOrganization(ctx, in)
			return err
		},
	} {
		wantFaults(t, do(b.ctx, directory.OrganizationActionInput{Organization: orgCode("default")}), "INVALID input.organization")
		wantFaults(t, do(b.ctx, directory.OrganizationActionInput{Organization: orgCode("nowhere")}), "NOT_FOUND input.organization")
	}
	ghost := orgCode("ghost")
	_, err := b.CreateUser(b.ctx, directory.CreateUserInput{Email: new("no"), Organizations: []*directory.OrganizationRef{&ghost, new(orgCode("taken")), &ghost}})
	wantFaults(t, err, "INVALID input.email, NOT_FOUND input.organizations.0, NOT_FOUND input.organizations.2")
	_, err = b.CreateUser(b.ctx, directory.CreateUserInput{Username: new("a"), Organizations: []*directory.OrganizationRef{}})
	wantFaults(t, err, "INVALID input.organizations")
}

func TestCodeIsMadeFromTheName(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for _, c := range []struct{ name, want string }{
		{"Café Zoë & Co.", "cafe-zoe-co"},
		{"Café Zoë & Co.", "cafe-zoe-co-2"},
		{"CAFE zoe/co", "cafe-zoe-co-3"},
		{"Straße Œuvre Ørsted Łódź", "strasse-oeuvre-orsted-lodz"},
		{"O’Neil's ４２", "oneils-42"},
		{"--  --a--", "a"},
		{"株式会社 Acme", "acme"},
		{strings.Repeat("long ", 30), strings.TrimSuffix(strings.Repeat("long-", 11), "-")},
		{strings.Repeat("long ", 30), strings.Repeat("long-", 11) + "2"},
	} {
		if org := b.organization(c.name); org.Code != c.want {
			t.Errorf("the code of %q is %q, want %q", c.name, org.Code, c.want)
		}
	}
	nameless := b.organization("株式会社")
	if id := nameless.ID.String(); nameless.Code != "org-"+id[len(id)-8:] {
		t.Errorf("the code is %q for %s", nameless.Code, id)
	}
}

func TestOrganizationsInPages(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	all := []*db.Organization{must(b.Settings(b.ctx))(t).DefaultOrganization}
	for _, name := range []string{"delta", "Alpha", "charlie", "Émile", "bravo", "alpha", "Zulu_1", "zulu%1"} {
		all = append(all, b.organization(name))
	}
	must(b.SuspendOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgCode("bravo")}))(t)
	values := map[list.OrderField]func(*db.Organization) string{
		"CREATED_AT": func(o *db.Organization) string { return o.CreatedAt.Format(time.RFC3339Nano) },
		"NAME":       func(o *db.Organization) string { return db.Fold(o.Name) },
		"CODE":       func(o *db.Organization) string { return o.Code },
	}
	for field, value := range values {
		for _, direction := range []list.Direction{list.Ascending, list.Descending} {
			want := slices.SortedFunc(slices.Values(all), func(a, b *db.Organization) int {
				order := strings.Compare(value(a)+"\x00"+a.ID.String(), value(b)+"\x00"+b.ID.String())
				if direction == list.Descending {
					return -order
				}
				return order
			})
			by := &directory.OrganizationOrder{Field: field, Direction: direction}
			for _, backward := range []bool{false, true} {
				if got := b.walk(by, backward); !slices.Equal(got, codes(want)) {
					t.Errorf("%s %s, backward %v: %v, want %v", field, direction, backward, got, codes(want))
				}
			}
		}
	}
	for _, c := range []struct {
		filter directory.OrganizationFilter
		want   []string
	}{
		{directory.OrganizationFilter{Search: new("LPH")}, []string{"alpha", "alpha-2"}},
		{directory.OrganizationFilter{Search: new("u_1")}, []string{"zulu-1"}},
		{directory.OrganizationFilter{Search: new("emile")}, []string{"emile"}},
		{directory.OrganizationFilter{Search: new(" \u3000"), Status: new(db.Suspended)}, []string{"bravo"}},
		{directory.OrganizationFilter{Status: new(db.Suspended)}, []string{"bravo"}},
		{directory.OrganizationFilter{Search: new("alpha"), Status: new(db.Suspended)}, []string{}},
	} {
		t.Run("finds "+strings.Join(c.want, " and "), func(t *testing.T) {
			page, err := b.Organizations(b.ctx, list.Page{}, &c.filter, nil, list.Fields{"code"})
			if got := codes(must(page, err)(t).Nodes); !slices.Equal(got, c.want) {
				t.Errorf("%+v finds %v, want %v", c.filter, got, c.want)
			}
			if n, err := page.TotalCount(b.ctx); must(n, err)(t) != len(c.want) {
				t.Errorf("%+v counts %d", c.filter, n)
			}
		})
	}
	_, err := b.Organizations(b.ctx, list.Page{First: new(0)}, &directory.OrganizationFilter{}, nil, nil)
	wantFaults(t, err, "INVALID first")
	for _, search := range []string{"a\x00b", "\xffab", strings.Repeat("a", 201), strings.Repeat("a b c d e f g h i ", 2) + "j k l m n o p q"} {
		_, err := b.Organizations(b.ctx, list.Page{}, &directory.OrganizationFilter{Search: &search}, nil, nil)
		wantFaults(t, err, "INVALID filter.search")
		if found := must(b.Organization(b.ctx, directory.OrganizationRef{ExternalID: &search}, nil))(t); found != nil {
			t.Errorf("%q finds %+v", search, found)
		}
	}
}

func codes(organizations []*db.Organization) []string {
	all := make([]string, len(organizations))
	for i, o := range organizations {
		all[i] = o.Code
	}
	return all
}

// walk reads the whole list, two at a time, and returns it from its beginning.
func (b *business) walk(by *directory.OrganizationOrder, backward bool) []string {
	b.t.Helper()
	var all []string
	page := list.Page{First: new(2)}
	if backward {
		page = list.Page{Last: new(2)}
	}
	for {
		c, err := b.Organizations(b.ctx, page, nil, by, list.Fields{"code"})
		must(c, err)(b.t)
		info := c.PageInfo()
		if backward {
			all = append(codes(c.Nodes), all...)
			page.Before = info.StartCursor
			if !info.HasPreviousPage {
				return all
			}
			continue
		}
		all = append(all, codes(c.Nodes)...)
		page.After = info.EndCursor
		if !info.HasNextPage {
			return all
		}
	}
}

func TestActorOfOneOrganizationSeesOnlyThatOne(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	own, other := b.organization("Own"), b.organization("Other")
	everything := access.System("x").Permissions
	bound := access.WithActor(t.Context(), &access.Actor{System: "bound", Permissions: everything, Organization: &own.ID})

	page, err := b.Organizations(bound, list.Page{}, nil, nil, nil)
	if got := codes(must(page, err)(t).Nodes); !slices.Equal(got, []string{"own"}) {
		t.Errorf("sees %v", got)
	}
	if n, err := page.TotalCount(bound); must(n, err)(t) != 1 {
		t.Errorf("counts %d", n)
	}
	if found, err := b.Organization(bound, orgID(own), nil); must(found, err)(t) == nil {
		t.Error("does not see its own")
	}
	for _, hidden := range []directory.OrganizationRef{orgID(other), orgCode("default"), orgCode("nowhere"), {ID: new("org_x")}} {
		if found, err := b.Organization(bound, hidden, nil); must(found, err)(t) != nil {
			t.Errorf("sees %+v", found)
		}
		_, err := b.AddMembers(bound, directory.AddMembersInput{Organization: hidden, Users: []*directory.UserRef{{Username: new("ada")}}})
		wantFaults(t, err, "NOT_FOUND input.organization")
	}
	reader := access.WithActor(t.Context(), &access.Actor{System: "reader", Permissions: []access.Permission{access.OrganizationsRead}})
	for _, c := range []struct {
		name string
		ctx  context.Context
		want string
	}{{"bound", bound, "FORBIDDEN "}, {"reader", reader, "FORBIDDEN "}, {"nobody", t.Context(), "UNAUTHENTICATED "}} {
		t.Run(c.name, func(t *testing.T) {
			action := directory.OrganizationActionInput{Organization: orgID(own)}
			_, err := b.CreateOrganization(c.ctx, directory.CreateOrganizationInput{Name: "New"})
			wantFaults(t, err, c.want)
			_, err = b.UpdateOrganization(c.ctx, directory.UpdateOrganizationInput{Organization: orgID(own)})
			wantFaults(t, err, c.want)
			_, err = b.SuspendOrganization(c.ctx, action)
			wantFaults(t, err, c.want)
			_, err = b.RestoreOrganization(c.ctx, action)
			wantFaults(t, err, c.want)
			_, err = b.DeleteOrganization(c.ctx, action)
			wantFaults(t, err, c.want)
			_, err = b.Settings(c.ctx)
			wantFaults(t, err, c.want)
			_, err = b.UpdateSettings(c.ctx, directory.UpdateSettingsInput{})
			wantFaults(t, err, c.want)
		})
	}
	_, err = b.Organizations(t.Context(), list.Page{}, nil, nil, nil)
	wantFaults(t, err, "UNAUTHENTICATED ")
}

func TestDefaultRolesAreHandedOut(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	must(b.CreatePermission(b.ctx, directory.CreatePermissionInput{Key: "invoices:read"}))(t)
	b.role("plain")
	b.role("reader", &directory.PermissionRef{Key: new("invoices:read")})
	b.role("viewer", &directory.PermissionRef{Key: new("invoices:read")})
	plain, reader, viewer := &directory.RoleRef{Key: new("plain")}, &directory.RoleRef{Key: new("reader")}, &directory.RoleRef{Key: new("viewer")}

	org, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "Acme", DefaultRoles: []*directory.RoleRef{reader, viewer}})
	must(org, err)(t)
	b.user("ada", org)
	if n := b.count("membership_roles where live and org_id = $1", org.ID); n != 2 {
		t.Errorf("the newcomer has %d roles", n)
	}
	clerk := access.WithActor(t.Context(), &access.Actor{System: "clerk", Permissions: []access.Permission{access.OrganizationsWrite, access.SettingsWrite}})
	_, err = b.CreateOrganization(clerk, directory.CreateOrganizationInput{Name: "", DefaultRoles: []*directory.RoleRef{reader, plain}})
	wantFaults(t, err, "ESCALATION , INVALID input.name")
	_, err = b.UpdateSettings(clerk, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{plain, reader})})
	wantFaults(t, err, "ESCALATION ")
	// Keeping a role that is there, or taking one away, does not hand it out.
	update := directory.UpdateOrganizationInput{Organization: orgID(org), DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{reader, plain})}
	if updated, err := b.UpdateOrganization(clerk, update); must(updated, err)(t).Version != 2 {
		t.Errorf("version is %d", updated.Version)
	}
	update.DefaultRoles = graphql.OmittableOf([]*directory.RoleRef{viewer})
	_, err = b.UpdateOrganization(clerk, update)
	wantFaults(t, err, "ESCALATION ")

	for _, key := range []string{"plain", "reader"} {
		must(b.DeleteRole(b.ctx, directory.RoleActionInput{Role: directory.RoleRef{Key: &key}}))(t)
	}
	if roles, err := b.DefaultRoles(b.ctx, []db.OrganizationID{org.ID}); len(must(roles, err)(t)[0]) != 0 {
		t.Errorf("default roles are %v", roles[0])
	}
	b.role("basic")
	must(b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{{Key: new("basic")}})}))(t)
	grace := b.user("grace", org)
	if n := b.count("membership_roles g join roles r on r.id = g.role_id where g.live and g.user_id = $1 and r.key = 'basic'", grace.ID); n != 1 {
		t.Error("the business's default role was not given")
	}
}

func TestDeletingAnOrganizationMovesItsMembers(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for _, key := range []string{"basic", "extra"} {
		b.role(key)
	}
	must(b.CreatePermission(b.ctx, directory.CreatePermissionInput{Key: "invoices:read"}))(t)
	must(b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{{Key: new("basic")}})}))(t)
	doomed, other := b.organization("Doomed"), b.organization("Other")
	only, both := b.user("only", doomed), b.user("both", doomed, other)
	users := []*directory.UserRef{userID(only), userID(both)}
	future := time.Now().Add(time.Hour)
	must(b.GrantRoles(b.ctx, directory.GrantRolesInput{Organization: orgID(doomed), Users: users, Roles: []*directory.RoleRef{{Key: new("extra")}}, StartsAt: &future, Reason: new("why")}))(t)
	must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{Organization: orgID(doomed), Users: users, Permissions: []*directory.PermissionRef{{Key: new("invoices:read")}}}))(t)
	for i, org := range []*db.Organization{doomed, doomed, other} {
		key := db.APIKey{ID: db.NewID[db.APIKeyKind](), Name: "key", Prefix: "rk", Hash: []byte{byte(i)}, OrgID: &org.ID, CreatedAt: time.Now(), CreatedBy: "system:test"}
		if _, err := b.db.NewInsert().Model(&key).Exec(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	memberships, err := db.Select[db.Membership](b.ctx, b.db, "select * from memberships where org_id = $1", doomed.ID)
	must(memberships, err)(t)
	must(b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(doomed)}))(t)

	for what, want := range map[string]int{
		"memberships where org_id = $1":                                                                  0,
		"membership_roles where org_id = $1 and live":                                                    0,
		"membership_permissions where org_id = $1 and live":                                              0,
		"membership_roles where org_id = $1 and revoked_by = 'system:test' and revoked_at >= granted_at": 4,
		"membership_roles where org_id = $1 and reason = 'why'":                                          2,
		"api_keys where org_id = $1 and revoked_at is not null and revoked_by = 'system:test'":           2,
		"changes where org_id = $1 and action = 'membership.deleted'":                                    2,
		"changes where org_id = $1 and action = 'apiKey.revoked'":                                        2,
	} {
		t.Run(what, func(t *testing.T) {
			if n := b.count(what, doomed.ID); n != want {
				t.Errorf("%s: %d, want %d", what, n, want)
			}
		})
	}
	if n := b.count("api_keys where revoked_at is null"); n != 1 {
		t.Errorf("%d keys are left", n)
	}
	for user, want := range map[*db.User]string{only: "default", both: "other"} {
		rows, err := db.Select[string](b.ctx, b.db, `select o.code || ' ' || coalesce(string_agg(r.key, ' '), '-') from memberships m join organizations o on o.id = m.org_id
			left join membership_roles g on g.org_id = m.org_id and g.user_id = m.user_id and g.live left join roles r on r.id = g.role_id
			where m.user_id = $1 group by o.code`, user.ID)
		if must(rows, err)(t); !slices.Equal(rows, []string{want + " basic"}) {
			t.Errorf("%s is in %v", user.Name, rows)
		}
	}
	want := fmt.Sprintf(`membership.deleted {"status": "ACTIVE", "userId": "%s", "organizationId": "%s"} -`, memberships[0].UserID, doomed.ID)
	if got := b.changesOf(memberships[0].ID.String()); got[len(got)-1] != want {
		t.Errorf("recorded %v, want %s", got, want)
	}
}

// race runs all at once and returns their errors.
func race(n int, do func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

func TestOneCodeForRacers(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	const racers = 24
	won := 0
	for _, err := range race(racers, func(i int) error {
		_, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: fmt.Sprint("Name ", i), Code: new("prize")})
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		wantFaults(t, err, "CONFLICT input.code")
	}
	if n := b.count("organizations where code = 'prize'"); won != 1 || n != 1 {
		t.Errorf("%d won, %d have the code", won, n)
	}
	for _, err := range race(racers, func(int) error {
		_, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "Same"})
		return err
	}) {
		must(0, err)(t)
	}
	if n := b.count("organizations where code = 'same' or code ~ '^same-([2-9]|1[0-9]|2[0-4])$'"); n != racers {
		t.Errorf("%d of the codes same, same-2 … same-24 exist", n)
	}
	if n := b.count("changes where action = 'organization.created'"); n != 2+1+racers {
		t.Errorf("%d creations are on record", n)
	}
}

func TestDeletionRacesWithNewMembers(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.role("basic")
	must(b.UpdateSettings(b.ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{{Key: new("basic")}})}))(t)
	for round := range 3 {
		doomed, second := b.organization("Doomed"), b.organization("Second")
		users := make([]*db.User, 16)
		for i := range users {
			users[i] = b.user(fmt.Sprintf("user-%d-%d", round, i), second)
		}
		for _, err := range race(18, func(i int) error {
			var err error
			switch {
			case i == 3:
				_, err = b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(doomed)})
			case i == 9:
				_, err = b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(second)})
			case i%3 == 0:
				name := fmt.Sprintf("new-%d-%d", round, i)
				refs := []*directory.OrganizationRef{new(orgID(second)), new(orgID(doomed))}
				_, err = b.CreateUser(b.ctx, directory.CreateUserInput{Username: &name, Organizations: refs})
			case i%3 == 1:
				_, err = b.AddMembers(b.ctx, directory.AddMembersInput{Organization: orgID(doomed), Users: []*directory.UserRef{userID(users[i%16])}})
			default:
				_, err = b.MoveMember(b.ctx, directory.MoveMemberInput{User: *userID(users[i%16]), From: orgID(second), To: orgID(doomed)})
			}
			return err
		}) {
			faults(t, err) // only problems that a caller understands
		}
		if n := b.count("organizations where deleted_at is not null and id = any($1)", []db.OrganizationID{doomed.ID, second.ID}); n != 2 {
			t.Errorf("%d are deleted", n)
		}
	}
	for what, want := range map[string]int{
		"users u where not exists (select from memberships m where m.user_id = u.id)":                                                    0,
		"memberships m join organizations o on o.id = m.org_id where o.deleted_at is not null":                                           0,
		"membership_roles g join organizations o on o.id = g.org_id where g.live and o.deleted_at is not null":                           0,
		"memberships m where not exists (select from membership_roles g where g.org_id = m.org_id and g.user_id = m.user_id and g.live)": 0,
	} {
		t.Run(what, func(t *testing.T) {
			if n := b.count(what); n != want {
				t.Errorf("%s: %d, want %d", what, n, want)
			}
		})
	}
}

// A domain leads to one organization, however it is written, also when several want it
// at the same moment; another can have it once it is given up.
func TestDomainLeadsToOneOrganization(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	orgs := []*db.Organization{b.organization("A"), b.organization("B"), b.organization("C")}
	set := func(org *db.Organization, domains ...string) error {
		_, err := b.UpdateOrganization(b.ctx, directory.UpdateOrganizationInput{Organization: orgID(org), AutoJoinDomains: graphql.OmittableOf(domains)})
		return err
	}
	owners := func() string {
		t.Helper()
		all, err := db.Select[string](t.Context(), b.db, `select d.domain || ' ' || o.code from organization_domains d join organizations o on o.id = d.org_id
			where d.domain = any(o.auto_join_domains) order by 1`)
		must(all, err)(t)
		if listed := b.count("organizations, unnest(auto_join_domains)"); len(all) != listed || len(all) != b.count("organization_domains") {
			t.Errorf("%v lead somewhere, and organizations list %d", all, listed)
		}
		return strings.Join(all, ", ")
	}
	must(0, set(orgs[0], "bücher.example", "a.example"))(t)
	wantFaults(t, set(orgs[1], "b.example", "XN--Bcher-KVA.example", "mail.a.example"), "CONFLICT input.autoJoinDomains.1")
	must(0, set(orgs[1], "b.example", "mail.a.example"))(t)
	must(0, set(orgs[0], "a.example", "new.example"))(t)
	must(b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "D", AutoJoinDomains: []string{"bücher.example"}}))(t)
	_, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "E", AutoJoinDomains: []string{"e.example", "bücher.example"}})
	wantFaults(t, err, "CONFLICT input.autoJoinDomains.1")
	must(b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(orgs[1])}))(t)
	if got, want := owners(), "a.example a, bücher.example d, new.example a"; got != want {
		t.Errorf("domains are %s, want %s", got, want)
	}
	for round := range 8 {
		names := []string{fmt.Sprintf("x%d.example", round), fmt.Sprintf("y%d.example", round)}
		won := 0
		for _, err := range race(4, func(i int) error {
			domains := slices.Clone(names)
			if i%2 == 1 {
				slices.Reverse(domains)
			}
			if i < 2 {
				return set(orgs[2*i], domains...)
			}
			_, err := b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "New", AutoJoinDomains: domains})
			return err
		}) {
			if got := faults(t, err); got == "" {
				won++
			} else if !strings.Contains(got, "CONFLICT input.autoJoinDomains") {
				t.Errorf("refused by %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d organizations have the domains: %s", won, owners())
		}
	}
	owners()
}
