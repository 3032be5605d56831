package directory

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/problem"
)

// IdentityName is how an issuer of OpenID Connect names somebody.
type IdentityName struct{ Issuer, Subject string }

// knownIdentity is whose an identity was at the epoch. It counts while that is the current
// one, and before until.
type knownIdentity struct {
	user  db.UserID
	epoch uint64
	until time.Time
}

// maxIdentities is how many identities are remembered, of some 300 bytes each.
const maxIdentities = 10_000

func newIdentities() *lru.Cache[IdentityName, knownIdentity] {
	cache, err := lru.New[IdentityName, knownIdentity](maxIdentities)
	if err != nil {
		panic(err) // only for no size
	}
	return cache
}

// AuthenticateIdentity returns the actor whom somebody else's access token names. It is a
// person who has no session here, and acts in the organization of that code or id or, if
// the request names none, in the only one that they may act in. Otherwise it is
// Authenticate.
func (d *Directory) AuthenticateIdentity(ctx context.Context, of IdentityName, organization string) (*access.Actor, error) {
	user, err := d.ownerOf(ctx, of)
	if err != nil {
		return nil, err
	}
	if user.IsZero() {
		return nil, problem.New(problem.Unauthenticated, "Nobody here is whom this access token names, or they are suspended.")
	}
	session := &db.Session{UserID: user}
	if organization == "" {
		all, err := d.ActsIn(ctx, user)
		if err != nil {
			return nil, err
		}
		if len(all) == 1 {
			session.OrgID = &all[0]
		}
	}
	return d.actorOf(ctx, session, organization)
}

// ownerOf returns whose the identity is; zero if it is nobody's, or of somebody who is
// suspended. Memory is trusted as for API keys.
func (d *Directory) ownerOf(ctx context.Context, of IdentityName) (db.UserID, error) {
	epoch, now := d.engine.KeyEpoch(), time.Now() // before the database is read
	if known, ok := d.identities.Get(of); ok && known.epoch == epoch && now.Before(known.until) {
		return known.user, nil
	}
	ctx, cancel := context.WithTimeout(ctx, credential.WaitTimeout)
	defer cancel()
	user, err := db.SelectOne[db.UserID](ctx, d.db, `select u.id from identities i join users u on u.id = i.user_id and u.status = 'ACTIVE' and u.deleted_at is null
		where i.provider = $1 and i.subject = $2`, of.Issuer, of.Subject)
	if err != nil || user == nil {
		return db.UserID{}, err
	}
	d.identities.Add(of, knownIdentity{*user, epoch, now.Add(d.engine.Staleness())})
	return *user, nil
}
