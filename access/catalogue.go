package access

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"roster/db"
)

// Catalogue holds every role and permission of the business at one moment. It never
// changes. Permissions have ordinals in the order of their keys, so that a role is a
// set of bits.
type Catalogue struct {
	// Permissions and Roles are the ones that are not deleted, ordered by key.
	Permissions []*db.Permission
	Roles       []*db.Role

	permissions map[db.PermissionID]*db.Permission
	roles       map[db.RoleID]*role
	keys        map[Permission]permissionRef
	former      map[db.PermissionID][]*db.FormerKey
	ordinals    map[db.PermissionID]int
	// By the number of a role: rolePermissions holds its permissions, and roleOf the role
	// unless it is deleted. By the number of a permission: ordinalOf holds its ordinal,
	// or -1.
	rolePermissions []set
	roleOf          []*db.Role
	ordinalOf       []int

	// In the engine's time: at until, the first of the former keys may have ceased to
	// answer, and at due, it is time to read the catalogue anew. Without former keys,
	// both are never.
	until, due time.Duration
}

type role struct {
	*db.Role
	permissions set
}

// permissionRef is what a key leads to: the ordinal of a permission in sets, and its
// number in entitlements.
type permissionRef struct {
	ordinal int
	number  uint32
	// until is when a former key may have ceased to answer; never for a present one.
	until time.Duration
}

// never is a time of the engine that it does not reach.
const never = time.Duration(math.MaxInt64)

// Permission returns the permission with that id, even if it is deleted, because
// history refers to it; nil if there never was one.
func (c *Catalogue) Permission(id db.PermissionID) *db.Permission { return c.permissions[id] }

// Role returns the role with that id, even if it is deleted; nil if there never was
// one.
func (c *Catalogue) Role(id db.RoleID) *db.Role {
	if found := c.roles[id]; found != nil {
		return found.Role
	}
	return nil
}

// PermissionByKey returns the permission with that key, which can be a former key that
// still answers; nil if no permission has it. It finds no deleted ones.
func (c *Catalogue) PermissionByKey(key string) *db.Permission {
	if found, ok := c.keys[Permission(key)]; ok {
		return c.Permissions[found.ordinal]
	}
	return nil
}

// FormerKeys returns the former keys by which the permission still answers, ordered by
// key.
func (c *Catalogue) FormerKeys(id db.PermissionID) []*db.FormerKey { return c.former[id] }

// mayHaveEnded reports whether one of the keys is a former one that may have ceased to
// answer by now. Only the database knows whether it has.
func (c *Catalogue) mayHaveEnded(now time.Duration, keys ...string) bool {
	if now < c.until {
		return false
	}
	for _, key := range keys {
		if found, ok := c.keys[Permission(key)]; ok && now >= found.until {
			return true
		}
	}
	return false
}

// RoleByKey returns the role with that key; nil if no role has it. It finds no deleted
// ones.
func (c *Catalogue) RoleByKey(key string) *db.Role {
	at, found := slices.BinarySearchFunc(c.Roles, key, func(r *db.Role, key string) int { return cmp.Compare(r.Key, key) })
	if !found {
		return nil
	}
	return c.Roles[at]
}

// RolePermissions returns the permissions that a role contains, ordered by key.
func (c *Catalogue) RolePermissions(id db.RoleID) []*db.Permission {
	found := c.roles[id]
	if found == nil {
		return []*db.Permission{}
	}
	return c.list(found.permissions)
}

// RoleHas reports whether the role contains the permission.
func (c *Catalogue) RoleHas(id db.RoleID, permission db.PermissionID) bool {
	found := c.roles[id]
	ordinal, ok := c.ordinals[permission]
	return ok && found != nil && found.permissions.has(ordinal)
}

// RolesWith returns the roles that contain the permission, ordered by key.
func (c *Catalogue) RolesWith(id db.PermissionID) []*db.Role {
	roles := []*db.Role{}
	ordinal, ok := c.ordinals[id]
	for _, r := range c.Roles {
		if ok && c.roles[r.ID].permissions.has(ordinal) {
			roles = append(roles, r)
		}
	}
	return roles
}

// list returns the members of a set, ordered by key.
func (c *Catalogue) list(members set) []*db.Permission {
	permissions := make([]*db.Permission, 0, members.size())
	for ordinal := range members.ordinals {
		permissions = append(permissions, c.Permissions[ordinal])
	}
	return permissions
}

// definitionRow is a role with what it contains, or a permission, which uses the
// fields of Role that it has in common with roles.
type definitionRow struct {
	db.Role  `bun:",extend"`
	IsRole   bool
	Contains db.IDs[db.PermissionKind]
	// Former are the former keys of a permission. Each of them answers until FormerUntil,
	// which is FormerFor seconds after the statement.
	Former      []string    `bun:",array"`
	FormerUntil []time.Time `bun:",array"`
	FormerFor   []float64   `bun:",array"`
}

// catalogueSQL returns the statement that reads all roles and permissions, in one state
// of the database. The arguments are SQL: the condition for the roles and permissions
// to read, the time of their deletion, and the condition for a row of role_permissions
// to count.
func catalogueSQL(existing, deleted, containing string) string {
	return `select true as is_role, id, key, name, description, is_system, is_default, version, created_at, updated_at, ` + deleted + ` as deleted_at, contains,
		null::text[] as former, null::timestamptz[] as former_until, null::float8[] as former_for
	from roles left join (select role_id, array_agg(permission_id) as contains from role_permissions where ` + containing + ` group by role_id) c
		on c.role_id = id
	where ` + existing + `
union all
select false, id, key, name, description, is_system, false, 0, created_at, created_at, ` + deleted + `, null, former, former_until, former_for
	from permissions left join (select permission_id, array_agg(key order by key) as former, array_agg(until order by key) as former_until,
		array_agg(extract(epoch from until - statement_timestamp())::float8 order by key) as former_for
		from former_keys where until > statement_timestamp() group by permission_id) f on permission_id = id
	where ` + existing + `
order by key, id`
}

