package directory

import (
	"encoding/json"

	"roster/access"
	"roster/db"
)

// concern is what a write can have had an effect upon.
type concern struct {
	// places are where it changed memberships and grants.
	places []access.Place
	// users and organizations are those that it suspended, or made active again.
	users         []db.UserID
	organizations []db.OrganizationID
	// roles are those whose contents it changed.
	roles, deletedRoles []db.RoleID
	deletedPermissions  []db.PermissionID
}

// concerned reads from what a write has recorded whom it concerns. An action
// that is not named here changes nothing about what anybody may do.
func concerned(rows []db.Change) *concern {
	c := concern{users: []db.UserID{}, organizations: []db.OrganizationID{}} // null is equal to nothing
	for i := range rows {
		row := &rows[i]
		switch row.Action {
		case "user.suspended", "user.restored", "user.deleted":
			if changesStatus(row) {
				c.users = appendSubject(c.users, row)
			}
		case "organization.suspended", "organization.restored":
			if changesStatus(row) {
				c.organizations = appendSubject(c.organizations, row)
			}
		case "role.permissions.added", "role.permissions.removed":
			c.roles = appendSubject(c.roles, row)
		case "role.deleted":
			c.deletedRoles = appendSubject(c.deletedRoles, row)
		case "permission.deleted":
			c.deletedPermissions = appendSubject(c.deletedPermissions, row)
		default:
			if user, ok := row.Member(); ok && row.OrgID != nil {
				c.places = append(c.places, access.Place{User: user, Organization: *row.OrgID})
			}
		}
	}
	c.places = distinct(c.places)
	return &c
}

func appendSubject[K db.Kind](ids []db.ID[K], row *db.Change) []db.ID[K] {
	id, err := db.ParseID[K](row.Subject)
	if err != nil {
		return ids
	}
	return append(ids, id)
}

// changesStatus tells whether the change took activity away, or gave it back: a
// deleted user counts as a suspended one.
func changesStatus(row *db.Change) bool {
	var before struct{ Status db.Status }
	_ = json.Unmarshal(row.Before, &before)
	if row.Action == "user.deleted" {
		return before.Status == db.Active
	}
	return before.Status != ""
}

// rolesOnly tells that the write did nothing but change roles and permissions.
func (c *concern) rolesOnly() bool {
	return len(c.places)+len(c.users)+len(c.organizations) == 0
}

func (c *concern) nobody() bool {
	return c.rolesOnly() && len(c.roles)+len(c.deletedRoles)+len(c.deletedPermissions) == 0
}
