package directory

import (
	"context"
	"time"

	"roster/access"
	"roster/db"
)

// Grant is what was given to a member by name: a *RoleGrant or a
// *PermissionGrant.
type Grant interface {
	state() grantState
}

// RoleGrant is a role that was given to a member.
type RoleGrant struct {
	db.RoleGrant `bun:",extend"`
	State        grantState
}

// PermissionGrant is a permission that was given to a member on top of roles.
type PermissionGrant struct {
	db.PermissionGrant `bun:",extend"`
	State              grantState
}

func (g *RoleGrant) state() grantState       { return g.State }
func (g *PermissionGrant) state() grantState { return g.State }

// grantState is how a grant stands at one moment.
type grantState string

const (
	grantHeld       grantState = "HELD"
	grantNotStarted grantState = "NOT_STARTED"
	grantEnded      grantState = "ENDED"
	grantRevoked    grantState = "REVOKED"
)

// stateAt computes the state of a grant g at the moment p.at: UNKNOWN is that of
// a grant which was made only later.
const stateAt = `case
	when g.granted_at > p.at then 'UNKNOWN'
	when g.revoked_at <= p.at then 'REVOKED'
	when g.ends_at <= p.at then 'ENDED'
	when g.starts_at > p.at then 'NOT_STARTED'
	else 'HELD' end as state`

const grantsText = `select g.*, ` + stateAt + `
	from (select user_id, org_id, coalesce($3, statement_timestamp()) as at from unnest($1::uuid[], $2::uuid[]) p (user_id, org_id)) p
	join `

// grants reads all that was ever given at the places, as it stood at the moment
// (nil for now), in the order of giving: roles first.
func (d *Directory) grants(ctx context.Context, places []access.MemberKey, at *time.Time) (map[access.MemberKey][]Grant, error) {
	users, orgs := split(places)
	const on = ` g on g.org_id = p.org_id and g.user_id = p.user_id order by g.granted_at, g.id`
	roles, err := db.Select[RoleGrant](ctx, d.db, grantsText+"membership_roles"+on, users, orgs, at)
	if err != nil {
		return nil, err
	}
	permissions, err := db.Select[PermissionGrant](ctx, d.db, grantsText+"membership_permissions"+on, users, orgs, at)
	if err != nil {
		return nil, err
	}
	all := make(map[access.MemberKey][]Grant, len(places))
	for i := range roles {
		place := memberKeyOfGrant(&roles[i].Grant)
		all[place] = append(all[place], &roles[i])
	}
	for i := range permissions {
		place := memberKeyOfGrant(&permissions[i].Grant)
		all[place] = append(all[place], &permissions[i])
	}
	return all, nil
}

func memberKeyOfGrant(g *db.Grant) access.MemberKey {
	return access.MemberKey{User: g.UserID, Organization: g.OrgID}
}

// Grants gives what was given to each member by name: what they hold, what will
// begin and, if asked for, what has ended or was revoked.
func (d *Directory) Grants(ctx context.Context, members []*db.Membership, includeEnded bool) ([][]Grant, error) {
	places := memberKeysOf(members)
	of, err := d.grants(ctx, places, nil)
	if err != nil {
		return nil, err
	}
	all := make([][]Grant, len(members))
	for i, place := range places {
		for _, g := range of[place] {
			if includeEnded || g.state() == grantHeld || g.state() == grantNotStarted {
				all[i] = append(all[i], g)
			}
		}
	}
	return all, nil
}

func memberKeysOf(members []*db.Membership) []access.MemberKey {
	places := make([]access.MemberKey, len(members))
	for i, m := range members {
		places[i] = MemberKeyOf(m)
	}
	return places
}

// Place is that of the member.
func (g *RoleGrant) MemberKey() access.MemberKey { return memberKeyOfGrant(&g.Grant) }

// Place is that of the member.
func (g *PermissionGrant) MemberKey() access.MemberKey { return memberKeyOfGrant(&g.Grant) }