var (
	catalogueNowSQL  = catalogueSQL("true", "deleted_at", "revoked_at is null")
	catalogueAsOfSQL = catalogueSQL("created_at <= $1", "case when deleted_at <= $1 then deleted_at end",
		"granted_at <= $1 and (revoked_at is null or revoked_at > $1)")
)

// readCatalogue reads the present catalogue, in the transaction of ctx if there is
// one.
func (e *Engine) readCatalogue(ctx context.Context) (*Catalogue, error) {
	return e.loadCatalogue(ctx, catalogueNowSQL)
}

// CatalogueAsOf reads the catalogue as it was at a moment in the past, in the
// transaction of ctx if there is one. Keys and names are the present ones, because no
// history of them is kept.
func (e *Engine) CatalogueAsOf(ctx context.Context, at time.Time) (*Catalogue, error) {
	return e.loadCatalogue(ctx, catalogueAsOfSQL, at)
}

func (e *Engine) loadCatalogue(ctx context.Context, text string, args ...any) (*Catalogue, error) {
	now := e.now() // read before the database
	rows, err := db.Select[definitionRow](ctx, e.db, text, args...)
	if err != nil {
		return nil, err
	}
	var permissions []db.Permission
	var roles []db.Role
	var contained []db.RolePermission
	for i := range rows {
		r := &rows[i]
		if !r.IsRole {
			permissions = append(permissions, db.Permission{
				ID: db.PermissionID(r.ID), Key: r.Key, Name: r.Name, Description: r.Description,
				IsSystem: r.IsSystem, CreatedAt: r.CreatedAt, DeletedAt: r.DeletedAt,
			})
			continue
		}
		roles = append(roles, r.Role)
		for _, permission := range r.Contains {
			contained = append(contained, db.RolePermission{RoleID: r.ID, PermissionID: permission})
		}
	}
	c := e.newCatalogue(permissions, roles, contained)
	for i := range rows {
		c.addFormerKeys(&rows[i], now)
	}
	return c, nil
}

// addFormerKeys adds the former keys of a permission. They were read at now, in the
// engine's time, or later.
func (c *Catalogue) addFormerKeys(row *definitionRow, now time.Duration) {
	id := db.PermissionID(row.ID)
	for i, key := range row.Former {
		c.former[id] = append(c.former[id], &db.FormerKey{Key: key, PermissionID: id, Until: row.FormerUntil[i]})
		left := time.Duration(min(row.FormerFor[i], longestTerm.Seconds()) * float64(time.Second))
		found := c.keys[Permission(row.Key)]
		found.until = now + left
		c.keys[Permission(key)] = found
		c.until = min(c.until, found.until)
		c.due = min(c.due, now+min(left, longestTerm/2)) // renewed before until as long as the key answers
	}
}

func (e *Engine) newCatalogue(permissions []db.Permission, roles []db.Role, contained []db.RolePermission) *Catalogue {
	c := &Catalogue{
		permissions: make(map[db.PermissionID]*db.Permission, len(permissions)),
		roles:       make(map[db.RoleID]*role, len(roles)),
		keys:        make(map[Permission]permissionRef, len(permissions)),
		ordinals:    make(map[db.PermissionID]int, len(permissions)),
		former:      map[db.PermissionID][]*db.FormerKey{},
		until:       never,
		due:         never,
	}
	for i := range permissions {
		c.addPermission(&permissions[i], e.permissions.number(permissions[i].ID))
	}
	for i := range roles {
		c.addRole(&roles[i], e.roles.number(roles[i].ID))
	}
	for _, rp := range contained {
		ordinal, ok := c.ordinals[rp.PermissionID]
		// When several statements read, this row can belong to a role that was created
		// in between.
		if role := c.roles[rp.RoleID]; ok && role != nil {
			role.permissions.add(ordinal)
		}
	}
	return c
}

func (c *Catalogue) addPermission(p *db.Permission, number uint32) {
	for int(number) >= len(c.ordinalOf) {
		c.ordinalOf = append(c.ordinalOf, -1)
	}
	c.permissions[p.ID] = p
	if p.DeletedAt != nil {
		return
	}
	ordinal := len(c.Permissions)
	c.Permissions = append(c.Permissions, p)
	c.ordinals[p.ID], c.ordinalOf[number] = ordinal, ordinal
	c.keys[Permission(p.Key)] = permissionRef{ordinal: ordinal, number: number, until: never}
}

// addRole adds a role without its permissions. All permissions must have been added
// to the catalogue before.
func (c *Catalogue) addRole(r *db.Role, number uint32) {
	permissions := newSet(len(c.Permissions))
	for int(number) >= len(c.rolePermissions) {
		c.rolePermissions, c.roleOf = append(c.rolePermissions, nil), append(c.roleOf, nil)
	}
	c.roles[r.ID], c.rolePermissions[number] = &role{Role: r, permissions: permissions}, permissions
	if r.DeletedAt == nil {
		c.Roles = append(c.Roles, r)
		c.roleOf[number] = r
	}
}
