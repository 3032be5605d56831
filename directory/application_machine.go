package directory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
)

// machine is what an application may do for itself. It is nil for an application that
// signs people in.
type machine struct {
	key         *db.APIKey
	permissions []*db.Permission
	// allowance is the actor's to hand all of it out.
	allowance access.Allowance
}

// organization returns the only one in which the machine works, or nil.
func (m *machine) organization() *db.OrganizationID {
	if m == nil {
		return nil
	}
	return m.key.OrgID
}

// applicationValues are the values of an application in the log of changes.
type applicationValues struct {
	*db.Application
	Permissions    []string           `json:"permissions,omitempty"`
	OrganizationID *db.OrganizationID `json:"organizationId,omitempty"`
}

func (m *machine) values(app *db.Application) applicationValues {
	if m == nil {
		return applicationValues{Application: app}
	}
	return applicationValues{app, permissionKeys(m.permissions), m.key.OrgID}
}

// copied returns the machine as it is now.
func (m *machine) copied() *machine {
	if m == nil {
		return nil
	}
	return &machine{key: new(*m.key), permissions: m.permissions}
}

// same reports whether two machines may do the same, and the same answers for them.
func (m *machine) same(other *machine) bool {
	a, b := m.key, other.key
	return equal(a.OrgID, b.OrgID) && sameResponsible(a, b) &&
		slices.Equal(permissionIDs(m.permissions), permissionIDs(other.permissions))
}

// newMachine returns what a new application is to do for itself, or nil if it signs people
// in.
func (d *Directory) newMachine(ctx context.Context, w *write, app *db.Application, in CreateApplicationInput) (*machine, error) {
	if app.Kind != db.MachineApplication {
		w.faults.onlyMachines("input.permissions", len(in.Permissions) > 0)
		w.faults.onlyMachines("input.organization", in.Organization != nil)
		return nil, nil
	}
	m := &machine{key: &db.APIKey{
		ID: app.KeyID(), Name: "Application", Prefix: "app_", Hash: credential.ApplicationHash(app.ID), IsApplication: true, CreatedAt: w.At, CreatedBy: w.actor.String(),
	}}
	var err error
	if m.permissions, err = d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 0); err != nil {
		return nil, err
	}
	found, err := d.placeMachine(ctx, w, m, in.Organization)
	if err != nil || !found {
		return m, err
	}
	return m, d.allowMachine(ctx, w, m, 1)
}

// onlyMachines adds a fault if the field is given for an application that does nothing by
// itself.
func (f *faults) onlyMachines(field string, given bool) {
	if given {
		f.Add(problem.Invalid, field, "Only a MACHINE acts for itself: others act for the people who sign in.")
	}
}

// placeMachine sets where the machine works. It reports false, and adds a fault, if there is
// no such organization.
func (d *Directory) placeMachine(ctx context.Context, w *write, m *machine, in *OrganizationRef) (found bool, err error) {
	m.key.OrgID = nil
	if in == nil {
		return true, nil
	}
	org, err := d.lockOrganization(ctx, w, access.SettingsWrite, *in, "input.organization")
	if err != nil || org == nil {
		return false, err
	}
	m.key.OrgID = &org.ID
	return true, nil
}

// allowMachine checks that the actor may hand out all of the machine, and makes the actor
// answer for it; generations is as in answerFor, or 0 to ask the database.
func (d *Directory) allowMachine(ctx context.Context, w *write, m *machine, generations int) error {
	items := append(permissionItems(m.permissions, nil), access.Item{ID: uuid.UUID(m.key.ID)})
	var err error
	m.allowance, err = d.allow(ctx, w, access.Handout{By: access.SettingsWrite, Organization: m.key.OrgID, Credential: true, Items: items})
	if err != nil {
		return err
	}
	if generations == 0 {
		return d.answerAgain(ctx, w, m.key, "input.application")
	}
	return d.answerFor(ctx, w, m.key, generations, "input")
}

// insert writes a new machine.
func (m *machine) insert(ctx context.Context, w *write) error {
	if m == nil {
		return nil
	}
	if err := covered(m.allowance, m.key.OrgID, nil, uuid.UUID(m.key.ID)); err != nil {
		return err
	}
	if _, err := w.NewInsert().Model(m.key).Exec(ctx); err != nil {
		return err
	}
	return w.insertKeyPermissions(ctx, m.key, m.permissions, m.allowance)
}

// lockMachine returns the machine with that key, locked for a write, or nil if it has ended.
// It interrupts what the machine is doing.
func (d *Directory) lockMachine(ctx context.Context, id db.APIKeyID) (*machine, error) {
	if err := d.interrupt(ctx, keyParty(&db.APIKey{ID: id, IsApplication: true})); err != nil {
		return nil, err
	}
	key, err := db.SelectOne[db.APIKey](ctx, d.db, "select * from api_keys where id = $1 for no key update", id)
	if err != nil || key == nil {
		return nil, err
	}
	permissions, err := pointers(db.Select[db.Permission](ctx, d.db, keyPermissionsText, id))
	return &machine{key: key, permissions: permissions}, err
}

// editMachine changes what an application may do for itself as the input says. It reports
// whether the input says anything about that.
func (d *Directory) editMachine(ctx context.Context, w *write, app *db.Application, m *machine, in UpdateApplicationInput) (handedOut bool, err error) {
	if m == nil {
		w.faults.onlyMachines("input.permissions", len(in.Permissions.Value()) > 0)
		w.faults.onlyMachines("input.organization", in.Organization.Value() != nil)
		return false, nil
	}
	if !in.Permissions.IsSet() && !in.Organization.IsSet() {
		return false, nil
	}
	if in.Permissions.IsSet() {
		if m.permissions, err = d.permissionsNamed(ctx, w, "input.permissions", in.Permissions.Value(), 0); err != nil {
			return false, err
		}
	}
	if in.Organization.IsSet() {
		found, err := d.placeMachine(ctx, w, m, in.Organization.Value())
		if err != nil || !found {
			return true, err
		}
	}
	return true, d.allowMachine(ctx, w, m, 0)
}

// update writes a machine that was handed out anew. Nothing is written of a nil machine.
func (m *machine) update(ctx context.Context, w *write) error {
	if m == nil {
		return nil
	}
	if err := covered(m.allowance, m.key.OrgID, nil, uuid.UUID(m.key.ID)); err != nil {
		return err
	}
	if _, err := w.NewUpdate().Model(m.key).Column("org_id", "responsible_id", "responsible_user_id").WherePK().Exec(ctx); err != nil {
		return err
	}
	if _, err := w.NewDelete().Model((*db.APIKeyPermission)(nil)).Where("api_key_id = ?", m.key.ID).Exec(ctx); err != nil {
		return err
	}
	return w.insertKeyPermissions(ctx, m.key, m.permissions, m.allowance)
}

// recordRevoked records that the key has ended, as what it is to people.
func (w *write) recordRevoked(before, key *db.APIKey) error {
	if key.IsApplication {
		return w.endApplication(db.ApplicationID(key.ID), key.OrgID)
	}
	return w.Record(changes.APIKeyRevoked, key.ID.String(), key.OrgID, before, key)
}
