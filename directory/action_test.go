package directory_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/dbtest"
	"roster/db/list"
	"roster/directory"
	"roster/egress"
	"roster/impact"
	"roster/mail"
	"roster/problem"
	"roster/provider"
	"roster/provider/providertest"
	"roster/secret"
	"roster/signin"
	"roster/transfer"
	"roster/transfer/format"
)

// actionServers are a server that answers from memory, and one that always reads the
// database. All worlds share them: connections are dear.
type actionServers struct {
	*business
	exact      *directory.Directory
	signIn     *signin.Service
	transfer   *transfer.Service
	statements *dbtest.Statements
	worlds     int
}

func newActionServers(t *testing.T) *actionServers {
	t.Helper()
	s := &actionServers{statements: &dbtest.Statements{}}
	database := dbtest.Open(t, setUp.DSN(t), s.statements)
	s.business = &business{
		directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler), Staleness: time.Hour}), t, database,
		access.WithActor(t.Context(), access.System("test")),
	}
	t.Cleanup(s.Close)
	ring := must(secret.ParseKeyring(secret.NewKey().Reveal()))(t)
	client := egress.NewClient(true)
	t.Cleanup(client.CloseIdleConnections)
	s.signIn = signin.New(signin.Options{
		Providers: provider.New(client, time.Now), Keyring: ring, Development: true,
		Database: database, Directory: s.Directory, Passwords: credential.QuickPasswords(1, 1), Outbox: mail.NewOutbox(database, mail.Options{}), Log: slog.New(slog.DiscardHandler),
	})
	s.transfer = transfer.New(transfer.Options{Database: database, Directory: s.Directory, Log: slog.New(slog.DiscardHandler)})
	must(0, s.Follow(t.Context()))(t)
	must(0, s.EnsureAdministratorKey(t.Context(), credential.New()))(t)
	s.exact = s.server()
	return s
}

// actionWorld is a part of the business in which every action can be done. Nothing in it
// is part of another world, so that it does not matter what those have left in memory.
type actionWorld struct {
	*business
	exact      *directory.Directory
	signIn     *signin.Service
	transfer   *transfer.Service
	statements *dbtest.Statements
	// mark is in each name of this world. By the names that it has elsewhere: Ada holds
	// the permission thing in Acme, by the role worker. So do two API keys: one that
	// stands for her, and one that stands for itself, which also holds spare. She is signed
	// in there. Bob, other and the second external id are still to be made.
	mark                   string
	ada, bob, acme, worker string
	thing, spare, other    string
	firstID, secondID      string
	secrets                []secret.Text
	ownKey                 directory.APIKeyActionInput
	// Ada is signed in to the application web by the session family. machine may do thing in
	// Acme.
	web, machine *db.Application
	family       credential.SessionName
	// google is the identity that Ada has elsewhere.
	google string
}

// newWorld makes a world for one test.
func (s *actionServers) newWorld(t *testing.T) *actionWorld {
	t.Helper()
	s.worlds++
	mark := fmt.Sprintf("w%dw", s.worlds)
	w := &actionWorld{
		business: &business{s.Directory, t, s.db, access.WithActor(t.Context(), access.System("test"))},
		exact:    s.exact, signIn: s.signIn, transfer: s.transfer, statements: s.statements, mark: mark,
		ada: "ada-" + mark, bob: "bob-" + mark, acme: "acme-" + mark, worker: "worker-" + mark,
		thing: mark + "-thing:do", spare: mark + "-spare:do", other: mark + "-other:do",
		firstID: "first-" + mark, secondID: "second-" + mark,
	}
	w.definePermissions(w.thing, w.spare)
	w.role(w.worker, permissionRefs(w.thing)...)
	acme := must(w.CreateOrganization(w.ctx, directory.CreateOrganizationInput{Name: w.acme, ExternalID: &w.firstID}))(t)
	ada := w.user(w.ada, acme)
	must(0, w.grantRole(w.ada, w.acme, w.worker))(t)
	_, hers := w.keyOf(directory.UserRef{Username: &w.ada}, w.acme, w.thing)
	own, its := w.key(w.acme, w.thing, w.spare)
	w.secrets, w.ownKey, w.google = []secret.Text{hers, its, w.session(ada, acme)}, keyAction(own), w.identity("google")
	w.web = w.application(directory.CreateApplicationInput{Name: "web", Kind: db.WebApplication})
	w.machine = w.application(directory.CreateApplicationInput{Name: "machine", Kind: db.MachineApplication, Permissions: permissionRefs(w.thing), Organization: new(orgCode(w.acme))})
	w.family = credential.SessionName{User: ada.ID, Session: db.NewID[db.SessionKind]()}
	now := time.Now()
	must(w.db.NewInsert().Model(&db.Session{
		UserID: ada.ID, ID: w.family.Session, Hash: credential.NoSecret(), OrgID: &acme.ID, Methods: []string{"code"}, CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Hour), ApplicationID: &w.web.ID,
	}).Exec(t.Context()))(t)
	return w
}

