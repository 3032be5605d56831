package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// errNotSetUp is a fault of the operator.
var errNotSetUp = errors.New("the database was not set up: Setup runs after Migrate, at each start")

// setupLock is the number of the advisory lock that makes servers that start at the
// same moment take turns; it only has to differ from other locks' numbers.
const setupLock = 0x726f73746572 // "roster"

// Setup creates what every business has: the permissions and roles of Roster
// itself, as this version of the server knows them, the settings, and a default
// organization. It runs at each start, after Migrate, and writes nothing if nothing is
// missing.
//
// It returns an error if someone has created a role or permission with the key of one
// of Roster's own, since its holders would get what nobody has granted to them.
func (d *Directory) Setup(ctx context.Context) error {
	ctx = access.WithActor(ctx, access.System(setupActor))
	err := d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		if err := d.takeTurn(ctx); err != nil {
			return err
		}
		for _, step := range []func(context.Context, *write) error{
			d.setUpPermissions, d.setUpRoles, d.setUpSettings, d.setUpRoot, d.setUpOrganization,
		} {
			if err := step(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set up the database: %w", err)
	}
	return nil
}

// takeTurn waits, in the transaction of ctx, for other servers that set up the database,
// for as long as they take.
func (d *Directory) takeTurn(ctx context.Context) error {
	_, err := d.db.Executor(ctx).NewRaw("select set_config('lock_timeout', '0', true); select pg_advisory_xact_lock(?)", setupLock).Exec(ctx)
	return err
}

func (d *Directory) setUpPermissions(ctx context.Context, w *write) error {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return err
	}
	for _, system := range access.SystemPermissions {
		key := string(system.Key)
		if found := catalogue.PermissionByKey(key); found != nil {
			if !found.IsSystem {
				return errKeyIsTaken("permission", key)
			}
			continue
		}
		permission := &db.Permission{
			ID: db.NewID[db.PermissionKind](), Key: key, Name: system.Name, Description: &system.Description,
			IsSystem: true, CreatedAt: w.At,
		}
		if _, err := w.NewInsert().Model(permission).Exec(ctx); err != nil {
			return err
		}
		if err := w.Record(changes.PermissionCreated, permission.ID.String(), nil, nil, permission); err != nil {
			return err
		}
	}
	return nil
}

func errKeyIsTaken(kind, key string) error {
	return fmt.Errorf("there is a %s with the key %q, which is for one of Roster's own: give it another key", kind, key)
}

func (d *Directory) setUpRoles(ctx context.Context, w *write) error {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return err
	}
	for _, system := range access.SystemRoles {
		role := catalogue.RoleByKey(system.Key)
		switch {
		case role == nil:
			err = w.insertSystemRole(ctx, catalogue, system)
		case !role.IsSystem:
			err = errKeyIsTaken("role", system.Key)
		default:
			err = w.setUpContents(ctx, catalogue, role, system.Permissions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *write) insertSystemRole(ctx context.Context, catalogue *access.Catalogue, system access.SystemRole) error {
	role := &db.Role{
		ID: db.NewID[db.RoleKind](), Key: system.Key, Name: system.Name, Description: &system.Description,
		IsSystem: true, Version: 1, CreatedAt: w.At, UpdatedAt: w.At,
	}
	if _, err := w.NewInsert().Model(role).Exec(ctx); err != nil {
		return err
	}
	permissions := make([]*db.Permission, len(system.Permissions))
	for i, key := range system.Permissions {
		permissions[i] = catalogue.PermissionByKey(string(key))
	}
	if err := w.addPermissions(ctx, role, permissions, access.AllowSetup()); err != nil {
		return err
	}
	return w.Record(changes.RoleCreated, role.ID.String(), nil, nil, roleValues{*role, permissionKeys(permissions)})
}

// setUpContents adds the permissions that the role lacks, and removes the ones that it
// must not have any more. Permissions that this version does not know stay: a newer
// version has added them, which runs at the same time while servers are replaced one
// by one.
func (w *write) setUpContents(ctx context.Context, catalogue *access.Catalogue, role *db.Role, want []access.Permission) error {
	var missing, surplus []*db.Permission
	has := contains(catalogue.RolePermissions(role.ID))
	for _, system := range access.SystemPermissions {
		permission := catalogue.PermissionByKey(string(system.Key))
		switch wanted := slices.Contains(want, system.Key); {
		case wanted && !has(permission):
			missing = append(missing, permission)
		case !wanted && has(permission):
			surplus = append(surplus, permission)
		}
	}
	if len(missing)+len(surplus) == 0 {
		return nil
	}
	changed := *role // the catalogue's rows are for reading
	if err := w.saveTouched(ctx, &changed); err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := w.addPermissions(ctx, role, missing, access.AllowSetup()); err != nil {
			return err
		}
		if err := w.Record(changes.RolePermissionsAdded, role.ID.String(), nil, nil, contentValues(missing)); err != nil {
			return err
		}
	}
	if len(surplus) > 0 {
		if err := w.removePermissions(ctx, role, surplus); err != nil {
			return err
		}
		return w.Record(changes.RolePermissionsRemoved, role.ID.String(), nil, contentValues(surplus), nil)
	}
	return nil
}

func permissionKeys(permissions []*db.Permission) []string {
	keys := make([]string, len(permissions))
	for i, p := range permissions {
		keys[i] = p.Key
	}
	return keys
}

func (d *Directory) setUpSettings(ctx context.Context, w *write) error {
	var inserted []db.Settings
	err := w.NewRaw("insert into settings default values on conflict do nothing returning *").Scan(ctx, &inserted)
	if err != nil || len(inserted) == 0 {
		return err
	}
	return w.Record(changes.SettingsCreated, changes.SettingsSubject, nil, nil, inserted[0])
}

// The default organization that a new business gets.
const (
	defaultCode = "default"
	defaultName = "Default"
)

func (d *Directory) setUpOrganization(ctx context.Context, w *write) error {
	present, err := db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where is_default")
	if present != nil || err != nil {
		return err
	}
	return w.insertPlainOrganization(ctx, db.Organization{ID: db.NewID[db.OrganizationKind](), Code: defaultCode, Name: defaultName, IsDefault: true})
}

// These are the names of the organization that stands for the business.
const (
	rootCode = "roster"
	rootName = "The business"
)

func (d *Directory) setUpRoot(ctx context.Context, w *write) error {
	taken, err := db.SelectOne[db.OrganizationID](ctx, d.db,
		"select id from organizations where id = $1 or code = $2 and deleted_at is null order by id <> $1", db.Root, rootCode)
	switch {
	case err != nil:
		return err
	case taken == nil:
		return w.insertPlainOrganization(ctx, db.Organization{ID: db.Root, Code: rootCode, Name: rootName})
	case *taken != db.Root:
		return errKeyIsTaken("organization", rootCode)
	}
	return nil
}

func (w *write) insertPlainOrganization(ctx context.Context, org db.Organization) error {
	org.Status, org.Properties, org.AutoJoinDomains = db.Active, json.RawMessage("{}"), []string{}
	org.Version, org.CreatedAt, org.UpdatedAt = 1, w.At, w.At
	return w.insertOrganization(ctx, &org, nil, access.AllowSetup())
}
