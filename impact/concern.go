package impact

import (
	"context"
	"encoding/json"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// Concern is what a write may have had an effect upon.
type Concern struct {
	// At is the moment of the write.
	At time.Time
	// Users and Organizations are the ones that it suspended, or made active again.
	Users         []db.UserID
	Organizations []db.OrganizationID
	// Suspended are the members whom it suspended, and FormerlySuspended those who were
	// suspended before, and were restored or have left.
	Suspended, FormerlySuspended []access.MemberKey
	// Keys are the API keys that it changed.
	Keys []db.APIKeyID
	// Adopted is the API key that another one answers for since then, or nil if no key was
	// adopted. FormerResponsible or FormerResponsibleUser answered for it before; without
	// both, the business did.
	Adopted, FormerResponsible *db.APIKeyID
	FormerResponsibleUser      *db.UserID

	// members are the ones whose memberships and grants it changed, each once.
	members []access.MemberKey
	// crowds are the organizations in which it changed the memberships and grants of
	// so many members that their changes do not name them
	// (changes.Write.Summarize).
	crowds []db.OrganizationID
	// roles are the ones whose permissions it changed, deletedRoles and
	// deletedPermissions the ones that it deleted.
	roles, deletedRoles                    []db.RoleID
	renamedPermissions, deletedPermissions []db.PermissionID
	// names has the former names of the renamed and the deleted permissions.
	names map[db.PermissionID]access.Names
}

// concernOf reads what a write concerns from the changes that it has recorded.
func concernOf(at time.Time, recorded []db.Change) *Concern {
	// null is equal to nothing
	c := Concern{At: at, Users: []db.UserID{}, Organizations: []db.OrganizationID{}, Keys: []db.APIKeyID{}, names: map[db.PermissionID]access.Names{}}
	seen := map[access.MemberKey]bool{}
	concerns := func(member access.MemberKey) {
		if !seen[member] {
			c.members, seen[member] = append(c.members, member), true
		}
	}
	for i := range recorded {
		row := &recorded[i]
		switch effects := changes.ActionByName(row.Action).Effects(); {
		case effects.Suspends || effects.Restores:
			if !changesStatus(row, effects) {
				continue
			}
			c.Users, c.Organizations = appendSubject(c.Users, row), appendSubject(c.Organizations, row)
			if member, ok := memberOf(row); ok {
				concerns(member)
				if effects.Suspends {
					c.Suspended = append(c.Suspended, member)
				} else {
					c.FormerlySuspended = append(c.FormerlySuspended, member)
				}
			}
		case effects.Contents:
			c.roles = appendSubject(c.roles, row)
		case effects.Deletes:
			c.deletedRoles = appendSubject(c.deletedRoles, row)
			c.deletedPermissions = appendSubject(c.deletedPermissions, row)
			c.readNames(row)
		case effects.Definitions:
			if c.readNames(row) {
				c.renamedPermissions = appendSubject(c.renamedPermissions, row)
			}
		case effects.Credentials:
			c.Keys = appendSubject(c.Keys, row)
			c.readAdoption(row)
		case effects.Entitlements:
			member, ok := memberOf(row)
			if !ok {
				c.crowds = appendSubject(c.crowds, row)
				continue
			}
			concerns(member)
			if leftSuspended(row) {
				c.FormerlySuspended = append(c.FormerlySuspended, member)
			}
		}
	}
	return &c
}

// appendSubject appends the id of what was changed, if it is of that kind.
func appendSubject[K db.Kind](ids []db.ID[K], row *db.Change) []db.ID[K] {
	id, err := db.ParseID[K](row.Subject)
	if err != nil {
		return ids
	}
	return append(ids, id)
}

// memberOf returns the member of whom the change is; false if it is of somebody else, or
// of a crowd.
func memberOf(row *db.Change) (member access.MemberKey, ok bool) {
	user, ok := row.Member()
	if !ok || row.OrgID == nil {
		return member, false
	}
	return access.MemberKey{User: user, Organization: *row.OrgID}, true
}

// leftSuspended reports whether the change is the end of a membership that was suspended.
func leftSuspended(row *db.Change) bool {
	return row.Action == changes.MembershipDeleted.String() && statusBefore(row) == db.Suspended
}

// readCrowds adds the members of crowds who were suspended before, whom the changes in
// memory do not name.
func (c *Concern) readCrowds(ctx context.Context, database *db.DB) error {
	if len(c.crowds) == 0 {
		return nil
	}
	rows, err := db.Select[db.Change](ctx, database, "select * from changes where org_id = any($1) and at = $2 and action = $3 and before ->> 'status' = $4",
		c.crowds, c.At, changes.MembershipDeleted.String(), db.Suspended)
	for i := range rows {
		if member, ok := memberOf(&rows[i]); ok {
			c.FormerlySuspended = append(c.FormerlySuspended, member)
		}
	}
	return err
}

// changesStatus reports whether the change suspended something active, or made
// something suspended active again.
func changesStatus(row *db.Change, effects changes.Effects) bool {
	before := statusBefore(row)
	return effects.Suspends && before == db.Active || effects.Restores && before == db.Suspended
}

func statusBefore(row *db.Change) db.Status {
	var before struct{ Status db.Status }
	_ = json.Unmarshal(row.Before, &before)
	return before.Status
}

// readAdoption keeps which key answered for a key that was adopted.
func (c *Concern) readAdoption(row *db.Change) {
	if row.Action != changes.APIKeyAdopted.String() {
		return
	}
	var before struct{ ResponsibleID, ResponsibleUserID string }
	id, err := db.ParseID[db.APIKeyKind](row.Subject)
	if err != nil || json.Unmarshal(row.Before, &before) != nil {
		return
	}
	c.Adopted = &id
	if former, err := db.ParseID[db.APIKeyKind](before.ResponsibleID); err == nil {
		c.FormerResponsible = &former
	}
	if former, err := db.ParseID[db.UserKind](before.ResponsibleUserID); err == nil {
		c.FormerResponsibleUser = &former
	}
}

// readNames keeps the names that a permission had before the change, and reports
// whether it was a permission whose key changed.
func (c *Concern) readNames(row *db.Change) bool {
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

// definitionsOnly reports whether the write changed only roles and permissions.
func (c *Concern) definitionsOnly() bool {
	return len(c.members)+len(c.crowds)+len(c.Users)+len(c.Organizations) == 0
}

// nobody reports whether the write concerns no member.
func (c *Concern) nobody() bool {
	return c.definitionsOnly() && len(c.roles)+len(c.deletedRoles)+len(c.renamedPermissions)+len(c.deletedPermissions) == 0
}