func (b *business) application(in directory.CreateApplicationInput) *db.Application {
	b.t.Helper()
	app, _, err := b.CreateApplication(b.ctx, in)
	return must(app, err)(b.t)
}

// session starts a session of the user in the organization, and returns its secret.
func (b *business) session(user *db.User, org *db.Organization) secret.Text {
	b.t.Helper()
	of := credential.SessionName{User: user.ID, Session: db.NewID[db.SessionKind]()}
	shown, hash := credential.NewSession(of)
	now := time.Now()
	session := &db.Session{UserID: of.User, ID: of.Session, Hash: hash, OrgID: &org.ID, Methods: []string{"code"}, CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Hour)}
	must(b.db.NewInsert().Model(session).Exec(b.t.Context()))(b.t)
	return shown
}

// asAda returns fn, called by Ada, who is signed in.
func (w *actionWorld) asAda(fn func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		actor, err := w.Authenticate(w.t.Context(), w.secrets[2], "")
		if err != nil {
			return err
		}
		return fn(access.WithActor(ctx, actor))
	}
}

// identity makes an identity of Ada, and returns its id.
func (w *actionWorld) identity(subject string) string {
	w.t.Helper()
	id := db.NewID[db.IdentityKind]()
	must(w.db.NewRaw("insert into identities (id, provider, subject, user_id) select ?, 'google', ?, id from users where username = ?", id, subject+w.mark, w.ada).Exec(w.t.Context()))(w.t)
	return id.String()
}

// newProvider makes an identity provider, and returns its id.
func (w *actionWorld) newProvider(ctx context.Context, issuer string) string {
	w.t.Helper()
	return must(w.CreateIdentityProvider(ctx, directory.CreateIdentityProviderInput{
		Key: w.mark, Kind: db.OIDCProvider, Issuer: &issuer, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret,
	}))(w.t).ID.String()
}

// link links an identity provider to the account of the person of ctx.
func (w *actionWorld) link(ctx context.Context) error {
	p := providertest.New(w.t)
	w.newProvider(w.ctx, p.URL)
	departure, err := w.signIn.BeginLink(ctx, w.mark)
	if err != nil {
		return err
	}
	_, err = w.signIn.FinishProvider(ctx, w.mark, departure.Ticket, p.Visit(w.t, departure.Address))
	return err
}

