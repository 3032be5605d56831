package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"roster/changes"
	"roster/db"
)

// A permission that gets a new key may go on answering by the old one for a
// while. Until then the old key is taken: checks and references find the
// permission by it, and no other permission can have it.

// keysLock is the number of the advisory lock under which keys of permissions are
// written; it only has to differ from other locks' numbers.
const keysLock = 0x726f73746562 // "rosteb"

// lockKeys makes writers of keys take turns until they commit: a key is free only
// if it is neither another permission's nor a former one, and no constraint spans
// both tables.
func (w *write) lockKeys(ctx context.Context) error {
	_, err := w.NewRaw("select pg_advisory_xact_lock(?)", keysLock).Exec(ctx)
	return err
}

// insertPermission writes a new permission, unless there are faults: one of them is
// a key that is taken.
func (w *write) insertPermission(ctx context.Context, permission *db.Permission) error {
	if err := w.lockKeys(ctx); err != nil {
		return err
	}
	if err := w.findTaken(ctx, permission); err != nil {
		return err
	}
	if err := w.faults.Err(); err != nil {
		return err
	}
	_, err := w.NewInsert().Model(permission).Exec(ctx)
	return err
}

// permissionValues are the values of a permission in the log of changes.
type permissionValues struct {
	db.Permission
	FormerKeys []db.FormerKey `json:"formerKeys"`
}

// rename writes a permission that has a new key. The old key answers until that
// moment, or no longer if it is nil; a new key that was one of the permission's former
// keys ceases to be one.
func (d *Directory) rename(ctx context.Context, w *write, permission *db.Permission, before db.Permission, until *time.Time) error {
	if err := w.lockKeys(ctx); err != nil {
		return err
	}
	if err := w.save(ctx, permission); err != nil {
		return err
	}
	had, err := d.formerKeys(ctx, permission)
	if err != nil {
		return err
	}
	has := slices.DeleteFunc(slices.Clone(had), func(k db.FormerKey) bool { return k.Key == permission.Key })
	if len(has) < len(had) {
		if _, err := w.NewDelete().Model((*db.FormerKey)(nil)).Where("key = ?", permission.Key).Exec(ctx); err != nil {
			return err
		}
	}
	if until != nil {
		kept := db.FormerKey{Key: before.Key, PermissionID: permission.ID, Until: *until}
		has = append(has, kept)
		slices.SortFunc(has, func(a, b db.FormerKey) int { return strings.Compare(a.Key, b.Key) })
		// A row that is in the way is one whose time is over.
		if _, err := w.NewInsert().Model(&kept).On("conflict (key) do update set permission_id = excluded.permission_id, until = excluded.until").Exec(ctx); err != nil {
			return err
		}
	}
	return w.Record(changes.PermissionUpdated, permission.ID.String(), nil, permissionValues{before, had}, permissionValues{*permission, has})
}

// formerKeys reads the former keys by which a permission that is locked still
// answers, in order.
func (d *Directory) formerKeys(ctx context.Context, permission *db.Permission) ([]db.FormerKey, error) {
	keys, err := db.Select[db.FormerKey](ctx, d.db,
		"select * from former_keys where permission_id = $1 and until > statement_timestamp() order by key", permission.ID)
	return append([]db.FormerKey{}, keys...), err // not null in the log
}

// FormerKeys returns, in the order asked, the keys by which each permission still
// answers besides its present one. Whoever sees a permission sees these.
func (d *Directory) FormerKeys(ctx context.Context, permissions []db.PermissionID) ([][]*db.FormerKey, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	all := make([][]*db.FormerKey, len(permissions))
	for i, id := range permissions {
		all[i] = catalogue.FormerKeys(id)
	}
	return all, nil
}

// byPresentIDs replaces look-ups by former keys, which may be among them, with
// look-ups by the ids of the permissions that still answer by them.
func byPresentIDs(ctx context.Context, d *Directory, looks []lookUp) ([]lookUp, error) {
	_, keys := splitLooks[db.PermissionID](looks)
	former, err := db.Select[db.FormerKey](ctx, d.db, "select * from former_keys where key = any($1::text[]) and until > statement_timestamp()", keys)
	if err != nil {
		return nil, err
	}
	looks = slices.Clone(looks)
	for i, look := range looks {
		for _, k := range former {
			if look.column == "key" && look.value == k.Key {
				looks[i] = lookUp{column: "id", value: k.PermissionID, ok: true}
			}
		}
	}
	return looks, nil
}
