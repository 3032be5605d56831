package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// Roles and permissions are definitions: the same for the whole business, few,
// found by id or key, and read from memory. This file has what they share.

// definitions returns the catalogue of roles and permissions to an actor who may read
// them. It is the same for the whole business, so that holding the permission in
// one organization is enough.
func (d *Directory) definitions(ctx context.Context) (*access.Catalogue, error) {
	if _, err := access.ScopeOf(ctx, access.RolesRead); err != nil {
		return nil, err
	}
	return d.engine.Catalogue(ctx)
}

// definition is how definitions of one kind are found: roles or permissions.
type definition[T any, K db.Kind] struct {
	// name is the name of their list, and one the word for one of them in messages.
	name, one string
	all       func(*access.Catalogue) []*T
	byID      func(*access.Catalogue, db.ID[K]) *T
	byKey     func(*access.Catalogue, string) *T
	// facts returns what finds a definition, and whether it is deleted.
	facts func(*T) definitionFacts[K]
	// formerly replaces look-ups by former keys; nil if there are no such keys.
	formerly func(ctx context.Context, d *Directory, looks []lookUp) ([]lookUp, error)
	// ahead returns the ones that the write has read ahead.
	ahead func(w *write) *readAhead[T]
}

type definitionFacts[K db.Kind] struct {
	id        db.ID[K]
	key, name string
	isSystem  bool
	deleted   bool
}

var (
	roleDefinitions = definition[db.Role, db.RoleKind]{
		name: "roles", one: "role", byID: (*access.Catalogue).Role, byKey: (*access.Catalogue).RoleByKey,
		all:   func(c *access.Catalogue) []*db.Role { return c.Roles },
		ahead: func(w *write) *readAhead[db.Role] { return &w.roles },
		facts: func(r *db.Role) definitionFacts[db.RoleKind] {
			return definitionFacts[db.RoleKind]{id: r.ID, key: r.Key, name: r.Name, isSystem: r.IsSystem, deleted: r.DeletedAt != nil}
		},
	}
	permissionDefinitions = definition[db.Permission, db.PermissionKind]{
		name: "permissions", one: "permission", byID: (*access.Catalogue).Permission, byKey: (*access.Catalogue).PermissionByKey,
		formerly: byPresentIDs,
		all:      func(c *access.Catalogue) []*db.Permission { return c.Permissions },
		ahead:    func(w *write) *readAhead[db.Permission] { return &w.permissions },
		facts: func(p *db.Permission) definitionFacts[db.PermissionKind] {
			return definitionFacts[db.PermissionKind]{id: p.ID, key: p.Key, name: p.Name, isSystem: p.IsSystem, deleted: p.DeletedAt != nil}
		},
	}
)

// page returns one page of the definitions, ordered by key; search keeps the ones
// which have each of its words in their key or name.
func (k definition[T, K]) page(ctx context.Context, d *Directory, page list.Page, search *string) (*list.Connection[T], error) {
	catalogue, err := d.definitions(ctx)
	if err != nil {
		return nil, err
	}
	all := k.all(catalogue)
	if search != nil {
		words, err := list.SearchWords("search", *search)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(slices.Clone(all), func(one *T) bool {
			facts := k.facts(one)
			text := facts.key + "\n" + db.Fold(facts.name)
			return slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
		})
	}
	return list.Slice(ctx, k.name, page, all, func(one *T) list.Cursor {
		facts := k.facts(one)
		return list.Cursor{Value: facts.key, ID: uuid.UUID(facts.id)}
	})
}

// find returns the definition that is looked up; nil if it does not exist.
func (k definition[T, K]) find(ctx context.Context, d *Directory, look lookUp) (*T, error) {
	catalogue, err := d.definitions(ctx)
	if err != nil || !look.ok {
		return nil, err
	}
	id, isID := look.value.(db.ID[K])
	if !isID {
		return k.byKey(catalogue, look.value.(string)), nil
	}
	one := k.byID(catalogue, id)
	if one == nil || k.facts(one).deleted {
		return nil, nil
	}
	return one, nil
}

// withIDs returns definitions in the order of the ids; nil for an id that never
// existed. Tombstones are included.
func (k definition[T, K]) withIDs(ctx context.Context, d *Directory, ids []db.ID[K]) ([]*T, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*T, len(ids))
	for i, id := range ids {
		all[i] = k.byID(catalogue, id)
	}
	return all, nil
}

// lock reads definitions and locks their rows, in the order in which they are looked
// up. A definition that does not exist is nil, and a fault.
func (k definition[T, K]) lock(ctx context.Context, d *Directory, w *write, looks []lookUp, field, lock string) ([]*T, error) {
	rows, known := k.ahead(w).take(looks, lock)
	if !known {
		var err error
		if rows, err = k.lockRows(ctx, d, looks, lock); err != nil {
			return nil, err
		}
	}
	all := k.match(looks, rows)
	if k.formerly != nil && slices.Contains(all, nil) {
		// This also finds a definition that was renamed while its row was waited for.
		looks, err := k.formerly(ctx, d, looks)
		if err != nil {
			return nil, err
		}
		if rows, err = k.lockRows(ctx, d, looks, lock); err != nil {
			return nil, err
		}
		all = k.match(looks, rows)
	}
	for i, one := range all {
		if one == nil {
			w.faults.Add(problem.NotFound, element(field, i, len(looks)), "There is no such %s.", k.one)
		}
	}
	return all, nil
}

