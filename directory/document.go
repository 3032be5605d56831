package directory

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
)

// Mutation is a field of a mutation document: its name in the schema, and its input.
type Mutation struct {
	Name  string
	Input any
}

// LockAhead locks what the mutations of one document name, in the order of kinds and
// ids in which every write locks: organizations, users, roles, permissions, API keys. So
// two documents that name the same things in opposite orders take turns, rather than
// wait for one another in a circle, which PostgreSQL notices after a second only. It
// locks nothing more strongly than the mutations will. Call it in the transaction of the
// document, before the first mutation.
//
// What the actor must not know of is not locked, and LockAhead reports no faults:
// the mutations themselves find everything again.
func (d *Directory) LockAhead(ctx context.Context, mutations []Mutation) error {
	n := names{}
	for _, m := range mutations {
		add := foresight[m.Name]
		if add == nil {
			return fmt.Errorf("nothing says what %s locks", m.Name)
		}
		need := add(&n, m.Input)
		if need == "" {
			continue
		}
		reach, err := access.ScopeOf(ctx, need)
		if err != nil {
			return nil // the mutation is going to say so, and nothing is carried out
		}
		if reach != nil {
			n.reach = reach
		}
	}
	if len(mutations) < 2 && !n.alone {
		return nil
	}
	if actor := access.ActorOf(ctx); n.own && actor != nil && actor.User != nil {
		n.users = append(n.users, lookUp{column: "id", value: *actor.User, ok: true})
	}
	found, err := d.resolve(ctx, &n)
	if err != nil {
		return err
	}
	if err := d.interruptNamed(ctx, &n, found); err != nil {
		return err
	}
	return d.Writer.RunFirst(ctx, n.lock(found))
}

// names are what the mutations of a document name.
type names struct {
	// own is set if a mutation is about the actor itself.
	own bool
	// reach is the organization within which names are looked up; nil is everywhere.
	reach *db.OrganizationID
	// alone is true if a mutation would lock in another order than all others, so that
	// even a document of this one locks ahead.
	alone bool

	organizations, roles, permissions named
	users                             []lookUp
	// leaving are the users whose memberships end, with their API keys; they are among
	// users.
	leaving []lookUp
	keys    []db.APIKeyID
	// endsUsers is true if users may be suspended or deleted.
	endsUsers bool
	// settings is true if the settings are to be changed, and newDefault and newRoles if
	// the default organization and the default roles are.
	settings, newDefault, newRoles bool
	// defaults is true for what newcomers get: the default organization and roles.
	defaults bool
	// deleted are what takes others along: the members of organizations, the
	// organizations with a default role, the roles with a permission.
	deletedOrganizations, deletedRoles, deletedPermissions []lookUp
	// claims are the numbers of advisory locks on names that must be unique, and that the
	// mutations may give to something.
	claims []int64
}

// named are what mutations of one document look up of one kind: to share, with others
// that do the same, or to change.
type named struct{ share, change []lookUp }

// claim adds a text that the mutations may make the value of a unique column.
func (n *names) claim(kind string, look lookUp) {
	if !look.ok {
		return
	}
	hash := fnv.New64a()
	text, _ := look.value.(string)
	_, _ = hash.Write([]byte(kind + "\n" + look.column + "\n" + text)) // which never fails
	n.claims = append(n.claims, int64(hash.Sum64()))                   //nolint:gosec // any number is as good
}

// lock strengths of the statements below, strongest first.
const (
	toChange = "for no key update"
	toShare  = forShare
)

// target is a row to be locked.
type target struct {
	id   uuid.UUID
	lock string
}

// resolved are the ids of what was named, by kind. An id may be there several times.
type resolved struct{ organizations, users, roles, permissions []target }

// foundName is a row that a mutation names.
type foundName struct {
	ID uuid.UUID
	// Change reports whether it is to be changed.
	Change bool
}

