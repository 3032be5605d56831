package directory

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// UserRef names a user by exactly one of its fields.
type UserRef struct {
	ID         *string
	Email      *string
	Username   *string
	ExternalID *string
}

// OrganizationRef names an organization by exactly one of its fields.
type OrganizationRef struct {
	ID         *string
	Code       *string
	ExternalID *string
}

// RoleRef names a role by exactly one of its fields.
type RoleRef struct {
	ID  *string
	Key *string
}

// PermissionRef names a permission by exactly one of its fields.
type PermissionRef struct {
	ID  *string
	Key *string
}

// lookUp is what a reference looks up: the column and the value in it. ok is
// false for an id that cannot exist.
type lookUp struct {
	column string
	value  any
	ok     bool
}

// lookUpRow returns the row that is looked up, with the columns of fields; nil if
// the conditions leave no such row visible.
func lookUpRow[T any](ctx context.Context, d *Directory, table, alias string, visible []list.Clause, look lookUp, fields list.Fields) (*T, error) {
	if !look.ok {
		return nil, nil
	}
	return list.SelectOne[T](ctx, d.db, list.NewStatement(table).Add("select "+list.Columns[T](d.db, alias, fields)+" from "+table+" "+alias).
		Where(append(visible, list.Where(alias+"."+look.column+" = ?", look.value))...))
}

func byID[K db.Kind](text string) lookUp {
	id, err := db.ParseID[K](text)
	return lookUp{column: "id", value: id, ok: err == nil}
}

// byKey looks a text up by its form of comparison. Nothing has an empty one, one
// that the database cannot hold, or one of a text that is longer than it may be.
func byKey(column, value string, longest int, fold func(string) string) lookUp {
	if tooLarge(value, longest) {
		return lookUp{column: column}
	}
	key := fold(value)
	return lookUp{column: column, value: key, ok: key != "" && db.Storable(key)}
}

func (r UserRef) lookUp() lookUp {
	switch {
	case r.ID != nil:
		return byID[db.UserKind](*r.ID)
	case r.Email != nil:
		return byKey("email_key", *r.Email, maxEmail, db.EmailKey)
	case r.Username != nil:
		return byKey("username_key", *r.Username, maxUsername, db.Fold)
	case r.ExternalID != nil:
		return byKey("external_id_key", *r.ExternalID, maxExternalID, db.Fold)
	}
	return lookUp{}
}

func (r OrganizationRef) lookUp() lookUp {
	switch {
	case r.ID != nil:
		return byID[db.OrganizationKind](*r.ID)
	case r.Code != nil:
		return byKey("code", *r.Code, maxCode, db.Fold)
	case r.ExternalID != nil:
		return byKey("external_id_key", *r.ExternalID, maxExternalID, db.Fold)
	}
	return lookUp{}
}

// organizationLook looks an organization up, within reach (nil: all).
type organizationLook struct {
	look  lookUp
	reach *db.OrganizationID
}

// args returns the arguments of SQL that looks the organization up by an id, a code or an
// external id within reach.
func (l *organizationLook) args() []any {
	args := make([]any, 4)
	args[3] = l.reach
	if i := slices.Index([]string{"id", "code", "external_id_key"}, l.look.column); i >= 0 && l.look.ok {
		args[i] = l.look.value
	}
	return args
}

// findUsers returns the users whom the references name, in their order; nil if there
// is no such user or, unless within is nil, if they are not a member of that
// organization. With lock it also keeps others from writing to them; they may have left
// the organization while it waited for the lock, so callers then look again
// (lockMembers).
func (d *Directory) findUsers(ctx context.Context, refs []*UserRef, within *db.OrganizationID, lock string) ([]*db.User, error) {
	text, args := usersText(refs, nil, lock)
	if within != nil {
		text, args = usersText(refs, &organizationLook{look: lookUp{column: "id", value: *within, ok: true}}, lock)
	}
	rows, err := db.Select[db.User](ctx, d.db, text, args...)
	if err != nil {
		return nil, err
	}
	return matchUsers(refs, rows), nil
}

