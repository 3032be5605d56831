package directory

import (
	"context"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// An application signs people in through Roster (OpenID Connect). A MACHINE acts for itself
// in place of that: what it may do, where, and who answers for it, is an API key of the same
// id, which has no secret and is shown to nobody. So it has the end and the origin of one
// (decision 0010), and what descends from it falls with it.

// formerSecretLife is how long the secret of an application works that was replaced.
const formerSecretLife = 24 * time.Hour

// Applications returns all applications, by time of creation.
func (d *Directory) Applications(ctx context.Context) ([]*db.Application, error) {
	if err := access.Require(ctx, access.SettingsRead); err != nil {
		return nil, err
	}
	return pointers(db.Select[db.Application](ctx, d.db, "select * from applications where deleted_at is null order by created_at, id"))
}

// ApplicationsByID reads applications that were reached through something that the actor may
// see, such as a change that one of them made. Their order is undefined. Tombstones are
// included, because history refers to them. An actor who does not read the settings sees the
// id of an application, and hardly more.
func (d *Directory) ApplicationsByID(ctx context.Context, ids []db.ApplicationID) ([]db.Application, error) {
	rows, err := db.Select[db.Application](ctx, d.db, "select * from applications where id = any($1)", ids)
	for i := range rows {
		if !seesApplication(access.ActorOf(ctx), rows[i].KeyID()) {
			hideApplication(&rows[i])
		}
	}
	return rows, err
}

// Client returns the application with that id, or nil if it does not exist, whoever asks.
func (d *Directory) Client(ctx context.Context, id db.ApplicationID) (*db.Application, error) {
	return db.SelectOne[db.Application](ctx, d.db, "select * from applications where id = $1 and deleted_at is null", id)
}

// seesApplication reports whether the actor sees all of the application with that key: it
// reads or writes settings, or is that application.
func seesApplication(actor *access.Actor, key db.APIKeyID) bool {
	return actor.HoldsEverywhere(access.SettingsRead) || actor.HoldsEverywhere(access.SettingsWrite) || actor.Key != nil && actor.Key.ID == key
}

// machineKeys returns the keys of the MACHINEs among the applications that the actor sees.
func (d *Directory) machineKeys(ctx context.Context, applications []*db.Application) (map[db.APIKeyID]db.APIKey, error) {
	actor, ids := access.ActorOf(ctx), []db.APIKeyID{}
	for _, a := range applications {
		if a.Kind == db.MachineApplication && seesApplication(actor, a.KeyID()) {
			ids = append(ids, a.KeyID())
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := db.Select[db.APIKey](ctx, d.db, "select * from api_keys where id = any($1)", ids)
	keys := make(map[db.APIKeyID]db.APIKey, len(rows))
	for _, row := range rows {
		keys[row.ID] = row
	}
	return keys, err
}

// ApplicationOrganizations returns the id of the organization in which each of the
// applications acts for itself, or zero if it acts everywhere, or for people.
func (d *Directory) ApplicationOrganizations(ctx context.Context, applications []*db.Application) ([]db.OrganizationID, error) {
	keys, err := d.machineKeys(ctx, applications)
	all := make([]db.OrganizationID, len(applications))
	for i, a := range applications {
		if org := keys[a.KeyID()].OrgID; org != nil {
			all[i] = *org
		}
	}
	return all, err
}

// ApplicationPermissions returns what each of the applications may do for itself, ordered by
// key.
func (d *Directory) ApplicationPermissions(ctx context.Context, applications []*db.Application) ([][]*db.Permission, error) {
	keys, err := d.machineKeys(ctx, applications)
	if err != nil {
		return nil, err
	}
	ids := make([]db.APIKeyID, len(applications))
	for i, a := range applications {
		ids[i] = keys[a.KeyID()].ID
	}
	return d.permissionsOfKeys(ctx, ids, nil)
}

// CreateApplicationInput describes a new application.
type CreateApplicationInput struct {
	Name                                string
	Kind                                db.ApplicationKind
	RedirectURLs, LogoutURLs, Audiences []string
	// Permissions are what a MACHINE may do, in Organization or, if that is nil, everywhere.
	Permissions  []*PermissionRef
	Organization *OrganizationRef
}

// CreateApplication creates an application, and returns it with its secret, which is not
// stored; empty for kinds that have none. What a MACHINE may do must be what the actor may
// hand out, who answers for it.
func (d *Directory) CreateApplication(ctx context.Context, in CreateApplicationInput) (app *db.Application, shown secret.Text, err error) {
	err = d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		app = &db.Application{ID: db.NewID[db.ClientKind](), Kind: in.Kind, Name: w.faults.name("input.name", in.Name), CreatedAt: w.At}
		app.RedirectURLs = w.faults.redirectURLs("input.redirectUrls", in.Kind, in.RedirectURLs)
		app.LogoutURLs = w.faults.redirectURLs("input.logoutUrls", in.Kind, in.LogoutURLs)
		app.Audiences = w.faults.audiences("input.audiences", in.Audiences)
		if app.Kind.KeepsSecret() {
			shown, app.SecretHash = credential.NewApplicationSecret()
		}
		m, err := d.newMachine(ctx, w, app, in)
		if err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		if _, err := w.NewInsert().Model(app).Exec(ctx); err != nil {
			return err
		}
		if err := m.insert(ctx, w); err != nil {
			return err
		}
		return w.Record(changes.ApplicationCreated, app.ID.String(), m.organization(), nil, m.values(app))
	})
	if err != nil {
		return nil, secret.Text{}, err
	}
	return app, shown, nil
}

// UpdateApplicationInput says what is to change of an application.
type UpdateApplicationInput struct {
	Application                         string
	Name                                graphql.Omittable[*string]
	RedirectURLs, LogoutURLs, Audiences graphql.Omittable[[]string]
	Permissions                         graphql.Omittable[[]*PermissionRef]
	Organization                        graphql.Omittable[*OrganizationRef]
}

// UpdateApplication changes an application. Whoever says what a MACHINE may do, or where,
// must be allowed to hand out all of it, and answers for it from then on.
func (d *Directory) UpdateApplication(ctx context.Context, in UpdateApplicationInput) (*db.Application, error) {
	return d.changeApplication(ctx, in.Application, func(ctx context.Context, w *write, app *db.Application, m *machine) error {
		before := *app
		if in.Name.IsSet() {
			app.Name = w.faults.name("input.name", textValue(in.Name.Value()))
		}
		editList(w.faults.redirectURLs, "input.redirectUrls", app.Kind, in.RedirectURLs, &app.RedirectURLs)
		editList(w.faults.redirectURLs, "input.logoutUrls", app.Kind, in.LogoutURLs, &app.LogoutURLs)
		if in.Audiences.IsSet() {
			app.Audiences = w.faults.audiences("input.audiences", in.Audiences.Value())
		}
		former := m.copied()
		was := former.values(&before)
		handedOut, err := d.editMachine(ctx, w, app, m, in)
		if err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		handedOut = handedOut && !m.same(former)
		if !handedOut && sameApplication(&before, app) {
			return nil
		}
		if _, err := w.NewUpdate().Model(app).WherePK().Exec(ctx); err != nil {
			return err
		}
		if handedOut {
			if err := m.update(ctx, w); err != nil {
				return err
			}
		}
		return w.Record(changes.ApplicationUpdated, app.ID.String(), m.organization(), was, m.values(app))
	})
}

// editList replaces a list of addresses if the input has one.
func editList(check func(field string, kind db.ApplicationKind, values []string) []string, field string, kind db.ApplicationKind, value graphql.Omittable[[]string], into *[]string) {
	if value.IsSet() {
		*into = check(field, kind, value.Value())
	}
}

func sameApplication(a, b *db.Application) bool {
	return a.Name == b.Name && slices.Equal(a.RedirectURLs, b.RedirectURLs) && slices.Equal(a.LogoutURLs, b.LogoutURLs) && slices.Equal(a.Audiences, b.Audiences)
}

// ApplicationActionInput names the application to act upon.
type ApplicationActionInput struct{ Application string }

// RollApplicationSecret makes another secret for an application, which is not stored. The
// secret that it had works for another day. Whoever rolls the secret of a MACHINE must be allowed to
// hand out what it may do, and answers for it from then on. It returns INVALID for kinds
// that have no secret.
func (d *Directory) RollApplicationSecret(ctx context.Context, in ApplicationActionInput) (app *db.Application, shown secret.Text, err error) {
	app, err = d.changeApplication(ctx, in.Application, func(ctx context.Context, w *write, app *db.Application, m *machine) error {
		if !app.Kind.KeepsSecret() {
			w.faults.Add(problem.Invalid, "input.application", "Applications of this kind have no secret: they run where nobody can keep one.")
			return w.faults.Err()
		}
		if m != nil {
			if err := d.allowMachine(ctx, w, m, 0); err != nil {
				return err
			}
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		ends := d.clock().UTC().Add(formerSecretLife)
		app.FormerSecretHash, app.FormerSecretEndsAt = app.SecretHash, &ends
		shown, app.SecretHash = credential.NewApplicationSecret()
		if _, err := w.NewUpdate().Model(app).Column("secret_hash", "former_secret_hash", "former_secret_ends_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := m.update(ctx, w); err != nil {
			return err
		}
		return w.Record(changes.ApplicationSecretRolled, app.ID.String(), m.organization(), nil, nil)
	})
	return app, shown, err
}

// DeleteApplication ends an application, what people are signed in to with it, and what it
// may do for itself, with what descends from that. A tombstone remains, because history
// refers to it.
func (d *Directory) DeleteApplication(ctx context.Context, in ApplicationActionInput) ([]string, error) {
	app, err := d.changeApplication(ctx, in.Application, func(ctx context.Context, w *write, app *db.Application, m *machine) error {
		if m != nil {
			if err := d.outrankKey(ctx, w, m.key, "input.application"); err != nil {
				return err
			}
			if err := w.faults.Err(); err != nil {
				return err
			}
			_, err := w.revokeKeys(ctx, "k.id = ?", m.key.ID)
			return err
		}
		return w.endApplication(app.ID, nil)
	})
	if err != nil {
		return nil, err
	}
	return []string{app.ID.String()}, nil
}

// endApplication makes the application a tombstone.
func (w *write) endApplication(id db.ApplicationID, org *db.OrganizationID) error {
	w.Later("update applications set deleted_at = $1 where id = $2", w.At, id)
	w.Later("delete from sessions where application_id = $1", id)
	w.Later("delete from authorization_codes where application_id = $1", id)
	return w.Record(changes.ApplicationDeleted, id.String(), org, nil, nil)
}

// changeApplication calls edit to change an application, unless there is no such. Its
// machine is nil for those that sign people in.
func (d *Directory) changeApplication(ctx context.Context, text string, edit func(ctx context.Context, w *write, app *db.Application, m *machine) error) (app *db.Application, err error) {
	err = d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		var m *machine
		app = nil
		if id, malformed := db.ParseID[db.ClientKind](text); malformed == nil {
			if app, m, err = d.lockApplication(ctx, id); err != nil {
				return err
			}
		}
		if app == nil {
			w.faults.Add(problem.NotFound, "input.application", "There is no such application.")
			return w.faults.Err()
		}
		return edit(ctx, w, app, m)
	})
	return app, err
}