// answers returns what a server answers from everything that it may keep in memory.
func (w *actionWorld) answers(d *directory.Directory) []string {
	w.t.Helper()
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, c := range w.checks(d) {
		say("%s %s %s: %v", *c.User.Username, textOf(c.Organization), c.Permission, c.allowed)
	}
	for _, p := range must(d.Permissions(w.ctx, list.Page{First: new(100)}, &w.mark))(w.t).Nodes {
		say("permission %s %s", p.Key, p.Name)
	}
	for _, r := range must(d.Roles(w.ctx, list.Page{First: new(100)}, &w.mark))(w.t).Nodes {
		say("role %s %s: %s", r.Key, r.Name, keysOf(must(d.RolePermissions(w.ctx, []db.RoleID{r.ID}))(w.t)[0]))
	}
	for i, shown := range w.secrets {
		actor, err := d.Authenticate(w.t.Context(), shown, "")
		if err != nil {
			say("key %d: %v", i, err)
			continue
		}
		say("key %d: %s in %v", i, permissionsOf(actor), actor.Organization)
	}
	if actor, err := d.AuthenticateApplication(w.t.Context(), w.machine.ID); err != nil {
		say("machine: %v", err)
	} else {
		say("machine: %s in %v", permissionsOf(actor), actor.Organization)
	}
	if actor, err := d.AuthenticateNamed(w.t.Context(), w.family, ""); err != nil {
		say("family: %v", err)
	} else {
		say("family: in %v", actor.Organization)
	}
	_, err := d.AuthenticateIdentity(w.t.Context(), directory.IdentityName{Issuer: "google", Subject: "google" + w.mark}, "")
	say("identity: %v", err)
	return all
}

// answered is a check and its answer.
type answered struct {
	directory.CheckInput
	allowed bool
}

// checks returns what a server answers to all checks. The one that has no memory reads the
// same for each of them, so it is asked once.
func (w *actionWorld) checks(d *directory.Directory) []answered {
	w.t.Helper()
	var all []answered
	var inputs []*directory.CheckInput
	for _, user := range []string{w.ada, w.bob} {
		for _, org := range []directory.OrganizationRef{orgCode(w.acme), {ExternalID: &w.firstID}, {ExternalID: &w.secondID}} {
			for _, permission := range []string{w.thing, w.spare, w.other} {
				c := answered{CheckInput: directory.CheckInput{User: directory.UserRef{Username: &user}, Organization: org, Permission: permission}}
				if d != w.exact {
					c.allowed = must(d.Can(w.ctx, c.User, c.Organization, c.Permission))(w.t)
				}
				all, inputs = append(all, c), append(inputs, &c.CheckInput)
			}
		}
	}
	if d == w.exact {
		for i, allowed := range must(d.Checks(w.ctx, inputs))(w.t) {
			all[i].allowed = allowed
		}
	}
	return all
}

func textOf(org directory.OrganizationRef) string {
	if org.Code != nil {
		return *org.Code
	}
	return *org.ExternalID
}

