package access

import (
	"time"

	"github.com/google/uuid"

	"roster/db"
)

// Allowance is permission to hand out certain roles, permissions and API keys, in one
// organization or everywhere, each until a moment. [Authority.Allow] makes it from what
// the actor holds; code that hands something out takes an Allowance, and hands out no
// more. The zero Allowance allows nothing.
type Allowance struct {
	everything bool
	// organization is where the allowance counts; nil is everywhere.
	organization *db.OrganizationID
	// targets are the ids of what may be handed out, and until when.
	targets map[uuid.UUID]end
}

// AllowDefaults returns the allowance to give the default roles of an organization to
// each new member, whoever adds the member: the actor that made them default roles
// had the authority to hand them out.
func AllowDefaults(org db.OrganizationID, roles []db.RoleID) Allowance {
	allowance := Allowance{organization: &org, targets: make(map[uuid.UUID]end, len(roles))}
	for _, id := range roles {
		allowance.targets[uuid.UUID(id)] = nil
	}
	return allowance
}

// AllowFounder returns the allowance to make a person who signs up the administrator of
// the organization that they make: the settings of the business let them.
func AllowFounder(org db.OrganizationID, administrator db.RoleID) Allowance {
	return Allowance{organization: &org, targets: map[uuid.UUID]end{uuid.UUID(administrator): nil}}
}

// AllowSetup returns the allowance to hand out everything. It is for setting up a
// business, when nobody holds anything yet.
func AllowSetup() Allowance { return Allowance{everything: true} }

// Covers reports whether the roles, permissions or API keys of these ids may be handed
// out until endsAt (nil: for good), in the organization or, if org is nil, everywhere.
func (a Allowance) Covers(org *db.OrganizationID, endsAt *time.Time, ids ...uuid.UUID) bool {
	if a.everything {
		return true
	}
	for _, id := range ids {
		until, allowed := a.targets[id]
		if !allowed || isBefore(until, endsAt) {
			return false
		}
	}
	return len(ids) == 0 || a.organization == nil || org != nil && *org == *a.organization
}
