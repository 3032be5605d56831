package access

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/db"
)

// Authority is what an actor may hand out at one moment, and until when. What an actor
// hands out lasts no longer than what lets the actor do so.
type Authority struct {
	actor *Actor
	// until holds when each permission that the actor holds through a user, in its
	// organization or for the business, ends; business is the same for those of the
	// business alone. Both are nil for an actor that stands for itself, which holds all its
	// permissions for good.
	until, business map[Permission]end
}

// end is the moment at which something ends; nil means that it has no end.
type end = *time.Time

// Handout describes what is to be handed out.
type Handout struct {
	// By is the permission that lets the actor do it, such as roster:members:write.
	By Permission
	// Organization is where; nil is everywhere.
	Organization *db.OrganizationID
	// Credential is true if it is handed out as an API key, which lasts no longer than
	// the one that makes it.
	Credential bool
	Items      []Item
}

// Item is a role, a permission or an API key to be handed out until EndsAt; nil means
// for good.
type Item struct {
	ID uuid.UUID
	// Permissions are the ones that it amounts to.
	Permissions []*db.Permission
	EndsAt      *time.Time
}

// Refusal says why an actor must not hand something out; it is empty if the actor may.
type Refusal struct {
	// Missing are the keys of permissions that the actor must not hand out at all.
	Missing []string
	// Until is by when it has to end what it may hand out: the moment by the name of what
	// ends then, which is a permission or the API key of the request.
	Until map[string]time.Time
}

// credentialName stands for the API key of the request in a Refusal.
const credentialName = "the API key of this request"

// authoritySQL reads the grants to the user $1 in the organizations $2 that have not
// ended, for each of the permissions $3 that it amounts to, or all if that is null, in the
// order in which they begin.
const authoritySQL = `
select p.key as permission, g.org_id, g.starts_at, g.ends_at, g.starts_at <= statement_timestamp() as begun from (
	select g.org_id, rp.permission_id, g.starts_at, g.ends_at from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
		where g.user_id = $1 and g.org_id = any($2) and ` + notEndedSQL + `
	union all select g.org_id, g.permission_id, g.starts_at, g.ends_at from membership_permissions g where g.user_id = $1 and g.org_id = any($2) and ` + notEndedSQL + `) g
join permissions p on p.id = g.permission_id and p.deleted_at is null and ($3::text[] is null or p.key = any($3))
order by g.starts_at`

type authorityRow struct {
	Permission Permission
	OrgID      db.OrganizationID
	StartsAt   time.Time
	EndsAt     *time.Time
	Begun      bool
}

// Authority reads the authority of the actor, in the transaction of ctx if there is one.
func (e *Engine) Authority(ctx context.Context, actor *Actor) (*Authority, error) {
	if actor.User == nil {
		return &Authority{actor: actor}, nil
	}
	rows, err := db.Select[authorityRow](ctx, e.db, authoritySQL, authorityArgs(actor)...)
	if err != nil {
		return nil, err
	}
	return newAuthority(actor, rows), nil
}

// QueueAuthority is Engine.Authority as a part of a batch. The function that it returns
// may be called when the batch has run.
func QueueAuthority(b *db.Batch, actor *Actor) func() *Authority {
	if actor.User == nil {
		return func() *Authority { return &Authority{actor: actor} }
	}
	rows := db.Queue[authorityRow](b, authoritySQL, authorityArgs(actor)...)
	return func() *Authority { return newAuthority(actor, rows.All) }
}

func authorityArgs(actor *Actor) []any {
	among := actor.Permissions
	if actor.Session != nil {
		among = nil // whatever the person holds
	}
	return []any{*actor.User, actor.Organizations(), among}
}

func newAuthority(actor *Actor, grants []authorityRow) *Authority {
	a := &Authority{actor, map[Permission]end{}, map[Permission]end{}}
	for i := range grants {
		grants[i].extend(a.until)
		if grants[i].OrgID == db.Root {
			grants[i].extend(a.business)
		}
	}
	return a
}

// extend adds the grant, which begins no earlier than the ones before it, to all. Grants
// that follow one another without a gap count as one.
func (r *authorityRow) extend(all map[Permission]end) {
	until, held := all[r.Permission]
	switch {
	case !held && r.Begun, held && until != nil && !r.StartsAt.After(*until) && isBefore(until, r.EndsAt):
		all[r.Permission] = r.EndsAt
	}
}

