package directory

import (
	"context"

	"roster/access"
	"roster/db"
)

// Obstacle is a reason why a member may not do something.
type Obstacle string

// The obstacles.
const (
	NoSuchPermission      Obstacle = "NO_SUCH_PERMISSION"
	NotAMember            Obstacle = "NOT_A_MEMBER"
	UserSuspended         Obstacle = "USER_SUSPENDED"
	MemberSuspended       Obstacle = "MEMBER_SUSPENDED"
	OrganizationSuspended Obstacle = "ORGANIZATION_SUSPENDED"
	NotGranted            Obstacle = "NOT_GRANTED"
	GrantEnded            Obstacle = "GRANT_ENDED"
	GrantNotStarted       Obstacle = "GRANT_NOT_STARTED"
	GrantRevoked          Obstacle = "GRANT_REVOKED"
)

// Explanation says why a member may do something, or why not.
type Explanation struct {
	Allowed bool
	// Sources are the grants that allow it; empty if it is not allowed.
	Sources []Grant
	// Obstacles are all reasons against it; empty if it is allowed.
	Obstacles []Obstacle
	// RolesThatWouldAllow are the roles that contain the permission. They are shown to
	// actors who may read roles: see [Directory.RolesThatWouldAllow].
	RolesThatWouldAllow []*db.Role
}

// ExplainMembers explains for each member whether they may do what the
// permission names.
func (d *Directory) ExplainMembers(ctx context.Context, members []*db.Membership, permission string) ([]*Explanation, error) {
	return d.explain(ctx, memberKeysOf(members), permission)
}

// Explain explains whether the user may do what the permission names in the
// organization. A user or organization that does not exist, or is hidden from the
// actor, is explained like a user who is not a member.
func (d *Directory) Explain(ctx context.Context, user UserRef, org OrganizationRef, permission string) (*Explanation, error) {
	members, err := d.memberKeys(ctx, []*UserRef{&user}, []*OrganizationRef{&org})
	if err != nil {
		return nil, err
	}
	all, err := d.explain(ctx, members, permission)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// explain reads everything from one state of the database.
func (d *Directory) explain(ctx context.Context, members []access.MemberKey, key string) ([]*Explanation, error) {
	var catalogue *access.Catalogue
	var held []*access.Entitlements
	var grants map[access.MemberKey][]Grant
	err := d.db.InSnapshot(ctx, func(ctx context.Context) (err error) {
		if catalogue, held, err = d.engine.View(ctx, members, key); err == nil {
			grants, err = d.grants(ctx, members, nil)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	permission := catalogue.PermissionByKey(key)
	all := make([]*Explanation, len(members))
	for i, member := range members {
		all[i] = explanation(catalogue, held[i], grants[member], permission)
	}
	return all, nil
}

// RolesThatWouldAllow returns the roles that contain the permission of each
// explanation, ordered by key, to an actor who may read roles.
func (d *Directory) RolesThatWouldAllow(ctx context.Context, explanations []*Explanation) ([][]*db.Role, error) {
	if _, err := access.ScopeOf(ctx, access.RolesRead); err != nil {
		return nil, err
	}
	all := make([][]*db.Role, len(explanations))
	for i, e := range explanations {
		all[i] = e.RolesThatWouldAllow
	}
	return all, nil
}

func explanation(catalogue *access.Catalogue, held *access.Entitlements, grants []Grant, permission *db.Permission) *Explanation {
	e := &Explanation{Sources: []Grant{}, Obstacles: []Obstacle{}, RolesThatWouldAllow: []*db.Role{}}
	obstacle := func(stands bool, o Obstacle) {
		if stands {
			e.Obstacles = append(e.Obstacles, o)
		}
	}
	obstacle(permission == nil, NoSuchPermission)
	obstacle(!held.Member(), NotAMember)
	obstacle(held.UserSuspended(), UserSuspended)
	obstacle(held.Suspended(), MemberSuspended)
	obstacle(held.OrganizationSuspended(), OrganizationSuspended)
	if permission == nil {
		return e
	}
	e.RolesThatWouldAllow = catalogue.RolesWith(permission.ID)
	e.Sources = giving(catalogue, grants, permission.ID, grantHeld)
	if len(e.Sources) == 0 {
		before := len(e.Obstacles)
		for _, past := range []struct {
			state    grantState
			obstacle Obstacle
		}{{grantEnded, GrantEnded}, {grantNotStarted, GrantNotStarted}, {grantRevoked, GrantRevoked}} {
			obstacle(len(giving(catalogue, grants, permission.ID, past.state)) > 0, past.obstacle)
		}
		obstacle(len(e.Obstacles) == before, NotGranted)
	}
	e.Allowed = len(e.Obstacles) == 0
	if !e.Allowed {
		e.Sources = []Grant{}
	}
	return e
}
