package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/credential"
	"roster/problem"
	"roster/secret"
)

// Authenticate returns the actor with that API key or session. It returns
// UNAUTHENTICATED, in the same words, for every text that is neither: see
// credential.Keys.Find and credential.Sessions.Find. A person acts in the organization of
// that code or id, or else in the one that their session remembers; Authenticate returns
// FORBIDDEN if they do not belong to it. A key always acts in its own.
//
// A credential that was used just before costs no statement. A change that this server
// makes counts at once, a change of another server within the staleness bound. It
// returns context.DeadlineExceeded if the database has to be asked and does not answer
// in time. The context must not carry a transaction.
func (d *Directory) Authenticate(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error) {
	if credential.IsSession(shown) {
		return d.authenticateSession(ctx, shown, organization)
	}
	key, err := d.keys.Find(ctx, shown, d.engine.KeyEpoch(), d.engine.Staleness())
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errUnknownKey()
	}
	return d.actorOfKey(ctx, key)
}

// actorOfKey returns the actor of an API key that works.
func (d *Directory) actorOfKey(ctx context.Context, key *credential.Key) (*access.Actor, error) {
	actor := &access.Actor{Key: &key.APIKey, User: key.UserID, Permissions: key.Permissions, Organization: key.OrgID}
	if err := d.limitToUser(ctx, actor); err != nil {
		return nil, err
	}
	return actor, nil
}

// errUnknownKey returns the problem of every text that is not a working key.
func errUnknownKey() error {
	return problem.New(problem.Unauthenticated, "This API key is unknown, or no longer valid.")
}

// limitToUser removes from the actor the permissions of the key that its user does
// not hold now: in the key's organization or, for a key that works everywhere, for
// the business as a whole. A key that stands for itself keeps all.
func (d *Directory) limitToUser(ctx context.Context, actor *access.Actor) error {
	if actor.User == nil {
		return nil
	}
	var members []access.MemberKey
	for _, org := range actor.Organizations() {
		members = append(members, access.MemberKey{User: *actor.User, Organization: org})
	}
	ctx, cancel := context.WithTimeout(ctx, credential.WaitTimeout)
	defer cancel()
	catalogue, held, err := d.engine.View(ctx, members)
	if err != nil {
		return err
	}
	actor.Permissions = slices.DeleteFunc(slices.Clone(actor.Permissions), func(p access.Permission) bool {
		return !slices.ContainsFunc(held, func(h *access.Entitlements) bool { return catalogue.Allows(h, string(p)) })
	})
	return nil
}