// warm asks until memory answers what it can: a cache takes new entries when it
// likes, and names that nobody has are looked up each time.
func (w *actionWorld) warm() {
	w.t.Helper()
	for least, same := 1<<30, 0; same < 5; {
		w.statements.Take()
		w.answers(w.Directory)
		switch n := len(w.statements.Take()); {
		case n < least:
			least, same = n, 0
		default:
			same++
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// wrong returns what memory, impact and history get wrong after an action.
func (w *actionWorld) wrong(c actionCase) (wrong []string) {
	w.t.Helper()
	if c.before != nil {
		must(0, c.before(w.ctx))(w.t)
	}
	w.warm()
	before := w.entitlements(w.ctx)
	err := w.Writer.Atomically(w.ctx, func(ctx context.Context) error {
		wrong = nil
		if err := c.change(ctx); err != nil {
			return err
		}
		of, after := w.Impact(ctx), w.entitlements(ctx)
		for name, side := range map[string]struct {
			page     func(context.Context, list.Page) (*list.Connection[impact.PermissionChange], error)
			from, to map[string]bool
		}{"gained": {of.Gained, before, after}, "lost": {of.Lost, after, before}} {
			want := 0
			if name == "lost" {
				want = c.later
			}
			for line := range side.to {
				if !side.from[line] {
					want++
				}
			}
			if got := must(must(side.page(ctx, list.Page{}))(w.t).TotalCount(ctx))(w.t); got != want {
				wrong = append(wrong, fmt.Sprintf("impact has %d %s, want %d", got, name, want))
			}
		}
		return nil
	})
	must(0, err)(w.t)
	if c.after != nil {
		must(0, c.after(w.ctx))(w.t)
	}
	now := w.entitlements(w.ctx)
	if then := w.entitlementsAsOf(one[time.Time](w.business, "select clock_timestamp()")); !reflect.DeepEqual(now, then) {
		wrong = append(wrong, fmt.Sprintf("history has %v, want %v", then, now))
	}
	got, want := w.answers(w.Directory), w.answers(w.exact)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return append(wrong, fmt.Sprintf("memory has %q, want %q", got, want))
		}
	}
	return wrong
}

// entitlements returns what members may do, as the database has it.
func (w *actionWorld) entitlements(ctx context.Context) map[string]bool {
	return w.lines(ctx, w.exact, nil)
}

func (w *actionWorld) entitlementsAsOf(at time.Time) map[string]bool {
	return w.lines(w.ctx, w.exact, &at)
}

func (w *actionWorld) lines(ctx context.Context, d *directory.Directory, at *time.Time) map[string]bool {
	w.t.Helper()
	rows := must(db.Select[db.Membership](ctx, w.db, "select * from memberships"))(w.t)
	members := make([]*db.Membership, len(rows))
	for i := range rows {
		members[i] = &rows[i]
	}
	lines := map[string]bool{}
	for i, permissions := range must(d.EffectivePermissions(ctx, members, at))(w.t) {
		for _, p := range permissions {
			lines[members[i].ID.String()+" "+p.Key()] = true
		}
	}
	return lines
}

// does returns a call of a method of a directory whose result does not matter.
func does[In, Out any](method func(context.Context, In) (Out, error), in In) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := method(ctx, in)
		return err
	}
}

// actionCase is a way to make an action: change makes it, before prepares it, and
// after uses what it has made free.
type actionCase struct {
	before, change, after func(ctx context.Context) error
	// later is how much of what is lost is lost only later.
	later int
}