// resolve looks up what is named, in one round trip. It locks the settings first, so that
// what newcomers get stays the same.
func (d *Directory) resolve(ctx context.Context, n *names) (*resolved, error) {
	var b db.Batch
	switch {
	case n.settings:
		b.Exec("select from settings for update")
	case n.defaults:
		b.Exec("select from settings " + toShare)
	}
	organizations := n.queueOrganizations(&b)
	users := db.Queue[foundName](&b, `select id, true as change from users where deleted_at is null
		and (id = any($1::uuid[]) or email_key = any($2::text[]) or username_key = any($3::text[]) or external_id_key = any($4::text[]))
		and ($5::uuid is null or exists (select from memberships m where m.org_id = $5 and m.user_id = users.id))`,
		append(columns[db.UserID](n.users, "email_key", "username_key", "external_id_key"), n.reach)...)
	roles := n.queueRoles(&b)
	permissions := n.queuePermissions(&b)
	if err := d.db.Run(ctx, &b); err != nil {
		return nil, err
	}
	return &resolved{targets(organizations...), targets(users), targets(roles...), targets(permissions...)}, nil
}

func (n *names) queueOrganizations(b *db.Batch) (found []*db.Rows[foundName]) {
	for change, looks := range map[bool][]lookUp{false: n.organizations.share, true: n.organizations.change} {
		if len(looks) > 0 {
			found = append(found, db.Queue[foundName](b, `select id, $5::boolean as change from organizations where deleted_at is null
				and (id = any($1::uuid[]) or code = any($2::text[]) or external_id_key = any($3::text[])) and ($4::uuid is null or id = $4)`,
				append(columns[db.OrganizationID](looks, "code", "external_id_key"), n.reach, change)...))
		}
	}
	if n.defaults || n.newDefault {
		found = append(found, db.Queue[foundName](b, "select id, $1::boolean as change from organizations where is_default", n.newDefault))
	}
	if len(n.deletedRoles) > 0 {
		found = append(found, db.Queue[foundName](b, `select org_id as id, true as change from organization_default_roles
			where role_id = any(array(select id from roles where `+namedDefinitions+`))`, columns[db.RoleID](n.deletedRoles, "key")...))
	}
	return found
}

func (n *names) queueRoles(b *db.Batch) (found []*db.Rows[foundName]) {
	for change, looks := range map[bool][]lookUp{false: n.roles.share, true: n.roles.change} {
		if len(looks) > 0 {
			found = append(found, db.Queue[foundName](b, "select id, $3::boolean as change from roles where "+namedDefinitions,
				append(columns[db.RoleID](looks, "key"), change)...))
		}
	}
	if n.defaults || n.newRoles {
		found = append(found, db.Queue[foundName](b, "select id, $1::boolean as change from roles where is_default and deleted_at is null", n.newRoles))
	}
	if n.defaults {
		found = append(found, db.Queue[foundName](b, `select role_id as id, false as change from organization_default_roles where org_id = any(array(
			select id from organizations where deleted_at is null and (is_default or id = any($1::uuid[]) or code = any($2::text[]) or external_id_key = any($3::text[]))))`,
			columns[db.OrganizationID](n.organizations.share, "code", "external_id_key")...))
	}
	if len(n.deletedPermissions) > 0 {
		found = append(found, db.Queue[foundName](b, `select role_id as id, true as change from role_permissions where revoked_at is null
			and permission_id = any(array(select id from permissions where `+namedDefinitions+`))`, columns[db.PermissionID](n.deletedPermissions, "key")...))
	}
	if len(n.leaving) > 0 {
		found = append(found, n.queueHeld(b, roleGrants))
	}
	return found
}

func (n *names) queuePermissions(b *db.Batch) (found []*db.Rows[foundName]) {
	for change, looks := range map[bool][]lookUp{false: n.permissions.share, true: n.permissions.change} {
		if len(looks) > 0 {
			found = append(found, db.Queue[foundName](b, "select id, $3::boolean as change from permissions where "+namedDefinitions,
				append(columns[db.PermissionID](looks, "key"), change)...))
		}
	}
	if len(n.leaving) > 0 {
		found = append(found, n.queueHeld(b, permissionGrants))
	}
	return found
}

// queueHeld looks up what the leaving users hold.
func (n *names) queueHeld(b *db.Batch, kind grantKind) *db.Rows[foundName] {
	return db.Queue[foundName](b, "select distinct g."+kind.column+" as id, false as change from users u join memberships m on m.user_id = u.id join "+kind.table+
		` g on g.org_id = m.org_id and g.user_id = m.user_id and g.live where u.deleted_at is null
		and (u.id = any($1::uuid[]) or u.email_key = any($2::text[]) or u.username_key = any($3::text[]) or u.external_id_key = any($4::text[]))
		and ($5::uuid is null or m.org_id = $5)`,
		append(columns[db.UserID](n.leaving, "email_key", "username_key", "external_id_key"), n.reach)...)
}