// change calls edit to change a definition that is not a system one. If there is no such
// definition, edit gets an empty row, so that the rest of the input is checked as well.
func (k definition[T, K]) change(ctx context.Context, d *Directory, look lookUp, edit func(ctx context.Context, w *write, one *T) error) (*T, error) {
	var one *T
	field := "input." + k.one
	err := d.change(ctx, access.RolesWrite, func(ctx context.Context, w *write) error {
		all, err := k.lock(ctx, d, w, []lookUp{look}, field, "for no key update")
		if err != nil {
			return err
		}
		if one = all[0]; one == nil {
			one = new(T)
		}
		if k.facts(one).isSystem {
			w.faults.Add(problem.Forbidden, field, "System %s can be neither changed nor deleted.", k.name)
		}
		return edit(ctx, w, one)
	})
	return one, err
}

// lockRows reads and locks the definitions that have one of the ids or present keys.
func (k definition[T, K]) lockRows(ctx context.Context, d *Directory, looks []lookUp, lock string) ([]T, error) {
	text, args := k.lockText(looks, lock)
	return db.Select[T](ctx, d.db, text, args...)
}

// lockText returns the statement of lockRows.
func (k definition[T, K]) lockText(looks []lookUp, lock string) (text string, args []any) {
	ids, keys := splitLooks[db.ID[K]](looks)
	// In order of id, so that two transactions never wait for one another.
	return "select * from " + k.name + " where " + namedDefinitions + " order by id " + lock, []any{ids, keys}
}

// namedDefinitions is a condition on definitions: they have one of the ids $1 or keys $2.
const namedDefinitions = "deleted_at is null and (id = any($1::uuid[]) or key = any($2::text[]))"

// match returns the definition of each look-up; nil for one that is not among the rows.
func (k definition[T, K]) match(looks []lookUp, rows []T) []*T {
	by := make(map[lookUp]*T, 2*len(rows))
	for i := range rows {
		facts := k.facts(&rows[i])
		by[lookUp{column: "id", value: facts.id, ok: true}] = &rows[i]
		by[lookUp{column: "key", value: facts.key, ok: true}] = &rows[i]
	}
	all := make([]*T, len(looks))
	for i, look := range looks {
		all[i] = by[look]
	}
	return all
}

// byIDOrKey returns the look-up of a definition, which has an id and a key. A key
// that breaks the rule for keys cannot exist.
func byIDOrKey[K db.Kind](id, key *string) lookUp {
	switch {
	case id != nil:
		return byID[K](*id)
	case key != nil:
		look := byKey("key", *key, maxKey, db.Fold)
		look.ok = look.ok && isKey(look.value.(string))
		return look
	}
	return lookUp{}
}

// splitLooks returns the ids and the keys that are looked up.
func splitLooks[ID any](looks []lookUp) (ids []ID, keys []string) {
	ids, keys = []ID{}, []string{}
	for _, look := range looks {
		if !look.ok {
			continue
		}
		switch value := look.value.(type) {
		case ID:
			ids = append(ids, value)
		case string:
			keys = append(keys, value)
		}
	}
	return ids, keys
}

// freeKey checks the key of a role or permission: keys with the reserved prefix are
// for Roster itself.
func (f *faults) freeKey(field, key, reserved string) string {
	if strings.HasPrefix(key, reserved) {
		f.Add(problem.Invalid, field, "Keys that begin with %s are reserved.", reserved)
	}
	return f.key(field, key)
}

// newKey returns the key after an update: the old one, if the new one has a fault.
func (f *faults) newKey(field string, to graphql.Omittable[*string], now, reserved string) string {
	if !to.IsSet() {
		return now
	}
	if to.Value() == nil {
		f.Add(problem.Invalid, field, "Must not be null.")
		return now
	}
	if f.freeKey(field, *to.Value(), reserved); f.about(field) {
		return now
	}
	return *to.Value()
}

// label checks the name of a role or permission; without a name it returns the key.
func (f *faults) label(field string, name *string, key string) string {
	if clean := f.text(field, name, maxName); clean != nil {
		return *clean
	}
	return key
}

// endGrants ends the live grants of a role or permission that is deleted, in all
// organizations by one statement, and returns their number. Grants whose term is over
// are not marked as revoked.
func (w *write) endGrants(ctx context.Context, kind grantKind, targetID uuid.UUID) (int, error) {
	var ended int
	err := w.NewRaw("with ended as (update "+kind.table+" g set "+endGrantSQL+" where g."+kind.column+` = ? and g.live returning g.revoked_at)
		select count(revoked_at) from ended`, append(w.endGrantArgs(), targetID)...).Scan(ctx, &ended)
	return ended, err
}