// isBefore reports whether a comes before b.
func isBefore(a, b end) bool { return a != nil && (b == nil || a.Before(*b)) }

// Held returns the permissions among these that the actor holds, through its user if it
// stands for one.
func (a *Authority) Held(permissions []Permission) []Permission {
	if a.until == nil {
		return permissions
	}
	return heldIn(a.until, permissions)
}

// HeldForBusiness is Held for what the user holds for the business as a whole.
func (a *Authority) HeldForBusiness(permissions []Permission) []Permission {
	return heldIn(a.business, permissions)
}

func heldIn(until map[Permission]end, permissions []Permission) []Permission {
	return slices.DeleteFunc(slices.Clone(permissions), func(p Permission) bool { _, held := until[p]; return !held })
}

// EndsBefore reports whether something that the actor holds by the other authority ends
// earlier by this one, or is not held at all.
func (a *Authority) EndsBefore(other *Authority) bool {
	for p, until := range other.until {
		if now, held := a.until[p]; !held || isBefore(now, until) {
			return true
		}
	}
	return false
}

// holds reports whether the actor holds the permission there, and until when.
func (a *Authority) holds(p Permission, org *db.OrganizationID) (until end, held bool) {
	// Of a person, the actor has only the permissions of Roster itself.
	if a.actor.Session == nil || p.IsSystem() {
		if org != nil && !a.actor.Holds(p, *org) || org == nil && !a.actor.HoldsEverywhere(p) {
			return nil, false
		}
	}
	switch {
	case a.until == nil:
		return nil, true
	case a.actor.Session != nil && (org == nil || a.actor.Organization == nil || *org != *a.actor.Organization):
		until, held = a.business[p]
	default:
		until, held = a.until[p]
	}
	return until, held
}

// mayHandOut reports whether the actor may hand out the permission there, and until
// when: because it holds the permission, or because it holds roster:grants:any, whichever
// ends later.
func (a *Authority) mayHandOut(p *db.Permission, org *db.OrganizationID) (until end, may bool) {
	until, may = a.holds(Permission(p.Key), org)
	if p.IsSystem {
		return until, may
	}
	if anything, held := a.holds(GrantsAny, org); held && (!may || isBefore(until, anything)) {
		return anything, true
	}
	return until, may
}

// Allow returns the actor's allowance for the handout. If the actor must not hand out
// some of it, or not for so long, Allow returns why, and an allowance for nothing.
//
// An actor hands out only permissions that it holds in the organization, and only until
// they end or the permission ends by which it does so. An actor that holds
// roster:grants:any there also hands out every permission that is not one of Roster
// itself, until that ends.
func (a *Authority) Allow(h Handout) (Allowance, Refusal) {
	allowance := Allowance{organization: h.Organization, targets: make(map[uuid.UUID]end, len(h.Items))}
	refused := Refusal{Until: map[string]time.Time{}}
	for _, item := range h.Items {
		allowance.targets[item.ID] = a.limit(&refused, h, item)
	}
	if !refused.Empty() {
		return Allowance{}, refused
	}
	return allowance, refused
}

// limit returns when the right to hand out the item ends. It adds to refused why the
// item must not be handed out.
func (a *Authority) limit(refused *Refusal, h Handout, item Item) (limit end) {
	bound := func(name string, until end, held bool) {
		switch {
		case !held:
			refused.Missing = append(refused.Missing, name)
		case isBefore(until, item.EndsAt):
			refused.Until[name] = *until
		}
		if isBefore(until, limit) {
			limit = until
		}
	}
	by, held := a.holds(h.By, h.Organization)
	bound(string(h.By), by, held)
	if h.Credential && a.actor.Key != nil {
		bound(credentialName, a.actor.Key.ExpiresAt, true)
	}
	for _, p := range item.Permissions {
		until, may := a.mayHandOut(p, h.Organization)
		bound(p.Key, until, may)
	}
	return limit
}

// Empty reports whether nothing was refused.
func (r Refusal) Empty() bool { return len(r.Missing)+len(r.Until) == 0 }
