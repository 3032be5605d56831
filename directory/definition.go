package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// Roles and permissions are definitions: the same for the whole business, few,
// found by id or key, and read from memory. This file has what they share.

// definitions gives the roles and permissions to an actor who may read them.
// They are the same for the whole business, so that holding the permission in
// one organization is enough.
func (d *Directory) definitions(ctx context.Context) (*access.Catalogue, error) {
	if _, err := access.Reach(ctx, access.RolesRead); err != nil {
		return nil, err
	}
	return d.engine.Catalogue(ctx)
}

// matching keeps those which have the searched text in their key or name.
func matching[T any](all []*T, search *string, texts func(*T) (key, name string)) ([]*T, error) {
	if search == nil {
		return all, nil
	}
	term, err := searchTerm("search", *search)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(one *T) bool {
		key, name := texts(one)
		return !strings.Contains(key, term) && !strings.Contains(db.Fold(name), term)
	}), nil
}

// byIDOrKey is the look-up of what has an id and a key; a key that breaks the
// rule for keys cannot exist.
func byIDOrKey[K db.Kind](id, key *string) lookUp {
	switch {
	case id != nil:
		return byID[K](*id)
	case key != nil:
		look := byKey("key", *key)
		look.ok = keyPattern.MatchString(look.value.(string))
		return look
	}
	return lookUp{}
}

// named gives the ids and the keys that are looked up.
func named[ID any](looks []lookUp) (ids []ID, keys []string) {
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

// found puts rows in the order in which they were looked up; where there is none,
// nil stands, and that is a fault.
func found[T any](w *write, rows []T, looks []lookUp, names func(*T) (id any, key string), field, message string) []*T {
	by := make(map[lookUp]*T, 2*len(rows))
	for i := range rows {
		id, key := names(&rows[i])
		by[lookUp{"id", id, true}] = &rows[i]
		by[lookUp{"key", key, true}] = &rows[i]
	}
	all := make([]*T, len(looks))
	for i, look := range looks {
		if all[i] = by[look]; all[i] == nil {
			w.faults.Add(problem.NotFound, element(field, i, len(looks)), "%s", message)
		}
	}
	return all
}

// freeKey checks a key that a role or permission is to have: those which begin
// with the prefix are for Roster itself.
func (f *faults) freeKey(field, key, reserved string) string {
	if strings.HasPrefix(key, reserved) {
		f.Add(problem.Invalid, field, "Keys that begin with %s are reserved.", reserved)
	}
	return f.key(field, key)
}

// newKey gives the key that an update leaves: the old one, if the new one is not
// right.
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

// label checks the name of a role or permission, which is its key when it has
// no other.
func (f *faults) label(field string, name *string, key string) string {
	if clean := f.text(field, name, maxName); clean != nil {
		return *clean
	}
	return key
}

// endGrants ends the live grants of a role or permission that is deleted, in
// all organizations by one statement, and counts them. Those that have ended by
// themselves are not revoked.
func (w *write) endGrants(ctx context.Context, kind grantKind, targetID uuid.UUID) (int, error) {
	var ended int
	err := w.NewRaw("with ended as (update "+kind.table+" g set "+endGrantSQL+" where g."+kind.column+` = ? and g.live returning g.revoked_at)
		select count(revoked_at) from ended`, append(w.endGrantArgs(), targetID)...).Scan(ctx, &ended)
	return ended, err
}
