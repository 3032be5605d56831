package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// allow returns the actor's allowance to hand out the permissions, and the roles
// that consist of them, in the organization or, if org is nil, everywhere. It adds
// the fault ESCALATION, which names the permissions that the actor must not hand
// out, if there are any.
func (w *write) allow(org *db.OrganizationID, permissions []*db.Permission, roles ...db.RoleID) access.Allowance {
	allowance, missing := w.actor.Allow(org, permissions, roles...)
	if len(missing) == 0 {
		return allowance
	}
	slices.Sort(missing)
	fault := problem.New(problem.Escalation, "You cannot hand out what you do not hold: %s.", enumerate(slices.Compact(missing)))
	if !slices.ContainsFunc(w.Faults, func(told *problem.Error) bool { return *told == *fault }) { // of another organization
		w.Faults = append(w.Faults, fault)
	}
	return allowance
}

// allowGrants returns the actor's allowance to grant the roles and permissions in
// the organization. In the root they must be permissions of Roster itself: what
// people do in a product, they do in an organization. If the organization does not
// exist (nil), nothing is allowed, and no fault is added.
func (d *Directory) allowGrants(ctx context.Context, w *write, org *db.Organization, roles []db.RoleID, direct []db.PermissionID) (access.Allowance, error) {
	if org == nil {
		return access.Allowance{}, nil
	}
	permissions, err := d.permissionsIn(ctx, roles, direct)
	if err != nil {
		return access.Allowance{}, err
	}
	if org.ID == db.Root && slices.ContainsFunc(permissions, func(p *db.Permission) bool { return !p.IsSystem }) {
		w.faults.Add(problem.Invalid, "input.organization", "Only permissions of Roster itself can be held for the business as a whole.")
	}
	return w.allow(&org.ID, permissions, roles...), nil
}

// covered returns an error unless the allowance covers what is about to be handed
// out. Such an error is a defect of this program: allow has already reported the
// faults of the input.
func covered(by access.Allowance, org *db.OrganizationID, ids []uuid.UUID) error {
	if by.Covers(org, ids) {
		return nil
	}
	return errors.New("more was to be handed out than was allowed")
}

// permissionsIn returns the permissions and those that the roles contain.
func (d *Directory) permissionsIn(ctx context.Context, roles []db.RoleID, direct []db.PermissionID) ([]*db.Permission, error) {
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

// mayRestore checks that the actor may hand out everything that live grants g,
// selected by the condition on $1, allow now or later: ending a suspension hands it
// out again. It checks in the same way the permissions of API keys that stand for
// themselves; other keys can do what their users are granted.
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
		permissions, err := d.permissionsIn(ctx, row.Roles, row.Direct)
		if err != nil {
			return err
		}
		w.allow(&row.OrgID, permissions)
	}
	return nil
}

// enumerate joins keys for a message, which stays short even if there are many.
func enumerate(keys []string) string {
	const most = 10
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}
