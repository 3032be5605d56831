package db

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/uptrace/bun"
)

// lineage sets, for each API key, the key that answers for it since migration 7
// (decisions/0010): the one that made it, as long as that works. The business answers
// for the keys that the server or the administrator's key has made, and for keys whose
// makers are gone, which the log names. It also names the keys that now end with their
// makers.
type lineage struct {
	db  *DB
	tx  *sql.Tx
	log *slog.Logger
}

// lineageKey has the columns of an API key that the migration needs. It names columns,
// since later migrations add some.
type lineageKey struct {
	ID        APIKeyID
	Prefix    string
	CreatedBy string
	ExpiresAt *time.Time
	Gone      bool
}

func (l lineage) run(ctx context.Context) error {
	for _, text := range []string{
		"lock table api_keys in share row exclusive mode",
		"alter table api_keys add column responsible_id uuid references api_keys",
		"create index api_keys_responsible on api_keys (responsible_id) where responsible_id is not null",
	} {
		if _, err := l.tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return l.assign(ctx)
}

// query is a statement of the migration's transaction.
func (l lineage) query(text string, args ...any) *bun.RawQuery {
	return l.db.NewRaw(text, args...).Conn(l.tx)
}

// assign sets the responsible key of each key that works or may work again.
func (l lineage) assign(ctx context.Context) error {
	var keys []lineageKey
	err := l.query(`select id, prefix, created_by, expires_at, revoked_at is not null or coalesce(expires_at <= clock_timestamp(), false) as gone
		from api_keys order by id`).Scan(ctx, &keys)
	if err != nil {
		return err
	}
	byID := make(map[APIKeyID]*lineageKey, len(keys))
	for i := range keys {
		byID[keys[i].ID] = &keys[i]
	}
	for _, key := range keys {
		id, malformed := ParseID[APIKeyKind](key.CreatedBy)
		maker := byID[id]
		switch {
		case key.Gone || malformed != nil || maker != nil && maker.ofBusiness():
			continue
		case maker == nil || maker.Gone:
			l.log.WarnContext(ctx, "the maker of an API key is gone: the business answers for the key; revoke it, or let somebody adopt it", "key", key.ID.String(), "prefix", key.Prefix)
			continue
		case maker.ExpiresAt != nil && (key.ExpiresAt == nil || key.ExpiresAt.After(*maker.ExpiresAt)):
			l.log.WarnContext(ctx, "an API key ends when the key expires that made it: let somebody else adopt it", "key", key.ID.String(), "prefix", key.Prefix, "until", *maker.ExpiresAt)
		}
		if _, err := l.query("update api_keys set responsible_id = ? where id = ?", id, key.ID).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ofBusiness reports whether the server made the key when the business was set up.
func (k *lineageKey) ofBusiness() bool {
	_, malformed := ParseID[APIKeyKind](k.CreatedBy)
	return malformed != nil
}
