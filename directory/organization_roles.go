package directory

import (
	"cmp"
	"context"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// DefaultRoles returns the roles that each of the organizations, which the actor may
// see, grants to new members: sorted by key, in the order of the organizations. An
// empty list means that the business's default roles are granted there.
func (d *Directory) DefaultRoles(ctx context.Context, orgs []db.OrganizationID) ([][]*db.Role, error) {
	all, err := d.defaultRoles(ctx, orgs)
	for i := range all {
		if seesNameOnly(ctx, orgs[i]) {
			all[i] = []*db.Role{}
		}
	}
	return all, err
}

func (d *Directory) defaultRoles(ctx context.Context, orgs []db.OrganizationID) ([][]*db.Role, error) {
	rows, err := db.Select[db.OrganizationDefaultRole](ctx, d.db,
		"select org_id, role_id from organization_default_roles where org_id = any($1)", orgs)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[db.OrganizationID][]db.RoleID, len(orgs))
	for _, row := range rows {
		of[row.OrgID] = append(of[row.OrgID], row.RoleID)
	}
	all := make([][]*db.Role, len(orgs))
	for i, org := range orgs {
		all[i] = existingRoles(catalogue, of[org])
	}
	return all, nil
}

// existingRoles returns the roles that exist, ordered by key.
func existingRoles(catalogue *access.Catalogue, ids []db.RoleID) []*db.Role {
	roles := []*db.Role{}
	for _, id := range ids {
		if role := catalogue.Role(id); role != nil && role.DeletedAt == nil {
			roles = append(roles, role)
		}
	}
	slices.SortFunc(roles, byRoleKey)
	return roles
}

func byRoleKey(a, b *db.Role) int { return cmp.Compare(a.Key, b.Key) }

// roleKeys returns the keys of roles for the log of changes: in their order, and an
// empty list instead of nil.
func roleKeys(roles []*db.Role) []string {
	keys := make([]string, len(roles))
	for i, role := range roles {
		keys[i] = role.Key
	}
	slices.Sort(keys)
	return keys
}

// defaultRoleIDs returns the roles for new members of the organization: its own ones,
// or else the business's. It keeps them from being deleted until the end of the
// transaction.
func (d *Directory) defaultRoleIDs(ctx context.Context, org db.OrganizationID) ([]db.RoleID, error) {
	own, err := db.Select[db.RoleID](ctx, d.db, `select r.id from roles r
		where r.id in (select role_id from organization_default_roles where org_id = $1) and r.deleted_at is null order by r.id for share`, org)
	if err != nil || len(own) > 0 {
		return own, err
	}
	return d.businessRoleIDs(ctx)
}

// defaultRolesIn is defaultRoleIDs for each of many organizations.
func (d *Directory) defaultRolesIn(ctx context.Context, orgs []db.OrganizationID) (map[db.OrganizationID][]db.RoleID, error) {
	own, err := db.Select[db.OrganizationDefaultRole](ctx, d.db, `select dr.org_id, dr.role_id from organization_default_roles dr join roles r on r.id = dr.role_id
		where dr.org_id = any($1) and r.deleted_at is null order by r.id for share of r`, orgs)
	if err != nil {
		return nil, err
	}
	of := make(map[db.OrganizationID][]db.RoleID, len(orgs))
	for _, row := range own {
		of[row.OrgID] = append(of[row.OrgID], row.RoleID)
	}
	if len(of) == len(orgs) {
		return of, nil
	}
	business, err := d.businessRoleIDs(ctx)
	for _, org := range orgs {
		if of[org] == nil {
			of[org] = business
		}
	}
	return of, err
}

func (d *Directory) businessRoleIDs(ctx context.Context) ([]db.RoleID, error) {
	const isDefault = "is_default and deleted_at is null"
	for {
		roles, err := db.Select[db.RoleID](ctx, d.db, "select id from roles where "+isDefault)
		if err != nil || len(roles) == 0 {
			return nil, err
		}
		// While this waits for a lock, the settings can change: then some of the old roles
		// would be left, and the new ones missing.
		locked, err := db.Select[db.RoleID](ctx, d.db, "select id from roles where id = any($1) and "+isDefault+" order by id for share", roles)
		if err != nil || len(locked) == len(roles) {
			return locked, err
		}
	}
}

