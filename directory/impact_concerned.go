package directory

import (
	"encoding/json"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// concern is what a write can have had an effect upon.
type concern struct {
	// places are where it changed memberships and grants.
	places []access.MemberKey
	// crowds are the organizations in which it changed memberships and grants of so
	// many that it does not say whose (see changes.Write.Summarize).
	crowds []db.OrganizationID
	// users and organizations are those that it suspended, or made active again.
	users         []db.UserID
	organizations []db.OrganizationID
	// roles are those whose contents it changed, and those which contain a permission
	// that it renamed.
	roles, deletedRoles                    []db.RoleID
	renamedPermissions, deletedPermissions []db.PermissionID
	// names are what the renamed and the deleted permissions were called.
	names map[db.PermissionID]access.Names
	// keys are the API keys that it changed.
	keys []db.APIKeyID
}

// concerned reads from what a write has recorded whom it concerns.
func concerned(rows []db.Change) *concern {
	// null is equal to nothing
	c := concern{users: []db.UserID{}, organizations: []db.OrganizationID{}, keys: []db.APIKeyID{}, names: map[db.PermissionID]access.Names{}}
	for i := range rows {
		row := &rows[i]
		switch effects := changes.ActionByName(row.Action).Effects(); {
		case effects.Suspends || effects.Restores:
			if changesStatus(row, effects) {
				c.users, c.organizations = appendSubject(c.users, row), appendSubject(c.organizations, row)
			}
		case effects.Contents:
			c.roles = appendSubject(c.roles, row)
		case effects.Deletes:
			c.deletedRoles = appendSubject(c.deletedRoles, row)
			c.deletedPermissions = appendSubject(c.deletedPermissions, row)
			c.renamed(row)
		case effects.Definitions:
			if c.renamed(row) {
				c.renamedPermissions = appendSubject(c.renamedPermissions, row)
			}
		case effects.Credentials:
			c.keys = appendSubject(c.keys, row)
		case effects.Entitlements:
			if user, ok := row.Member(); ok && row.OrgID != nil {
				c.places = append(c.places, access.MemberKey{User: user, Organization: *row.OrgID})
			} else {
				c.crowds = appendSubject(c.crowds, row)
			}
		}
	}
	c.places, c.crowds = distinct(c.places), distinct(c.crowds)
	return &c
}

// appendSubject appends what was changed, if it is of that kind.
func appendSubject[K db.Kind](ids []db.ID[K], row *db.Change) []db.ID[K] {
	id, err := db.ParseID[K](row.Subject)
	if err != nil {
		return ids
	}
	return append(ids, id)
}

// changesStatus reports whether the change took activity away from what was
// active, or brought it back.
func changesStatus(row *db.Change, effects changes.Effects) bool {
	var before struct{ Status db.Status }
	_ = json.Unmarshal(row.Before, &before)
	return effects.Suspends && before.Status == db.Active || effects.Restores && before.Status == db.Suspended
}

// renamed notes what a permission was called before the change, and reports whether
// it was a permission, and its key another one.
func (c *concern) renamed(row *db.Change) bool {
	var before struct {
		Key        string
		FormerKeys []*db.FormerKey
	}
	id, err := db.ParseID[db.PermissionKind](row.Subject)
	if err != nil || json.Unmarshal(row.Before, &before) != nil || before.Key == "" {
		return false
	}
	c.names[id] = access.Names{Key: before.Key, FormerKeys: before.FormerKeys}
	return true
}

// definitionsOnly reports whether the write did nothing but change roles and
// permissions.
func (c *concern) definitionsOnly() bool {
	return len(c.places)+len(c.crowds)+len(c.users)+len(c.organizations) == 0
}

func (c *concern) nobody() bool {
	return c.definitionsOnly() && len(c.roles)+len(c.deletedRoles)+len(c.renamedPermissions)+len(c.deletedPermissions) == 0
}
