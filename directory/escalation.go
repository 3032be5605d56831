package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// mayHandOut checks that the actor may hand out the permissions in the
// organization or, when org is nil, for the business as a whole: nobody hands
// out what they do not hold there, except that who holds roster:grants:any may
// hand out every permission that is not a system one. Every way to hand
// something out comes through here. If not, the fault is an ESCALATION, which
// names what is missing.
func (w *write) mayHandOut(org *db.OrganizationID, permissions []*db.Permission) {
	holds := w.actor.HoldsEverywhere
	if org != nil {
		holds = func(p access.Permission) bool { return w.actor.Holds(p, *org) }
	}
	anything := holds(access.GrantsAny)
	var missing []string
	for _, p := range permissions {
		if anything && !p.IsSystem || holds(access.Permission(p.Key)) {
			continue
		}
		missing = append(missing, p.Key)
	}
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	fault := problem.New(problem.Escalation, "You cannot hand out what you do not hold: %s.", enumerate(slices.Compact(missing)))
	if !slices.ContainsFunc(*w.faults.List, func(told *problem.Error) bool { return *told == *fault }) { // of another organization
		*w.faults.List = append(*w.faults.List, fault)
	}
}

// mayGrant checks that the actor may hand out, in the organization, the
// permissions and all that the roles contain. In the root it must be system
// permissions: what people do in a product, they do in an organization. What may
// be handed out in an organization that is not there (nil), nobody can tell.
func (d *Directory) mayGrant(ctx context.Context, w *write, org *db.Organization, roles []db.RoleID, direct []db.PermissionID) error {
	if org == nil {
		return nil
	}
	permissions, err := d.given(ctx, roles, direct)
	if err != nil {
		return err
	}
	if org.ID == db.Root && slices.ContainsFunc(permissions, func(p *db.Permission) bool { return !p.IsSystem }) {
		w.faults.Add(problem.Invalid, "input.organization", "Only permissions of Roster itself can be held for the business as a whole.")
	}
	w.mayHandOut(&org.ID, permissions)
	return nil
}

// given gives the permissions, and those which the roles contain.
func (d *Directory) given(ctx context.Context, roles []db.RoleID, direct []db.PermissionID) ([]*db.Permission, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	var permissions []*db.Permission
	for _, role := range roles {
		permissions = append(permissions, catalogue.RolePermissions(role)...)
	}
	for _, id := range direct {
		permissions = append(permissions, catalogue.Permission(id))
	}
	return permissions, nil
}

// mayRestore checks that the actor may hand out all that grants g, selected by
// the condition on $1, give now or will: to end a suspension is to give it again.
// What API keys may do that stand for themselves is given like that, too; others
// may do what their users are granted.
func (d *Directory) mayRestore(ctx context.Context, w *write, condition string, arg any) error {
	type given struct {
		OrgID  db.OrganizationID
		Roles  []db.RoleID       `bun:",array"`
		Direct []db.PermissionID `bun:",array"`
	}
	const live = " and g.live and (g.ends_at is null or g.ends_at > $2)"
	rows, err := db.Select[given](ctx, d.db, `select org_id, array_remove(array_agg(role_id), null) as roles, array_remove(array_agg(permission_id), null) as direct from (
		select distinct g.org_id, g.role_id, null::uuid as permission_id from membership_roles g where `+condition+live+`
		union all select distinct g.org_id, null::uuid, g.permission_id from membership_permissions g where `+condition+live+`
		union all select distinct g.org_id, null::uuid, g.permission_id from (
			select k.org_id, k.user_id, k.revoked_at is null as live, k.expires_at as ends_at, kp.permission_id
			from api_keys k join api_key_permissions kp on kp.api_key_id = k.id where k.user_id is null) g where `+condition+live+`) x group by org_id`, arg, w.At)
	if err != nil {
		return err
	}
	for _, row := range rows {
		permissions, err := d.given(ctx, row.Roles, row.Direct)
		if err != nil {
			return err
		}
		w.mayHandOut(&row.OrgID, permissions)
	}
	return nil
}

// enumerate joins keys for a message, which stays short however many they are.
func enumerate(keys []string) string {
	const most = 10
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}
