package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// allow returns the actor's allowance for the handout. If the actor must not hand out
// some of it, or not for so long, it adds a fault. A write has one fault ESCALATION,
// which says everything that was refused so far.
func (d *Directory) allow(ctx context.Context, w *write, h access.Handout) (access.Allowance, error) {
	authority, err := d.authorityOf(ctx, w)
	if err != nil {
		return access.Allowance{}, err
	}
	allowance, refused := authority.Allow(h)
	if !refused.Empty() {
		w.refuse(refused)
	}
	return allowance, nil
}

// authorityOf returns what the actor may hand out, on which the write rests from now on.
func (d *Directory) authorityOf(ctx context.Context, w *write) (*access.Authority, error) {
	if w.authority == nil {
		authority, err := d.engine.Authority(ctx, w.actor)
		if err != nil {
			return nil, err
		}
		w.authority = authority
		changes.WrittenIn(ctx).Grounds = append(authoritiesIn(ctx), authority)
	}
	return w.authority, nil
}

// refuse adds the refusal to the fault ESCALATION of the write.
func (w *write) refuse(r access.Refusal) {
	if w.escalation == nil {
		w.escalation = problem.New(problem.Escalation, "")
		w.Faults = append(w.Faults, w.escalation)
		w.refused.Until = map[string]time.Time{}
	}
	w.refused.Missing = append(w.refused.Missing, r.Missing...)
	maps.Copy(w.refused.Until, r.Until)
	w.escalation.Message = tellRefusal(w.refused)
}

// tellRefusal returns the sentence that says what must not be handed out, and until when
// the rest may be.
func tellRefusal(r access.Refusal) string {
	slices.Sort(r.Missing)
	missing, until := enumerate(slices.Compact(r.Missing)), enumerate(tellEnds(r.Until))
	switch {
	case until == "":
		return fmt.Sprintf("You cannot hand out what you do not hold: %s.", missing)
	case missing == "":
		return fmt.Sprintf("You cannot hand out anything for longer than your own right to do so lasts: %s.", until)
	}
	return fmt.Sprintf("You cannot hand out what you do not hold: %s; nor the rest for longer than your own right to do so lasts: %s.", missing, until)
}

// tellEnds returns what ends at each moment, the earliest first.
func tellEnds(until map[string]time.Time) []string {
	names := slices.SortedFunc(maps.Keys(until), func(a, b string) int { return cmp.Or(until[a].Compare(until[b]), cmp.Compare(a, b)) })
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = name + " until " + until[name].UTC().Format(time.RFC3339Nano)
	}
	return texts
}

