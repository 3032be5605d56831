package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"roster/access"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// Authenticate gives the actor whose API key the credential is. It fails with
// UNAUTHENTICATED, in the same words, for whatever is no key that works now: it
// is unknown, malformed, revoked, expired, or its organization or user is
// suspended or deleted.
//
// A key that was used just before costs no statement. What this server changes
// counts at once, what other servers change within the staleness bound. It fails with
// context.DeadlineExceeded when the database, if it has to be asked, does not
// answer in time. The context must not carry a transaction.
func (d *Directory) Authenticate(ctx context.Context, credential secret.Text) (*access.Actor, error) {
	text := credential.Reveal()
	if !strings.HasPrefix(text, secretPrefix) || len(text) > maxSecret {
		return nil, unauthenticated()
	}
	sum := sha256.Sum256([]byte(text))
	// Both are read before the database is: what is read then is no older.
	epoch, now := d.engine.KeyEpoch(), time.Now()
	if known := d.keys.get(sum, epoch, now); known != nil {
		return d.forUser(ctx, known)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	row, err := db.SelectOne[workingKey](ctx, d.db, workingKeyText, sum[:])
	if err != nil {
		return nil, err
	}
	if row == nil {
		d.keys.forget(sum)
		return nil, unauthenticated()
	}
	key := &row.APIKey
	if row.UseIsNews {
		d.noteUse(ctx, key)
	}
	actor := &access.Actor{Key: key, User: key.UserID, Permissions: row.Permissions, Organization: key.OrgID}
	d.keys.put(knownKey{sum, actor, epoch, now.Add(row.goodFor(d.engine.Staleness()))})
	return d.forUser(ctx, actor)
}

// Recognises tells whether this server has seen the key work, not too long ago,
// and not seen it fail since. It costs no statement.
func (d *Directory) Recognises(credential secret.Text) bool {
	sum := sha256.Sum256([]byte(credential.Reveal()))
	known, ok := d.keys.entries.Get(place(sum))
	return ok && known.hash == sum
}

// forUser leaves the actor those of the key's permissions that its user holds
// now: in the key's organization or, for a key that works everywhere, for the
// business as a whole. A key that stands for itself keeps all.
func (d *Directory) forUser(ctx context.Context, key *access.Actor) (*access.Actor, error) {
	if key.User == nil {
		return key, nil
	}
	places := []access.Place{{User: *key.User, Organization: db.Root}}
	if key.Organization != nil {
		places = append(places, access.Place{User: *key.User, Organization: *key.Organization})
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	catalogue, held, err := d.engine.View(ctx, places)
	if err != nil {
		return nil, err
	}
	actor := *key
	actor.Permissions = slices.DeleteFunc(slices.Clone(key.Permissions), func(p access.Permission) bool {
		return !slices.ContainsFunc(held, func(h *access.Held) bool { return catalogue.Allows(h, string(p)) })
	})
	return &actor, nil
}

func unauthenticated() error {
	return problem.New(problem.Unauthenticated, "This API key is unknown, or no longer valid.")
}

// workingKey is an API key that works now, and what it may do.
type workingKey struct {
	db.APIKey   `bun:",extend"`
	Permissions []access.Permission `bun:",array"`
	// ExpiresIn is in how many seconds it expires, by the clock of the database,
	// which is the one that all servers share.
	ExpiresIn *float64
	// UseIsNews tells that the last use on record is old enough for a new one.
	UseIsNews bool
}

const workingKeyText = `
select k.*,
	array(select p.key from api_key_permissions kp join permissions p on p.id = kp.permission_id
		where kp.api_key_id = k.id and p.deleted_at is null order by p.key) as permissions,
	extract(epoch from k.expires_at - statement_timestamp())::float8 as expires_in,
	coalesce(k.last_used_at < statement_timestamp() - interval '1 minute', true) as use_is_news
from api_keys k left join organizations o on o.id = k.org_id left join users u on u.id = k.user_id
where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > statement_timestamp())
	and (k.org_id is null or o.status = 'ACTIVE' and o.deleted_at is null)
	and (k.user_id is null or u.status = 'ACTIVE' and u.deleted_at is null)`

// patience is how long a request waits for the database to say whose its key is.
const patience = 2 * time.Second

// goodFor is how long the row may be used, from before it was read: no longer
// than a server may go on with what another one changes.
func (k *workingKey) goodFor(staleness time.Duration) time.Duration {
	if k.ExpiresIn == nil || *k.ExpiresIn >= staleness.Seconds() {
		return staleness
	}
	return time.Duration(*k.ExpiresIn * float64(time.Second))
}

// noteUse puts on record that the key was used. That is no change of the
// directory: nothing follows from it, so it is not in the log. A row that
// someone else is writing to is passed over: no request waits for this, and none
// fails by it.
func (d *Directory) noteUse(ctx context.Context, key *db.APIKey) {
	free := d.db.NewSelect().Table("api_keys").Column("id").Where("id = ?", key.ID).For("no key update skip locked")
	_, err := d.Writer.Unrecorded(ctx).NewUpdate().Model((*db.APIKey)(nil)).Set("last_used_at = statement_timestamp()").
		Where("id in (?)", free).Returning("last_used_at").Exec(ctx, &key.LastUsedAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		d.log.WarnContext(ctx, "the use of an API key is not on record", slog.Any("cause", err))
	}
}

// keyCache remembers keys that worked, by the hash of their secrets. Its entries
// are disposable copies: whether one still counts, the entry says itself.
type keyCache struct {
	entries *ristretto.Cache[uint64, *knownKey]
}

// knownKey is a key that worked when the engine's KeyEpoch was epoch. It counts
// while that is still so, and before until.
type knownKey struct {
	hash  [sha256.Size]byte
	actor *access.Actor
	epoch uint64
	until time.Time
}

// maxKnownKeys is how many keys are remembered; of each, some 2 kB.
const maxKnownKeys = 10_000

func newKeyCache() keyCache {
	entries, err := ristretto.NewCache(&ristretto.Config[uint64, *knownKey]{
		NumCounters: 10 * maxKnownKeys, MaxCost: maxKnownKeys, BufferItems: 64, // as its documentation recommends
		IgnoreInternalCost: true, // each entry costs 1
	})
	if err != nil {
		panic(err) // the numbers above are wrong
	}
	return keyCache{entries}
}

// place is where a hash is kept. Two may share it, so that entries say whose
// they are.
func place(hash [sha256.Size]byte) uint64 { return binary.BigEndian.Uint64(hash[:]) }

// get gives the actor of a key that is known to work at the epoch and moment;
// nil when it has to be looked up.
func (c keyCache) get(hash [sha256.Size]byte, epoch uint64, now time.Time) *access.Actor {
	known, ok := c.entries.Get(place(hash))
	if !ok || known.hash != hash || known.epoch != epoch || !now.Before(known.until) {
		return nil
	}
	return known.actor
}

func (c keyCache) forget(hash [sha256.Size]byte) { c.entries.Del(place(hash)) }

func (c keyCache) put(known knownKey) { c.entries.Set(place(known.hash), &known, 1) }

// close stops the cache's goroutine. No request may run any more.
func (c keyCache) close() { c.entries.Close() }
