package access

import (
	"github.com/google/uuid"

	"roster/db"
)

// Allowance is leave to hand out certain permissions and roles, in one
// organization or everywhere. It is made where somebody's authority is looked at
// ([Actor.Allow]), and whatever hands something out takes one and hands out no
// more. The zero Allowance allows nothing.
type Allowance struct {
	everything bool
	// organization is where it counts; nil is everywhere.
	organization *db.OrganizationID
	// targets are the ids of permissions and roles that may be handed out.
	targets map[uuid.UUID]bool
}

// Allow returns the allowance of the actor to hand out the permissions, and the
// roles, all of whose permissions must be among them: in the organization or, when
// org is nil, everywhere. missing are the keys of those permissions that the actor
// must not hand out there; the allowance is empty if there are some.
//
// Nobody hands out what they do not hold in the organization, except that an actor
// that holds roster:grants:any there hands out every permission that is not one of
// Roster itself.
func (a *Actor) Allow(org *db.OrganizationID, permissions []*db.Permission, roles ...db.RoleID) (allowance Allowance, missing []string) {
	holds := a.HoldsEverywhere
	if org != nil {
		holds = func(p Permission) bool { return a.Holds(p, *org) }
	}
	anything := holds(GrantsAny)
	allowance = Allowance{organization: org, targets: make(map[uuid.UUID]bool, len(permissions)+len(roles))}
	for _, p := range permissions {
		if !(anything && !p.IsSystem) && !holds(Permission(p.Key)) {
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

// AllowDefaults returns the allowance by which the default roles of an organization
// go to everybody who joins it, whoever adds them: they were handed out by whoever
// made them default ones.
func AllowDefaults(org db.OrganizationID, roles []db.RoleID) Allowance {
	allowance := Allowance{organization: &org, targets: make(map[uuid.UUID]bool, len(roles))}
	for _, id := range roles {
		allowance.targets[uuid.UUID(id)] = true
	}
	return allowance
}

// AllowSetup returns the allowance to hand out everything, by which a business is
// set up.
func AllowSetup() Allowance { return Allowance{everything: true} }

// Covers reports whether the permissions or roles of these ids may be handed out in
// the organization or, when org is nil, everywhere.
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