// rolesForNewcomers returns the roles that are to be the organization's default
// ones, ordered by key and each once. Making a role a default one hands it out, so the
// actor must be allowed to hand out the new ones. None of them may contain system
// permissions, which every newcomer would have.
func (d *Directory) rolesForNewcomers(ctx context.Context, w *write, org *organizationValues, refs []*RoleRef) ([]*db.Role, access.Allowance, error) {
	roles, err := d.defaultRolesNamed(ctx, w, refs)
	if err != nil || org.Version == 0 { // what may be handed out in one that is not there, nobody can tell
		return nil, access.Allowance{}, err
	}
	all, err := d.grantItems(ctx, w, roleIDs(roles), nil, nil)
	if err != nil {
		return nil, access.Allowance{}, err
	}
	w.faults.forNewcomers("input.defaultRoles", permissionsOf(all))
	items, err := d.grantItems(ctx, w, roleIDs(newRoles(roles, org.defaults)), nil, nil)
	if err != nil {
		return nil, access.Allowance{}, err
	}
	allowance, err := d.allowGrants(ctx, w, access.OrganizationsWrite, org.Organization, items)
	return roles, allowance, err
}

// isDefault reports whether newcomers get the role, which is locked: in the business, or
// in an organization that has default roles of its own.
func (d *Directory) isDefault(ctx context.Context, role *db.Role) (bool, error) {
	if role.IsDefault {
		return true, nil
	}
	one, err := db.SelectOne[int](ctx, d.db, "select 1 from organization_default_roles where role_id = $1 limit 1", role.ID)
	return one != nil, err
}

// defaultRolesNamed locks the roles of the input defaultRoles, and returns them
// ordered by key and each once.
func (d *Directory) defaultRolesNamed(ctx context.Context, w *write, refs []*RoleRef) ([]*db.Role, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	roles, err := d.rolesNamed(ctx, w, "input.defaultRoles", refs, 0)
	slices.SortFunc(roles, byRoleKey)
	return roles, err
}

// newRoles returns the roles that are not among the old ones. It goes by ids: another role
// may have the key of an old one by now.
func newRoles(roles []*db.Role, old []db.RoleID) []*db.Role {
	return slices.DeleteFunc(slices.Clone(roles), func(r *db.Role) bool { return slices.Contains(old, r.ID) })
}

// notYetDefault returns the roles, which are locked, that are no default ones of the
// business.
func notYetDefault(roles []*db.Role) []*db.Role {
	return slices.DeleteFunc(slices.Clone(roles), func(r *db.Role) bool { return r.IsDefault })
}

// setDefaultRoles makes these the default roles of the organization, which had the
// roles of before; the allowance covers the new ones.
func (w *write) setDefaultRoles(ctx context.Context, org *db.Organization, roles []*db.Role, before []db.RoleID, by access.Allowance) error {
	if err := covered(by, &org.ID, nil, raw(roleIDs(newRoles(roles, before)))...); err != nil {
		return err
	}
	if _, err := w.NewDelete().Model((*db.OrganizationDefaultRole)(nil)).Where("org_id = ?", org.ID).Exec(ctx); err != nil || len(roles) == 0 {
		return err
	}
	rows := make([]db.OrganizationDefaultRole, len(roles))
	for i, role := range roles {
		rows[i] = db.OrganizationDefaultRole{OrgID: org.ID, RoleID: role.ID}
	}
	_, err := w.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// dropFromDefaults takes a role, which is locked, out of the default roles of all
// organizations. A write that changes one of them at the same moment holds it and
// waits for the role: the database then lets one of the two run again.
func (d *Directory) dropFromDefaults(ctx context.Context, w *write, role *db.Role) error {
	orgs, err := pointers(db.Select[db.Organization](ctx, d.db, `select * from organizations where id in
		(select org_id from organization_default_roles where role_id = $1) order by id for no key update`, role.ID))
	if err != nil || len(orgs) == 0 {
		return err
	}
	ids := make([]db.OrganizationID, len(orgs))
	for i, org := range orgs {
		ids[i] = org.ID
	}
	roles, err := d.defaultRoles(ctx, ids)
	if err != nil {
		return err
	}
	var lost []db.OrganizationID
	if _, err := w.NewDelete().Model((*db.OrganizationDefaultRole)(nil)).Where("role_id = ?", role.ID).Returning("org_id").Exec(ctx, &lost); err != nil {
		return err
	}
	if _, err := w.NewUpdate().Model((*db.Organization)(nil)).Set("version = version + 1, updated_at = ?", w.At).
		Where("id = any(?)", idArray(lost)).Exec(ctx); err != nil {
		return err
	}
	for i, org := range orgs {
		if !slices.Contains(lost, org.ID) {
			continue // it was taken out of these defaults just before
		}
		before := roleKeys(roles[i])
		after := slices.DeleteFunc(slices.Clone(before), func(key string) bool { return key == role.Key })
		if err := w.Record(changes.OrganizationUpdated, org.ID.String(), &org.ID, organizationValues{Organization: org, DefaultRoles: before}, organizationValues{Organization: org, DefaultRoles: after}); err != nil {
			return err
		}
	}
	return nil
}
