package access

import (
	"github.com/google/uuid"

	"roster/db"
)

// Allowance is the authority to hand out certain permissions and roles, in one
// organization or everywhere. [Actor.Allow] makes it from what the actor holds;
// code that hands something out takes an Allowance, and hands out no more. The zero
// Allowance allows nothing.
type Allowance struct {
	everything bool
	// organization is where the allowance counts; nil is everywhere.
	organization *db.OrganizationID
	// targets are the ids of permissions and roles that may be handed out.
	targets map[uuid.UUID]bool
}

// Allow returns the actor's allowance to hand out the permissions and the roles, in
// the organization or, if org is nil, everywhere. All permissions of the roles must
// be among the permissions. If the actor must not hand out some of them there, Allow
// returns their keys, and an allowance for nothing.
//
// An actor hands out only permissions that it holds in the organization. An actor
// that holds roster:grants:any there also hands out every permission that is not one
// of Roster itself.
func (a *Actor) Allow(org *db.OrganizationID, permissions []*db.Permission, roles ...db.RoleID) (allowance Allowance, missing []string) {
	holds := a.HoldsEverywhere
	if org != nil {
		holds = func(p Permission) bool { return a.Holds(p, *org) }
	}
	anything := holds(GrantsAny)
	allowance = Allowance{organization: org, targets: make(map[uuid.UUID]bool, len(permissions)+len(roles))}
	for _, p := range permissions {
		if allowed := anything && !p.IsSystem || holds(Permission(p.Key)); !allowed {
			missing = append(missing, p.Key)
		}
		allowance.targets[uuid.UUID(p.ID)] = true
	}
	for _, id := range roles {
		allowance.targets[uuid.UUID(id)] = true
	}
	if len(missing) > 0 {
		return Allowance{}, missing
	}
	return allowance, nil
}

// AllowDefaults returns the allowance to give the default roles of an organization to
// each new member, whoever adds the member: the actor that made them default roles
// had the authority to hand them out.
func AllowDefaults(org db.OrganizationID, roles []db.RoleID) Allowance {
	allowance := Allowance{organization: &org, targets: make(map[uuid.UUID]bool, len(roles))}
	for _, id := range roles {
		allowance.targets[uuid.UUID(id)] = true
	}
	return allowance
}

// AllowSetup returns the allowance to hand out everything. It is for setting up a
// business, when nobody holds anything yet.
func AllowSetup() Allowance { return Allowance{everything: true} }

// Covers reports whether the permissions or roles of these ids may be handed out in
// the organization or, if org is nil, everywhere.
func (a Allowance) Covers(org *db.OrganizationID, ids []uuid.UUID) bool {
	if a.everything {
		return true
	}
	for _, id := range ids {
		if !a.targets[id] {
			return false
		}
	}
	return len(ids) == 0 || a.organization == nil || org != nil && *org == *a.organization
}
