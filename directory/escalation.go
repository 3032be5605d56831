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

// mayHandOut checks that the actor of ctx may hand out the permissions in the
// organization or, when org is nil, for the business as a whole: nobody hands
// out what they do not hold there, except that who holds roster:grants:any may
// hand out every permission that is not a system one. Every way to hand
// something out comes through here. It fails with ESCALATION, which names what
// is missing, and with INVALID where others than system permissions are handed
// out in the root: what people do in a product, they do in an organization.
func (d *Directory) mayHandOut(ctx context.Context, org *db.OrganizationID, permissions []*db.Permission) error {
	actor := access.ActorOf(ctx)
	holds := actor.HoldsEverywhere
	if org != nil {
		holds = func(p access.Permission) bool { return actor.Holds(p, *org) }
	}
	if org != nil && *org == db.Root && slices.ContainsFunc(permissions, func(p *db.Permission) bool { return !p.IsSystem }) {
		return problem.At(problem.Invalid, "input.organization", "Only permissions of Roster itself can be held for the business as a whole.")
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
		return nil
	}
	slices.Sort(missing)
	return problem.New(problem.Escalation, "You cannot hand out what you do not hold: %s.", enumerate(slices.Compact(missing)))
}

// enumerate joins keys for a message, which stays short however many they are.
func enumerate(keys []string) string {
	const most = 10
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}