// grantItems returns the items of roles and permissions that end at that moment.
func (d *Directory) grantItems(ctx context.Context, w *write, roles []db.RoleID, direct []db.PermissionID, endsAt *time.Time) ([]access.Item, error) {
	if items, known := w.itemsAhead(roles, direct, endsAt); known {
		return items, nil
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	return itemsIn(catalogue, roles, direct, endsAt), nil
}

// itemsIn is grantItems for roles and permissions as the catalogue has them.
func itemsIn(catalogue *access.Catalogue, roles []db.RoleID, direct []db.PermissionID, endsAt *time.Time) []access.Item {
	items := make([]access.Item, 0, len(roles)+len(direct))
	for _, role := range roles {
		items = append(items, access.Item{ID: uuid.UUID(role), Permissions: catalogue.RolePermissions(role), EndsAt: endsAt})
	}
	for _, id := range direct {
		items = append(items, access.Item{ID: uuid.UUID(id), Permissions: []*db.Permission{catalogue.Permission(id)}, EndsAt: endsAt})
	}
	return items
}

// permissionItems returns the items of permissions that end at that moment.
func permissionItems(permissions []*db.Permission, endsAt *time.Time) []access.Item {
	items := make([]access.Item, len(permissions))
	for i, p := range permissions {
		items[i] = access.Item{ID: uuid.UUID(p.ID), Permissions: []*db.Permission{p}, EndsAt: endsAt}
	}
	return items
}

// permissionsOf returns the permissions that the items amount to.
func permissionsOf(items []access.Item) []*db.Permission {
	var permissions []*db.Permission
	for _, item := range items {
		permissions = append(permissions, item.Permissions...)
	}
	return permissions
}

// allowGrants returns the actor's allowance to hand out the items in the organization, by
// the permission to do so. In the root they must be permissions of Roster itself: what
// people do in a product, they do in an organization. If the organization does not
// exist (nil), nothing is allowed, and no fault is added.
func (d *Directory) allowGrants(ctx context.Context, w *write, by access.Permission, org *db.Organization, items []access.Item) (access.Allowance, error) {
	if org == nil {
		return access.Allowance{}, nil
	}
	if org.ID == db.Root && slices.ContainsFunc(permissionsOf(items), func(p *db.Permission) bool { return !p.IsSystem }) {
		w.faults.Add(problem.Invalid, "input.organization", "Only permissions of Roster itself can be held for the business as a whole.")
	}
	return d.allow(ctx, w, access.Handout{By: by, Organization: &org.ID, Items: items})
}

// covered returns an error unless the allowance covers what is about to be handed
// out until endsAt. Such an error is a defect of this program: allow has already
// reported the faults of the input.
func covered(by access.Allowance, org *db.OrganizationID, endsAt *time.Time, ids ...uuid.UUID) error {
	if by.Covers(org, endsAt, ids...) {
		return nil
	}
	return errors.New("more was to be handed out than was allowed")
}

// suspension selects what counts again when it ends, by conditions in SQL.
type suspension struct {
	// grants selects grants g, and keys the API keys g that stand for those who are granted
	// them, or work where they are: these keys can do what their users are granted.
	grants, keys string
	// alsoKeys selects more API keys g. What descends from any of the keys works again, too.
	alsoKeys string
}

// suspensionOfUser returns the suspension of the user whose id is user, in SQL.
func suspensionOfUser(user string) suspension {
	theirs := "g.user_id = " + user
	return suspension{
		grants:   theirs + " and g.org_id = any(array(select m.org_id from memberships m where m.user_id = " + user + "))",
		keys:     theirs,
		alsoKeys: "g.responsible_user_id = " + user,
	}
}

// heldAgain is what counts again in an organization (nil: everywhere) once a suspension
// ends, until EndsAt.
type heldAgain struct {
	// UserID is the user who was suspended, where there are several.
	UserID db.UserID
	OrgID  *db.OrganizationID
	EndsAt *time.Time
	Roles  []db.RoleID       `bun:",array"`
	Direct []db.PermissionID `bun:",array"`
}

// handout returns what whoever ends the suspension hands out by that.
func (h *heldAgain) handout(catalogue *access.Catalogue, by access.Permission) access.Handout {
	return access.Handout{By: by, Organization: h.OrgID, Items: itemsIn(catalogue, h.Roles, h.Direct, h.EndsAt)}
}

// heldAgainSQL returns the statement over what the suspended grants and API keys allow at $2
// or later, each role and permission until the last of its grants ends. Keys that stand for
// users can do what their users are granted; what other keys can do, their holders can.
func heldAgainSQL(s suspension) string {
	const until, live = "nullif(max(coalesce(ends_at, 'infinity')), 'infinity') as ends_at", " and (g.ends_at is null or g.ends_at > $2)"
	return `with recursive again as (select g.id, not (` + s.keys + `) is true or g.user_id is null as counts from api_keys g where g.revoked_at is null and (` + s.keys + ` or ` + s.alsoKeys + `)
		union select g.id, true from again join api_keys g on g.responsible_id = again.id and g.revoked_at is null where not (` + s.keys + `) is true or g.user_id is null)
	select org_id, ends_at, array_remove(array_agg(role_id), null) as roles, array_remove(array_agg(permission_id), null) as direct from (
		select org_id, role_id, permission_id, ` + until + ` from (
			select g.org_id, g.role_id, null::uuid as permission_id, g.ends_at from membership_roles g where g.live and ` + s.grants + live + `
			union all select g.org_id, null::uuid, g.permission_id, g.ends_at from membership_permissions g where g.live and ` + s.grants + live + `
			union all select g.org_id, null::uuid, g.permission_id, g.ends_at from (select k.org_id, k.expires_at as ends_at, kp.permission_id
				from again join api_keys k on k.id = again.id and counts join api_key_permissions kp on kp.api_key_id = k.id) g where true` + live + `) x
		group by org_id, role_id, permission_id) y
	group by org_id, ends_at`
}

// mayRestore checks that the actor, by that permission, may hand out everything that
// counts again when the suspension ends, whose conditions are on $1.
func (d *Directory) mayRestore(ctx context.Context, w *write, by access.Permission, s suspension, arg any) error {
	rows, err := db.Select[heldAgain](ctx, d.db, heldAgainSQL(s), arg, w.At)
	if err != nil {
		return err
	}
	catalogue, err := d.engine.Catalogue(ctx) // which is read anew in a transaction
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := d.allow(ctx, w, row.handout(catalogue, by)); err != nil {
			return err
		}
	}
	return nil
}

// heldAgainByUsersText is heldAgainSQL for the suspensions of the users $1.
var heldAgainByUsersText = "select s.id as user_id, h.* from unnest($1::uuid[]) s (id) cross join lateral (" + heldAgainSQL(suspensionOfUser("s.id")) + ") h"

// mayNotRestore returns why the actor must not end the suspensions of users, of each of those
// of whom it must not.
func (d *Directory) mayNotRestore(ctx context.Context, w *write, users []db.UserID) (map[db.UserID]string, error) {
	if len(users) == 0 {
		return nil, nil
	}
	rows, err := db.SelectByIndex[heldAgain](ctx, d.db, heldAgainByUsersText, users, w.At)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	authority, err := d.authorityOf(ctx, w)
	if err != nil {
		return nil, err
	}
	why := map[db.UserID]string{}
	for _, row := range rows {
		if _, refused := authority.Allow(row.handout(catalogue, access.UsersWrite)); !refused.Empty() {
			why[row.UserID] = tellRefusal(refused)
		}
	}
	return why, nil
}

// enumerate joins keys for a message, which stays short even if there are many.
func enumerate(keys []string) string {
	const most = 10
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}