// usersText returns the statement of findUsers.
func usersText(refs []*UserRef, within *organizationLook, lock string) (text string, args []any) {
	text, args = namedUsers(refs)
	if within != nil {
		text += ` and exists (select from memberships m where m.org_id = ` + organizationSQL(len(args)) + ` and m.user_id = users.id)`
		args = append(args, within.args()...)
	}
	// In order of id, so that two transactions never wait for one another.
	return "select * from users where " + text + " order by id " + lock, args
}

// namedUsers returns a condition on users: the references name them.
func namedUsers(refs []*UserRef) (text string, args []any) {
	values := map[string][]any{}
	for _, ref := range refs {
		if look := ref.lookUp(); look.ok {
			values[look.column] = append(values[look.column], look.value)
		}
	}
	return `deleted_at is null and (id = any($1::uuid[]) or email_key = any($2::text[]) or username_key = any($3::text[]) or external_id_key = any($4::text[]))`,
		[]any{typed[db.UserID](values["id"]), typed[string](values["email_key"]), typed[string](values["username_key"]), typed[string](values["external_id_key"])}
}

// organizationSQL returns SQL for the id of an organizationLook, whose args come after
// that many other ones.
func organizationSQL(others int) string {
	n := func(i int) string { return "$" + strconv.Itoa(others+i) }
	return "(select o.id from organizations o where o.deleted_at is null and (o.id = " + n(1) + "::uuid or o.code = " + n(2) + "::text or o.external_id_key = " + n(3) +
		"::text) and (" + n(4) + "::uuid is null or o.id = " + n(4) + "))"
}

// matchUsers returns the user whom each reference names; nil for one that is not among
// the rows.
func matchUsers(refs []*UserRef, rows []db.User) []*db.User {
	named := make(map[lookUp]*db.User, 4*len(rows))
	for i := range rows {
		u := &rows[i]
		named[lookUp{column: "id", value: u.ID, ok: true}] = u
		named[lookUp{column: "email_key", value: textValue(u.EmailKey), ok: true}] = u
		named[lookUp{column: "username_key", value: textValue(u.UsernameKey), ok: true}] = u
		named[lookUp{column: "external_id_key", value: textValue(u.ExternalIDKey), ok: true}] = u
	}
	users := make([]*db.User, len(refs))
	for i, ref := range refs {
		users[i] = named[ref.lookUp()]
	}
	return users
}

func typed[T any](values []any) []T {
	all := make([]T, len(values))
	for i, value := range values {
		all[i] = value.(T)
	}
	return all
}

// lockUsers returns the users in the order of the references, and keeps others from
// writing to them until the end of the transaction. A user who does not exist is nil,
// and a fault; field names the list, or the single reference. The moment of the write is
// later than the locks.
func (d *Directory) lockUsers(ctx context.Context, w *write, refs []*UserRef, field string) ([]*db.User, error) {
	var b db.Batch
	text, args := usersText(refs, nil, "for no key update")
	rows := db.Queue[db.User](&b, text, args...)
	if err := w.RunThenReadClock(ctx, &b); err != nil {
		return nil, err
	}
	users := matchUsers(refs, rows.All)
	for i, user := range users {
		if user == nil {
			w.faults.Add(problem.NotFound, element(field, i, len(refs)), "There is no such user.")
		}
	}
	return users, nil
}

// element returns the path of an element of a list, or the path of the field if it is
// not a list, which its singular name shows.
func element(field string, i, length int) string {
	if length == 1 && !strings.HasSuffix(field, "s") {
		return field
	}
	return field + "." + strconv.Itoa(i)
}

// distinctNonNil returns the elements that are not nil, each once, in their order.
func distinctNonNil[T any](all []*T) []*T {
	return slices.DeleteFunc(distinct(all), func(one *T) bool { return one == nil })
}

// distinct returns the elements, each once, in their order.
func distinct[T comparable](all []T) []T {
	seen := make(map[T]bool, len(all))
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		again := seen[one]
		seen[one] = true
		return again
	})
}

// ParseOrganizationRef returns the reference by an id, if the text is one, or else by a code.
func ParseOrganizationRef(text string) OrganizationRef {
	if _, err := db.ParseID[db.OrganizationKind](text); err == nil {
		return OrganizationRef{ID: &text}
	}
	return OrganizationRef{Code: &text}
}