func (w *actionWorld) cases() map[changes.Action]actionCase {
	ada := directory.UserRef{Username: &w.ada}
	acme, users := orgCode(w.acme), []*directory.UserRef{&ada}
	user, org := directory.UserActionInput{User: ada}, directory.OrganizationActionInput{Organization: acme}
	spare := directory.GrantPermissionsInput{Organization: acme, Users: users, Permissions: permissionRefs(w.spare)}
	invitation := directory.InviteInput{Email: w.mark + "@example.com", Organization: &acme, Roles: roleRefs(w.worker)}
	var end time.Time
	soon := func() *time.Time { end = time.Now().Add(2 * time.Second); return &end }
	wait := func(context.Context) error { time.Sleep(time.Until(end) + 50*time.Millisecond); return nil }
	roles := directory.GrantRolesInput{Organization: acme, Users: users, Roles: roleRefs(w.worker), Reason: new("why")}
	reason := spare
	reason.Reason = new("why")
	// arrive brings ada to an organization as a worker, and as bob.
	arrive := func(to directory.OrganizationRef) func(context.Context) error {
		return func(ctx context.Context) error {
			org, err := w.PlaceOfStrays(ctx, &to)
			if err != nil {
				return err
			}
			roles, _, err := w.TargetsNamed(ctx, []string{w.worker}, nil)
			if err != nil {
				return err
			}
			known, err := w.User(ctx, ada, nil)
			if err != nil {
				return err
			}
			_, err = w.Arrive(ctx, []*directory.Arrival{{Known: known.ID, Username: &w.bob, Places: []directory.Place{{Organization: *org, Roles: []db.RoleID{roles[w.worker]}}}}}, directory.UpdateConflict)
			return err
		}
	}
	// stored is a case of an import that was cancelled, or is in another state.
	stored := func(method func(context.Context, transfer.ImportActionInput) (*db.Import, error), status db.ImportStatus) actionCase {
		id := db.NewID[db.ImportKind]()
		return actionCase{before: func(ctx context.Context) error {
			_, err := w.db.NewRaw(`insert into imports (id, file_name, format, status, on_conflict, on_unknown, org_id, created_by, actor, created_at)
				select ?, 'x', 'CSV', ?, 'SKIP', 'FAIL', id, 'system:test', 'system:test', now() from organizations where is_default`, id, status).Exec(ctx)
			return err
		}, change: does(method, transfer.ImportActionInput{Import: id.String()})}
	}
	return map[changes.Action]actionCase{
		changes.UserImported:       {change: arrive(acme)},
		changes.MembershipImported: {change: arrive(orgCode("default"))},
		changes.ImportPlanned: {change: func(ctx context.Context) error {
			file, err := w.transfer.Keep(ctx, "people.csv", strings.NewReader("email\n"))
			if err != nil {
				return err
			}
			return does(w.transfer.PlanImport, transfer.PlanImportInput{File: *file, Format: format.Auto, OnConflict: directory.SkipConflict, OnUnknown: transfer.UnknownFails})(ctx)
		}},
		changes.ImportApplied:          stored(w.transfer.ApplyImport, db.ImportPlanned),
		changes.ImportCancelled:        stored(w.transfer.CancelImport, db.ImportPlanned),
		changes.ImportUndone:           stored(w.transfer.UndoImport, db.ImportApplied),
		changes.UserCreated:            {change: does(w.CreateUser, directory.CreateUserInput{Username: &w.bob, Organizations: []*directory.OrganizationRef{&acme}, Roles: roleRefs()})},
		changes.OrganizationCreated:    {change: does(w.CreateOrganization, directory.CreateOrganizationInput{Name: w.secondID, ExternalID: &w.secondID})},
		changes.MembershipCreated:      {change: does(w.AddMembers, directory.AddMembersInput{Organization: orgCode("default"), Users: users, Roles: roleRefs()})},
		changes.RoleGrantChanged:       {change: does(w.GrantRoles, roles)},
		changes.PermissionGrantChanged: {before: does(w.GrantPermissions, spare), change: does(w.GrantPermissions, reason)},
		changes.APIKeyCreated: {change: func(ctx context.Context) error {
			_, _, err := w.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "new", Organization: &acme})
			return err
		}},
		changes.UsersExported:   {change: does(w.transfer.ExportUsers, transfer.ExportUsersInput{Format: db.ExportCSV, Organization: &acme})},
		changes.SettingsCreated: {change: w.Setup},
		changes.SettingsUpdated: {change: does(w.UpdateSettings, directory.UpdateSettingsInput{AllowSelfSignUp: graphql.OmittableOf(new(false))})},
		changes.RoleGrantShortened: {change: func(ctx context.Context) error {
			return does(w.RevokeRoles, directory.RevokeRolesInput{Organization: acme, Users: users, Roles: roleRefs(w.worker), EndsAt: soon()})(ctx)
		}, after: wait, later: 1},
		changes.PermissionGrantShortened: {before: does(w.GrantPermissions, spare), change: func(ctx context.Context) error {
			return does(w.RevokePermissions, directory.RevokePermissionsInput{Organization: acme, Users: users, Permissions: permissionRefs(w.spare), EndsAt: soon()})(ctx)
		}, after: wait, later: 1},
		changes.UserUpdated:         {change: does(w.UpdateUser, directory.UpdateUserInput{User: ada, Username: graphql.OmittableOf(&w.bob)})},
		changes.UserSuspended:       {change: does(w.SuspendUser, user)},
		changes.UserRestored:        {before: does(w.SuspendUser, user), change: does(w.RestoreUser, user)},
		changes.UserDeleted:         {change: does(w.DeleteUser, user), after: w.again},
		changes.UserSessionsEnded:   {change: w.asAda(does(w.signIn.SignOut, false))},
		changes.UserPasswordChanged: {change: does(w.signIn.SetTemporaryPassword, signin.SetTemporaryPasswordInput{User: ada, Password: "correct horse battery staple"})},
		changes.UserSwitched: {
			before: does(w.AddMembers, directory.AddMembersInput{Organization: orgCode("default"), Users: users, Roles: roleRefs()}),
			change: w.asAda(does(w.signIn.SwitchOrganization, orgCode("default"))),
		},
		changes.UserIdentityLinked:      {change: w.asAda(w.link)},
		changes.IdentityProviderCreated: {change: func(ctx context.Context) error { w.newProvider(ctx, "https://example.com"); return nil }},
		changes.IdentityProviderUpdated: {change: func(ctx context.Context) error {
			return does(w.UpdateIdentityProvider, directory.UpdateIdentityProviderInput{Provider: w.newProvider(ctx, "https://example.com"), Enabled: graphql.OmittableOf(new(false))})(ctx)
		}},
		changes.IdentityProviderDeleted: {change: func(ctx context.Context) error {
			return does(w.DeleteIdentityProvider, directory.IdentityProviderActionInput{Provider: w.newProvider(ctx, "https://example.com")})(ctx)
		}},
		changes.UserIdentityUnlinked: {change: func(ctx context.Context) error {
			w.identity("left")
			return does(w.signIn.UnlinkIdentity, signin.UnlinkIdentityInput{User: &ada, Identity: w.google})(ctx)
		}},
		changes.OrganizationUpdated:   {change: does(w.UpdateOrganization, directory.UpdateOrganizationInput{Organization: acme, ExternalID: graphql.OmittableOf(&w.secondID)})},
		changes.OrganizationSuspended: {change: does(w.SuspendOrganization, org)},
		changes.OrganizationRestored:  {before: does(w.SuspendOrganization, org), change: does(w.RestoreOrganization, org)},
		changes.OrganizationDeleted:   {change: does(w.DeleteOrganization, org), after: w.again},
		changes.MembershipDeleted:     {before: does(w.AddMembers, directory.AddMembersInput{Organization: orgCode("default"), Users: users}), change: does(w.RemoveMembers, directory.RemoveMembersInput{Organization: acme, Users: users})},
		changes.MembershipSuspended:   {change: does(w.SuspendMember, directory.MemberActionInput{User: ada, Organization: acme})},
		changes.MembershipRestored:    {before: does(w.SuspendMember, directory.MemberActionInput{User: ada, Organization: acme}), change: does(w.RestoreMember, directory.MemberActionInput{User: ada, Organization: acme})},
		changes.RoleGranted:           {before: does(w.RevokeRoles, directory.RevokeRolesInput{Organization: acme, Users: users, Roles: roleRefs(w.worker)}), change: does(w.GrantRoles, directory.GrantRolesInput{Organization: acme, Users: users, Roles: roleRefs(w.worker)})},
		changes.RoleRevoked:           {change: does(w.RevokeRoles, directory.RevokeRolesInput{Organization: acme, Users: users, Roles: roleRefs(w.worker)})},
		changes.PermissionGranted:     {change: does(w.GrantPermissions, spare)},
		changes.PermissionRevoked:     {before: does(w.GrantPermissions, spare), change: does(w.RevokePermissions, directory.RevokePermissionsInput{Organization: acme, Users: users, Permissions: permissionRefs(w.spare)})},
		changes.InvitationCreated:     {change: does(w.signIn.Invite, invitation)},
		changes.InvitationResent: {before: does(w.signIn.Invite, invitation), change: func(ctx context.Context) error {
			return does(w.signIn.ResendInvitation, directory.InvitationActionInput{Invitation: w.invitation().ID.String()})(ctx)
		}},
		changes.InvitationRevoked: {before: does(w.signIn.Invite, invitation), change: func(ctx context.Context) error {
			return does(w.RevokeInvitation, directory.InvitationActionInput{Invitation: w.invitation().ID.String()})(ctx)
		}},
		changes.InvitationAccepted: {before: does(w.signIn.Invite, invitation), change: func(ctx context.Context) error {
			i := w.invitation()
			return does(w.AcceptInvitation, directory.Acceptance{Invitation: i.ID, Hash: i.Hash})(ctx)
		}},
		changes.RoleCreated:            {change: does(w.CreateRole, directory.CreateRoleInput{Key: "other-" + w.mark})},
		changes.RoleUpdated:            {change: does(w.UpdateRole, directory.UpdateRoleInput{Role: roleRef(w.worker), Name: graphql.OmittableOf(new("Other"))})},
		changes.RoleDeleted:            {change: does(w.DeleteRole, directory.RoleActionInput{Role: roleRef(w.worker)})},
		changes.RolePermissionsAdded:   {change: does(w.AddRolePermissions, contents(w.worker, w.spare))},
		changes.RolePermissionsRemoved: {change: does(w.RemoveRolePermissions, contents(w.worker, w.thing))},
		changes.PermissionCreated:      {change: does(w.CreatePermission, directory.CreatePermissionInput{Key: w.other})},
		changes.PermissionUpdated:      {change: does(w.UpdatePermission, directory.UpdatePermissionInput{Permission: *permissionRefs(w.spare)[0], Key: graphql.OmittableOf(&w.other)})},
		changes.PermissionDeleted:      {before: does(w.GrantPermissions, spare), change: does(w.DeletePermission, directory.PermissionActionInput{Permission: *permissionRefs(w.spare)[0]})},
		changes.ApplicationCreated: {change: func(ctx context.Context) error {
			_, _, err := w.CreateApplication(ctx, directory.CreateApplicationInput{Name: "new", Kind: db.MachineApplication, Organization: &acme})
			return err
		}},
		changes.ApplicationUpdated: {change: does(w.UpdateApplication, directory.UpdateApplicationInput{Application: w.machine.ClientID(), Permissions: graphql.OmittableOf(permissionRefs(w.spare))})},
		changes.ApplicationSecretRolled: {change: func(ctx context.Context) error {
			_, _, err := w.RollApplicationSecret(ctx, directory.ApplicationActionInput{Application: w.machine.ClientID()})
			return err
		}},
		changes.ApplicationDeleted: {change: func(ctx context.Context) error {
			if err := does(w.DeleteApplication, directory.ApplicationActionInput{Application: w.machine.ClientID()})(ctx); err != nil {
				return err
			}
			return does(w.DeleteApplication, directory.ApplicationActionInput{Application: w.web.ClientID()})(ctx)
		}},
		changes.APIKeyAdopted: {change: func(ctx context.Context) error { // by a key that ends soon with another one
			soon()
			return does(w.AdoptAPIKey, w.ownKey)(w.asKeyThatEnds(ctx, end, string(access.KeysWrite), w.thing, w.spare))
		}, after: wait},
		changes.APIKeyRevoked: {change: does(w.RevokeAPIKey, w.ownKey)},
		changes.APIKeyPermissionsAdded: {
			before: func(ctx context.Context) error {
				w.secrets = append(w.secrets, credential.New())
				if err := w.EnsureAdministratorKey(ctx, w.secrets[3]); err != nil {
					return err
				}
				_, err := w.db.NewRaw("delete from api_key_permissions where api_key_id in (select id from api_keys where name = 'Administrator') and permission_id in (select id from permissions where key = ?)",
					access.KeysWrite).Exec(ctx)
				return err
			},
			change: func(ctx context.Context) error { return w.EnsureAdministratorKey(ctx, w.secrets[3]) },
		},
	}
}

