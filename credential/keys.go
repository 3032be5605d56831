package credential

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/secret"
)

// Key is an API key that works, with its permissions. It is shared, so that nobody may
// modify it.
type Key struct {
	db.APIKey   `bun:",extend"`
	Permissions []access.Permission `bun:",array"`
}

// Keys finds the API keys that work, and remembers them.
type Keys struct {
	*finder[workingKey]
	db     *db.DB
	writer *changes.Writer
	log    *slog.Logger
}

// NewKeys returns the keys of a database, which notes their use by the writer; Close
// ends them.
func NewKeys(database *db.DB, writer *changes.Writer, log *slog.Logger) *Keys {
	k := &Keys{db: database, writer: writer, log: log}
	k.finder = newFinder(k.read)
	return k
}

// Close stops the work in the background. Keys must not be used afterwards.
func (k *Keys) Close() { k.close() }

// Find returns the API key with that secret if it works now. It returns nil if the
// secret is unknown or malformed, the key was revoked or has expired, its organization
// or user is suspended or deleted, its user is suspended there, or one of these holds for a key that answers for it.
//
// Find takes a key from memory if it was found at the same epoch, no longer than
// staleness ago. The caller raises the epoch with each change that may end a key,
// before it acknowledges the change, and reads the epoch before the call.
//
// Otherwise it reads the key. Keys that are not known to work are read together with
// others that come from the holder of ctx (queue.WithHolders), so that those who make
// secrets up keep nobody out.
//
// Find returns context.DeadlineExceeded if the database does not answer within
// WaitTimeout. The context must not carry a transaction.
func (k *Keys) Find(ctx context.Context, key secret.Text, epoch uint64, staleness time.Duration) (*Key, error) {
	if !hasForm(key) {
		return nil, nil
	}
	return k.named(ctx, sum(key), epoch, staleness)
}

// named is Find for the name by which a key is looked up.
func (k *Keys) named(ctx context.Context, of name, epoch uint64, staleness time.Duration) (*Key, error) {
	row, err := k.find(ctx, of, epoch, func(row *workingKey) time.Duration {
		if row.UseIsNews {
			k.noteUse(ctx, &row.APIKey)
		}
		return row.goodFor(staleness)
	})
	if row == nil {
		return nil, err
	}
	return &row.Key, nil
}

// read returns the keys with these hashes that work.
func (k *Keys) read(ctx context.Context, hashes []name) (map[name]*workingKey, error) {
	all := make([][]byte, len(hashes))
	for i := range hashes {
		all[i] = hashes[i][:]
	}
	rows, err := db.Select[workingKey](ctx, k.db, workingKeyText, all)
	byHash := make(map[name]*workingKey, len(rows))
	for i := range rows {
		byHash[name(rows[i].Hash)] = &rows[i]
	}
	return byHash, err
}

// SelectWorking returns the API key with that id if it works now; nil if not.
func SelectWorking(ctx context.Context, d *db.DB, id db.APIKeyID) (*Key, error) {
	row, err := db.SelectOne[workingKey](ctx, d, workingKeyByIDText, id)
	if row == nil {
		return nil, err
	}
	return &row.Key, nil
}

// QueueWorking adds to the batch the statement that reads the API key with that id if it
// works now. The function that it returns may be called when the batch has run; it returns
// nil if the key does not work.
func QueueWorking(b *db.Batch, id db.APIKeyID) func() *Key {
	rows := db.Queue[workingKey](b, workingKeyByIDText, id)
	return func() *Key {
		if row := rows.One(); row != nil {
			return &row.Key
		}
		return nil
	}
}

// workingKey is a key as it was read.
type workingKey struct {
	Key `bun:",extend"`
	// EndsIn is the number of seconds until the key, or one that answers for it, expires,
	// by the clock of the database, which all servers share; nil if none of them does.
	EndsIn *float64
	// UseIsNews is set if the last use on record is old enough for a new one.
	UseIsNews bool
}

// Working returns the part after "from" of a statement over the API keys k that work now.
// No other SQL decides which keys work. The arguments are the tables of the keys, of
// their organizations and users, and of the members who are suspended (org_id, user_id).
// A key that works everywhere stands for a member of the business.
//
// A key works as long as the key or the person that answers for it does, and that key as
// long as its own one. line.ends_at is when the first of them expires.
func Working(keys, organizations, users, suspendedMembers string) string {
	a := `a.id, a.responsible_id, a.expires_at,
			a.revoked_at is null and (a.expires_at is null or a.expires_at > statement_timestamp())
				and (a.org_id is null or o.status = 'ACTIVE' and o.deleted_at is null)
				and (a.user_id is null or u.status = 'ACTIVE' and u.deleted_at is null and not exists (
					select from ` + suspendedMembers + ` s where s.org_id = coalesce(a.org_id, ` + db.RootSQL + `) and s.user_id = a.user_id))
				and (a.responsible_user_id is null or r.status = 'ACTIVE' and r.deleted_at is null) as works
		from `
	joined := ` left join ` + organizations + ` o on o.id = a.org_id left join ` + users + ` u on u.id = a.user_id left join ` + users + ` r on r.id = a.responsible_user_id`
	return keys + ` k cross join lateral (
	with recursive line as (
		select ` + a + keys + ` a` + joined + ` where a.id = k.id
		union select ` + a + `line join ` + keys + ` a on a.id = line.responsible_id and line.works` + joined + `)
	select bool_and(works) as works, min(expires_at) as ends_at from line) line
where line.works`
}

// SuspendedMembers is the table of the members who are suspended.
const SuspendedMembers = "(select org_id, user_id from memberships where status = 'SUSPENDED')"

const workingKeyColumns = `
select k.*,
	array(select p.key from api_key_permissions kp join permissions p on p.id = kp.permission_id
		where kp.api_key_id = k.id and p.deleted_at is null order by p.key) as permissions,
	extract(epoch from line.ends_at - statement_timestamp())::float8 as ends_in,
	coalesce(k.last_used_at < statement_timestamp() - interval '1 minute', true) as use_is_news
from `

var (
	workingKeyText     = workingKeyColumns + Working("api_keys", "organizations", "users", SuspendedMembers) + " and k.hash = any($1)"
	workingKeyByIDText = workingKeyColumns + Working("api_keys", "organizations", "users", SuspendedMembers) + " and k.id = $1"
)

// goodFor returns how long the row may be used, counted from before it was read: until
// the key ends, and staleness at most.
func (k *workingKey) goodFor(staleness time.Duration) time.Duration {
	if k.EndsIn == nil || *k.EndsIn >= staleness.Seconds() {
		return staleness
	}
	return time.Duration(*k.EndsIn * float64(time.Second))
}

// noteUse stores that the key was used. It leaves no record in the log, because nothing
// follows from the use of a key. It skips a row that something else is writing to: no
// request waits for it, and none fails because of it.
func (k *Keys) noteUse(ctx context.Context, key *db.APIKey) {
	free := k.db.NewSelect().Table("api_keys").Column("id").Where("id = ?", key.ID).For("no key update skip locked")
	var at *time.Time // a new one: the row's own is shared
	_, err := k.writer.Unrecorded(ctx).NewUpdate().Model((*db.APIKey)(nil)).Set("last_used_at = statement_timestamp()").
		Where("id in (?)", free).Returning("last_used_at").Exec(ctx, &at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		k.log.WarnContext(ctx, "the use of an API key is not on record", slog.Any("cause", err))
	}
	if at != nil {
		key.LastUsedAt = at
	}
}