// lockApplication returns the application, locked for a write, or nil if it does not exist.
// It interrupts what the application is doing for itself.
func (d *Directory) lockApplication(ctx context.Context, id db.ApplicationID) (*db.Application, *machine, error) {
	app, err := d.Client(ctx, id)
	if err != nil || app == nil {
		return nil, nil, err
	}
	var m *machine
	if app.Kind == db.MachineApplication {
		if m, err = d.lockMachine(ctx, app.KeyID()); err != nil {
			return nil, nil, err
		}
	}
	app, err = db.SelectOne[db.Application](ctx, d.db, "select * from applications where id = $1 and deleted_at is null for no key update", id)
	return app, m, err
}

// AuthenticateApplication returns the actor that is a MACHINE, which has shown that it is the
// one. See Authenticate.
func (d *Directory) AuthenticateApplication(ctx context.Context, id db.ApplicationID) (*access.Actor, error) {
	key, err := d.keys.FindApplication(ctx, id, d.engine.KeyEpoch(), d.engine.Staleness())
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, problem.New(problem.Unauthenticated, "This application is unknown, or no longer valid.")
	}
	return &access.Actor{Key: &key.APIKey, Permissions: key.Permissions, Organization: key.OrgID}, nil
}

// OrganizationCode returns the code of the organization, whoever asks; empty if there is
// none.
func (d *Directory) OrganizationCode(ctx context.Context, org db.OrganizationID) (string, error) {
	code, err := db.SelectOne[string](ctx, d.db, "select code from organizations where id = $1", org)
	if err != nil || code == nil {
		return "", err
	}
	return *code, nil
}