// columns returns the values that are looked up: the ids, and the texts in each of the
// columns, as arguments of a statement.
func columns[ID any](looks []lookUp, names ...string) []any {
	ids := []ID{}
	for _, look := range looks {
		if id, isID := look.value.(ID); look.ok && isID {
			ids = append(ids, id)
		}
	}
	args := []any{ids}
	for _, name := range names {
		args = append(args, keysIn(looks, name))
	}
	return args
}

// targets returns the rows that were found, each once and with the stronger lock, in the
// order of their ids.
func targets(found ...*db.Rows[foundName]) []target {
	var all []target
	for _, rows := range found {
		for _, row := range rows.All {
			lock := toShare
			if row.Change {
				lock = toChange
			}
			all = append(all, target{row.ID, lock})
		}
	}
	slices.SortFunc(all, func(a, b target) int {
		return cmp.Or(slices.Compare(a.id[:], b.id[:]), cmp.Compare(a.lock, b.lock)) // toShare comes last
	})
	return slices.CompactFunc(all, func(a, b target) bool { return a.id == b.id })
}

// lock returns the statements that lock what was found, in the order in which every
// write locks.
func (n *names) lock(found *resolved) *db.Batch {
	b := &db.Batch{}
	lockRows(b, "organizations", found.organizations)
	if len(n.deletedOrganizations) > 0 {
		b.Exec(`select from users where id in (select unnest($4::uuid[]) union select user_id from memberships where org_id = any(array(
			select id from organizations where deleted_at is null and (id = any($1::uuid[]) or code = any($2::text[]) or external_id_key = any($3::text[])))))
			order by id for no key update`, append(columns[db.OrganizationID](n.deletedOrganizations, "code", "external_id_key"), ids(found.users))...)
	} else {
		lockRows(b, "users", found.users)
	}
	lockRows(b, "roles", found.roles)
	lockRows(b, "permissions", found.permissions)
	if len(n.keys) > 0 || len(n.leaving) > 0 {
		leaving := []uuid.UUID{}
		if len(n.leaving) > 0 {
			leaving = ids(found.users)
		}
		b.Exec("select from api_keys where (id = any($1) or user_id = any($2)) and ($3::uuid is null or org_id = $3) order by id for no key update", n.keys, leaving, n.reach)
	}
	if len(n.claims) > 0 {
		slices.Sort(n.claims)
		b.Exec("select pg_advisory_xact_lock(n) from unnest($1::bigint[]) n", slices.Compact(n.claims))
	}
	return b
}

// interruptNamed interrupts what the server is doing for what the mutations may end, so
// that they need not wait for it.
func (d *Directory) interruptNamed(ctx context.Context, n *names, found *resolved) error {
	for _, org := range found.organizations {
		if org.lock == toChange && n.reach == nil { // others are refused
			d.Writer.Ends(ctx, db.OrganizationID(org.id).String())
		}
	}
	var ending []party
	for _, user := range found.users {
		if n.endsUsers {
			ending = append(ending, userParty(db.UserID(user.id)))
		}
	}
	if len(n.keys) > 0 {
		keys, err := db.Select[db.APIKey](ctx, d.db, "select * from api_keys where id = any($1) and ($2::uuid is null or org_id = $2)", n.keys, n.reach)
		if err != nil {
			return err
		}
		for i := range keys {
			ending = append(ending, keyParty(&keys[i]))
		}
	}
	return d.interrupt(ctx, ending...)
}

func ids(all []target) []uuid.UUID {
	ids := make([]uuid.UUID, len(all))
	for i, t := range all {
		ids[i] = t.id
	}
	return ids
}

// lockRows locks rows of a table in their order. Neighbors with the same lock take one
// statement.
func lockRows(b *db.Batch, table string, all []target) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(t target) bool { return t.lock != all[0].lock })
		if n < 0 {
			n = len(all)
		}
		b.Exec("select from "+table+" where id = any($1) order by id "+all[0].lock, ids(all[:n]))
		all = all[n:]
	}
}