// invitation returns the invitation to Acme.
func (w *actionWorld) invitation() *db.Invitation {
	w.t.Helper()
	return must(db.SelectOne[db.Invitation](w.ctx, w.db, "select * from invitations where email = $1", w.mark+"@example.com"))(w.t)
}

// asKeyThatEnds returns the context on which a key acts that has no end itself, but ends
// with the one that answers for it.
func (b *business) asKeyThatEnds(ctx context.Context, at time.Time, permissions ...string) context.Context {
	b.t.Helper()
	key, shown := b.key("", permissions...)
	_, child := b.descends(shown, "child", "", nil, permissions...)
	actor := must(b.Authenticate(b.t.Context(), child, ""))(b.t)
	must(b.db.NewRaw("update api_keys set expires_at = ? where id = ?", at, key.ID).Exec(b.t.Context()))(b.t)
	return access.WithActor(ctx, actor)
}

// again makes Ada and Acme once more, if one of them is gone.
func (w *actionWorld) again(ctx context.Context) error {
	if w.count("users where username = $1", w.ada) == 0 {
		return does(w.CreateUser, directory.CreateUserInput{Username: &w.ada, Organizations: []*directory.OrganizationRef{new(orgCode(w.acme))}, Roles: roleRefs(w.worker)})(ctx)
	}
	if err := does(w.CreateOrganization, directory.CreateOrganizationInput{Name: w.acme})(ctx); err != nil {
		return err
	}
	return does(w.AddMembers, directory.AddMembersInput{Organization: orgCode(w.acme), Users: []*directory.UserRef{{Username: &w.ada}}, Roles: roleRefs(w.worker)})(ctx)
}

