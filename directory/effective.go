package directory

import (
	"context"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// EffectivePermission is something that a member may do.
type EffectivePermission struct {
	Permission *db.Permission
	of         *effectiveOf
}

// effectiveOf is the member who holds effective permissions, and the function that
// reads their sources.
type effectiveOf struct {
	catalogue *access.Catalogue
	member    *db.Membership
	grants    func(context.Context) (map[access.MemberKey][]Grant, error)
}

// ID returns an id made of the ids of the membership and the permission.
func (p *EffectivePermission) ID() string {
	return p.of.member.ID.String() + ":" + p.Permission.ID.String()
}

// Key returns the permission's key.
func (p *EffectivePermission) Key() string { return p.Permission.Key }

// Sources returns the grants that it comes from. The first call reads the grants of
// all members of the answer.
func (p *EffectivePermission) Sources(ctx context.Context) ([]Grant, error) {
	grants, err := p.of.grants(ctx)
	if err != nil {
		return nil, err
	}
	return giving(p.of.catalogue, grants[MemberKeyOf(p.of.member)], p.Permission.ID, grantHeld), nil
}

// HeldRoles returns the roles that each member holds now, ordered by key.
func (d *Directory) HeldRoles(ctx context.Context, members []*db.Membership) ([][]*db.Role, error) {
	catalogue, held, err := d.engine.View(ctx, memberKeysOf(members))
	if err != nil {
		return nil, err
	}
	all := make([][]*db.Role, len(members))
	for i := range held {
		all[i] = catalogue.HeldRoles(held[i])
	}
	return all, nil
}

// EffectivePermissions returns what each member may do now, or could do at a moment
// in the past, ordered by key.
func (d *Directory) EffectivePermissions(ctx context.Context, members []*db.Membership, asOf *time.Time) ([][]*EffectivePermission, error) {
	if asOf != nil {
		return d.effectiveAsOf(ctx, members, *asOf)
	}
	keys := memberKeysOf(members)
	catalogue, held, err := d.engine.View(ctx, keys)
	if err != nil {
		return nil, err
	}
	sources := list.Lazily(func(ctx context.Context) (map[access.MemberKey][]Grant, error) { return d.grants(ctx, keys, nil) })
	all := make([][]*EffectivePermission, len(members))
	for i := range held {
		all[i] = effective(catalogue, members[i], catalogue.Effective(held[i]), sources)
	}
	return all, nil
}

// effectiveAsOf is EffectivePermissions for a moment in the past, from the facts that
// were known then.
func (d *Directory) effectiveAsOf(ctx context.Context, members []*db.Membership, asOf time.Time) ([][]*EffectivePermission, error) {
	if asOf.After(time.Now()) {
		return nil, problem.At(problem.Invalid, "asOf", "Must not be in the future.")
	}
	keys := memberKeysOf(members)
	var catalogue *access.Catalogue
	var grants map[access.MemberKey][]Grant
	var active map[access.MemberKey]bool
	err := d.db.InSnapshot(ctx, func(ctx context.Context) (err error) {
		if catalogue, err = d.engine.CatalogueAsOf(ctx, asOf); err != nil {
			return err
		}
		if grants, err = d.grants(ctx, keys, &asOf); err != nil {
			return err
		}
		active, err = d.activeAsOf(ctx, keys, asOf)
		return err
	})
	if err != nil {
		return nil, err
	}
	sources := func(context.Context) (map[access.MemberKey][]Grant, error) { return grants, nil }
	all := make([][]*EffectivePermission, len(members))
	for i, key := range keys {
		permissions := []*db.Permission{}
		if active[key] {
			permissions = catalogue.Effective(d.engine.NewEntitlements(heldBy(grants[key])))
		}
		all[i] = effective(catalogue, members[i], permissions, sources)
	}
	return all, nil
}

// heldBy returns the roles and permissions of the grants that are held.
func heldBy(grants []Grant) (roles []db.RoleID, direct []db.PermissionID) {
	for _, g := range grants {
		switch g := g.(type) {
		case *RoleGrant:
			if g.State == grantHeld {
				roles = append(roles, g.RoleID)
			}
		case *PermissionGrant:
			if g.State == grantHeld {
				direct = append(direct, g.PermissionID)
			}
		}
	}
	return roles, direct
}

// The actions after which entitlements do not count, and count again.
var (
	suspending = changes.NamesWhere(func(e changes.Effects) bool { return e.Suspends })
	restoring  = changes.NamesWhere(func(e changes.Effects) bool { return e.Restores })
)

// activeAsOf reports for which members neither the user nor the member nor the
// organization was suspended. The log of changes knows: it has every suspension and its
// end. The suspension of a member ends with the membership, too.
func (d *Directory) activeAsOf(ctx context.Context, members []access.MemberKey, asOf time.Time) (map[access.MemberKey]bool, error) {
	subjects := make([]string, 0, 2*len(members))
	for _, p := range members {
		subjects = append(subjects, p.User.String(), p.Organization.String())
	}
	suspended, err := db.Select[string](ctx, d.db, `
		select s.subject from unnest($1::text[]) s (subject) where (
			select c.action from changes c where c.subject = s.subject and c.at <= $2 and c.action = any($3::text[] || $4::text[])
			order by c.at desc, c.id desc limit 1) = any($3::text[])`, distinct(subjects), asOf, suspending, restoring)
	if err != nil {
		return nil, err
	}
	was := make(map[string]bool, len(suspended))
	for _, subject := range suspended {
		was[subject] = true
	}
	users, orgs := make([]string, len(members)), make([]db.OrganizationID, len(members))
	for i, p := range members {
		users[i], orgs[i] = p.User.String(), p.Organization
	}
	inactive, err := db.Select[bool](ctx, d.db, `
		select coalesce((select not exists (select from changes e where e.subject = c.subject and e.action = any($4) and (e.at, e.id) > (c.at, c.id) and e.at <= $3)
			from changes c where c.org_id = p.org_id and c.before ->> 'userId' = p.user_id and c.action = '`+changes.MembershipSuspended.String()+`' and c.at <= $3
			order by c.at desc, c.id desc limit 1), false)
		from unnest($1::text[], $2::uuid[]) with ordinality p (user_id, org_id, n) order by p.n`,
		users, orgs, asOf, []string{changes.MembershipRestored.String(), changes.MembershipDeleted.String()})
	if err != nil {
		return nil, err
	}
	active := make(map[access.MemberKey]bool, len(members))
	for i, p := range members {
		active[p] = !was[p.User.String()] && !was[p.Organization.String()] && !inactive[i]
	}
	return active, nil
}

// effective returns the permissions with the way to their sources.
func effective(catalogue *access.Catalogue, member *db.Membership, permissions []*db.Permission,
	grants func(context.Context) (map[access.MemberKey][]Grant, error),
) []*EffectivePermission {
	of := &effectiveOf{catalogue, member, grants}
	each, all := make([]EffectivePermission, len(permissions)), make([]*EffectivePermission, len(permissions))
	for i, permission := range permissions {
		each[i] = EffectivePermission{permission, of}
		all[i] = &each[i]
	}
	return all
}

// giving keeps the grants in that state that allow the permission.
func giving(catalogue *access.Catalogue, grants []Grant, permission db.PermissionID, state grantState) []Grant {
	kept := []Grant{}
	for _, g := range grants {
		if g.state() == state && gives(catalogue, g, permission) {
			kept = append(kept, g)
		}
	}
	return kept
}

func gives(catalogue *access.Catalogue, g Grant, permission db.PermissionID) bool {
	switch g := g.(type) {
	case *RoleGrant:
		return catalogue.RoleHas(g.RoleID, permission)
	case *PermissionGrant:
		return g.PermissionID == permission
	}
	return false
}
