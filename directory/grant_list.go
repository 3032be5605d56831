package directory

import (
	"context"
	"time"

	"roster/access"
	"roster/db"
)

// Grant is something that was granted to a member by name: a *RoleGrant or a
// *PermissionGrant.
type Grant interface {
	state() grantState
}

// RoleGrant is a role that was granted to a member.
type RoleGrant struct {
	db.RoleGrant `bun:",extend"`
	State        grantState
}

// PermissionGrant is a permission that was granted to a member on top of roles.
type PermissionGrant struct {
	db.PermissionGrant `bun:",extend"`
	State              grantState
}

func (g *RoleGrant) state() grantState       { return g.State }
func (g *PermissionGrant) state() grantState { return g.State }

// grantState is the state of a grant at one moment.
type grantState string

const (
	grantHeld       grantState = "HELD"
	grantNotStarted grantState = "NOT_STARTED"
	grantEnded      grantState = "ENDED"
	grantRevoked    grantState = "REVOKED"
)

// stateAt computes the state of a grant g at the moment p.at; UNKNOWN means that
// the grant was made later.
const stateAt = `case
	when g.granted_at > p.at then 'UNKNOWN'
	when g.revoked_at <= p.at then 'REVOKED'
	when g.ends_at <= p.at then 'ENDED'
	when g.starts_at > p.at then 'NOT_STARTED'
	else 'HELD' end as state`

const grantsText = `select g.*, ` + stateAt + `
	from (select user_id, org_id, coalesce($3, statement_timestamp()) as at from unnest($1::uuid[], $2::uuid[]) p (user_id, org_id)) p
	join `

// grants returns everything that was ever granted to the members, as it stood at the
// moment (nil for now), in the order in which it was granted: roles first.
func (d *Directory) grants(ctx context.Context, members []access.MemberKey, at *time.Time) (map[access.MemberKey][]Grant, error) {
	users, orgs := access.SplitKeys(members)
	const on = ` g on g.org_id = p.org_id and g.user_id = p.user_id order by g.granted_at, g.id`
	roles, err := db.Select[RoleGrant](ctx, d.db, grantsText+"membership_roles"+on, users, orgs, at)
	if err != nil {
		return nil, err
	}
	permissions, err := db.Select[PermissionGrant](ctx, d.db, grantsText+"membership_permissions"+on, users, orgs, at)
	if err != nil {
		return nil, err
	}
	all := make(map[access.MemberKey][]Grant, len(members))
	for i := range roles {
		member := memberKeyOfGrant(&roles[i].Grant)
		all[member] = append(all[member], &roles[i])
	}
	for i := range permissions {
		member := memberKeyOfGrant(&permissions[i].Grant)
		all[member] = append(all[member], &permissions[i])
	}
	return all, nil
}

func memberKeyOfGrant(g *db.Grant) access.MemberKey {
	return access.MemberKey{User: g.UserID, Organization: g.OrgID}
}

// Grants returns the grants of each member: what they hold, what will begin and,
// if includeEnded is set, what has ended or was revoked.
func (d *Directory) Grants(ctx context.Context, members []*db.Membership, includeEnded bool) ([][]Grant, error) {
	keys := memberKeysOf(members)
	of, err := d.grants(ctx, keys, nil)
	if err != nil {
		return nil, err
	}
	all := make([][]Grant, len(members))
	for i, key := range keys {
		for _, g := range of[key] {
			if includeEnded || g.state() == grantHeld || g.state() == grantNotStarted {
				all[i] = append(all[i], g)
			}
		}
	}
	return all, nil
}

func memberKeysOf(members []*db.Membership) []access.MemberKey {
	keys := make([]access.MemberKey, len(members))
	for i, m := range members {
		keys[i] = MemberKeyOf(m)
	}
	return keys
}

// MemberKey returns the key of the member who has the grant.
func (g *RoleGrant) MemberKey() access.MemberKey { return memberKeyOfGrant(&g.Grant) }

// MemberKey returns the key of the member who has the grant.
func (g *PermissionGrant) MemberKey() access.MemberKey { return memberKeyOfGrant(&g.Grant) }