// Memory, impact and history follow every action, and each effect of the table is
// needed for that: without it, something is wrong. The latter is tried with -long.
func TestEffectsOfActions(t *testing.T) { // not parallel: it changes the table
	names := make([]string, 0, 9)
	for f := range reflect.TypeFor[changes.Effects]().Fields() {
		names = append(names, f.Name)
	}
	servers := newActionServers(t)
	for _, action := range changes.Actions() {
		run := func(name, without string) {
			t.Run(action.String()+name, func(t *testing.T) {
				if without != "" {
					t.Cleanup(changes.Without(action, without))
				}
				w := servers.newWorld(t)
				c, known := w.cases()[action]
				if !known {
					t.Fatal("no case shows the effects of this action")
				}
				switch wrong := w.wrong(c); {
				case without == "" && wrong != nil:
					t.Error(wrong)
				case without != "" && wrong == nil:
					t.Errorf("nothing is wrong without its effect %s", without)
				}
			})
		}
		run("", "")
		for _, effect := range names {
			if *long && effect != "Administrator" && reflect.ValueOf(action.Effects()).FieldByName(effect).Bool() {
				run(" without "+effect, effect)
			}
		}
	}
}

// Each action that may end an administrator is one by which the last one could end
// if the table did not say so.
func TestActionsThatMayEndAnAdministrator(t *testing.T) { // not parallel: it changes the table
	b := newBusiness(t)
	ctx := b.someKey()
	last := b.administrator("last")
	for _, action := range changes.Actions() {
		if !action.Effects().Administrator {
			continue
		}
		t.Run(action.String(), func(t *testing.T) {
			t.Cleanup(changes.Without(action, "Administrator"))
			for _, end := range ends {
				err := b.Writer.DryRun(ctx, func(ctx context.Context) error { return end(ctx, b, last) })
				if err == nil {
					return // this is how
				}
				if !problem.Is(err, problem.LastAdministrator) {
					t.Error(err)
				}
			}
			t.Error("it never ends one")
		})
	}
}

// An action that is not in the table cannot be recorded, nor an action on the wrong
// kind of subject.
func TestOnlyActionsAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	user := db.NewID[db.UserKind]().String()
	for name, c := range map[string]struct {
		action  changes.Action
		subject string
	}{
		"no action":    {changes.ActionByName("user.locked"), user},
		"zero":         {changes.Action{}, user},
		"another kind": {changes.UserSuspended, db.NewID[db.RoleKind]().String()},
		"no id":        {changes.UserSuspended, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := b.Writer.Write(b.ctx, "system:test", func(_ context.Context, w *changes.Write) error {
				return w.Record(c.action, c.subject, nil, nil, nil)
			})
			if err == nil {
				t.Error("it was recorded")
			}
		})
	}
}
