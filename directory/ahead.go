package directory

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
)

// A write reads and locks most of what its input names by one statement for each kind.
// Where these do not depend on one another's results, the write queues them and sends
// them in one round trip. Functions whose names begin with queue add a statement to a
// batch, and return a function for its result, which works after the batch has run.

// queueOrganization is lockOrganization for members, in a batch.
func queueOrganization(b *db.Batch, by OrganizationRef, reach *db.OrganizationID) func(w *write, field string) *db.Organization {
	refs := []*OrganizationRef{&by}
	text, args := organizationsText(refs, reach, forMembers)
	rows := db.Queue[db.Organization](b, text, args...)
	return func(w *write, field string) *db.Organization {
		org := matchOrganizations(refs, rows.All)[0]
		if org == nil {
			*w.faults.List = append(*w.faults.List, noOrganization(field))
		}
		return org
	}
}

// queueMembers is lockMembers for the input users, in a batch.
func queueMembers(b *db.Batch, refs []*UserRef, org organizationLook) func(w *write, org *db.Organization) []*db.Membership {
	text, args := usersText(refs, &org, "for no key update")
	users := db.Queue[db.User](b, text, args...)
	named, args := namedUsers(refs)
	text = "select * from memberships where org_id = " + organizationSQL(len(args)) +
		" and user_id = any(array(select id from users where " + named + ")) order by user_id for no key update"
	members := db.Queue[db.Membership](b, text, append(args, org.args()...)...)
	return func(w *write, org *db.Organization) []*db.Membership {
		if org == nil {
			return nil
		}
		all := matchMembers(userIDs(matchUsers(refs, users.All)), members.All)
		w.haveMembers(all, "input.users")
		return all
	}
}

// readAhead holds definitions that a write has locked for share in a batch, before it
// asks for them.
type readAhead[T any] struct {
	looks []lookUp
	rows  *db.Rows[T]
	// taken are the rows that were asked for.
	taken []T
}

// take returns the rows, once, if they were read by the same look-ups.
func (a *readAhead[T]) take(looks []lookUp, lock string) (rows []T, known bool) {
	if a.rows == nil || lock != forShare || !slices.Equal(looks, a.looks) {
		return nil, false
	}
	a.taken, a.rows = a.rows.All, nil
	return a.taken, true
}

// forShare locks rows against changes, and not against others who lock them for share.
const forShare = "for share"

// content is a permission that a role contains.
type content struct {
	RoleID db.RoleID
	db.Permission
}

// aheadOfRoles returns a function that adds to a batch the statements by which a write
// locks the roles and reads what they contain.
func aheadOfRoles(refs []*RoleRef) func(w *write, b *db.Batch) {
	return func(w *write, b *db.Batch) {
		if !w.faults.fits(len(refs), 1) {
			return
		}
		looks := looksOf(refs)
		text, args := roleDefinitions.lockText(looks, forShare)
		w.roles = readAhead[db.Role]{looks: looks, rows: db.Queue[db.Role](b, text, args...)}
		w.contents = db.Queue[content](b, `select rp.role_id, p.* from role_permissions rp join permissions p on p.id = rp.permission_id
			where rp.revoked_at is null and rp.role_id = any(array(select id from roles where `+namedDefinitions+`))`, args...)
	}
}

// aheadOfPermissions is aheadOfRoles for permissions.
func aheadOfPermissions(refs []*PermissionRef) func(w *write, b *db.Batch) {
	return func(w *write, b *db.Batch) {
		if !w.faults.fits(len(refs), 1) {
			return
		}
		looks := looksOf(refs)
		text, args := permissionDefinitions.lockText(looks, forShare)
		w.permissions = readAhead[db.Permission]{looks: looks, rows: db.Queue[db.Permission](b, text, args...)}
	}
}

// itemsAhead is grantItems, if the write has read the roles and permissions ahead.
func (w *write) itemsAhead(roles []db.RoleID, direct []db.PermissionID, endsAt *time.Time) (items []access.Item, known bool) {
	if w.contents == nil && len(roles) > 0 {
		return nil, false
	}
	for _, id := range roles {
		item := access.Item{ID: uuid.UUID(id), EndsAt: endsAt}
		for i := range w.contents.All {
			if c := &w.contents.All[i]; c.RoleID == id {
				item.Permissions = append(item.Permissions, &c.Permission)
			}
		}
		items = append(items, item)
	}
	for _, id := range direct {
		i := slices.IndexFunc(w.permissions.taken, func(p db.Permission) bool { return p.ID == id })
		if i < 0 {
			return nil, false
		}
		items = append(items, permissionItems([]*db.Permission{&w.permissions.taken[i]}, endsAt)...)
	}
	return items, true
}
