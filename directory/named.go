package directory

import (
	"context"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
)

// namedIDs returns the ids of the users and organizations that the references name;
// zero if there are none. Unless within is nil, it also returns zero for other
// organizations and for users who are not members of it: otherwise memory would
// answer sooner for users who do not exist than for other organizations' users.
func (d *Directory) namedIDs(ctx context.Context, users []*UserRef, orgs []*OrganizationRef, within *db.OrganizationID) ([]db.UserID, []db.OrganizationID, error) {
	return d.idsOf(ctx, looksOf(users), looksOf(orgs), within)
}

func looksOf[R interface{ lookUp() lookUp }](refs []R) []lookUp {
	looks := make([]lookUp, len(refs))
	for i, ref := range refs {
		looks[i] = ref.lookUp()
	}
	return looks
}

// idsOf is namedIDs for look-ups. Ids need no look-up, and everything else takes one
// statement.
func (d *Directory) idsOf(ctx context.Context, users, orgs []lookUp, within *db.OrganizationID) ([]db.UserID, []db.OrganizationID, error) {
	namedUsers, namedOrgs, err := d.lookUpIDs(ctx, users, orgs, within)
	if err != nil {
		return nil, nil, err
	}
	userIDs, orgIDs := pick(users, namedUsers), pick(orgs, namedOrgs)
	for i, id := range orgIDs {
		if within != nil && id != *within {
			orgIDs[i] = db.OrganizationID{}
		}
	}
	return userIDs, orgIDs, nil
}

// lookUpIDs returns the ids of what is not looked up by its id.
func (d *Directory) lookUpIDs(ctx context.Context, users, orgs []lookUp, within *db.OrganizationID) (map[lookUp]db.UserID, map[lookUp]db.OrganizationID, error) {
	emails, usernames, externals := keysIn(users, "email_key"), keysIn(users, "username_key"), keysIn(users, "external_id_key")
	codes, orgExternals := keysIn(orgs, "code"), keysIn(orgs, "external_id_key")
	if len(emails)+len(usernames)+len(externals)+len(codes)+len(orgExternals) == 0 {
		return nil, nil, nil
	}
	rows, err := db.Select[struct {
		IsUser                          bool
		ID                              db.UserID
		Email, Username, Code, External string
	}](ctx, d.db, `
		select true as is_user, id, coalesce(email_key, '') as email, coalesce(username_key, '') as username, '' as code, coalesce(external_id_key, '') as external
			from users where deleted_at is null and (email_key = any($1::text[]) or username_key = any($2::text[]) or external_id_key = any($3::text[]))
				and ($6::uuid is null or exists (select from memberships m where m.org_id = $6 and m.user_id = users.id))
		union all
		select false, id, '', '', code, coalesce(external_id_key, '')
			from organizations where deleted_at is null and (code = any($4::text[]) or external_id_key = any($5::text[]))`,
		emails, usernames, externals, codes, orgExternals, within)
	if err != nil {
		return nil, nil, err
	}
	namedUsers, namedOrgs := map[lookUp]db.UserID{}, map[lookUp]db.OrganizationID{}
	for _, row := range rows {
		if row.IsUser {
			namedUsers[lookUp{column: "email_key", value: row.Email, ok: true}] = row.ID
			namedUsers[lookUp{column: "username_key", value: row.Username, ok: true}] = row.ID
			namedUsers[lookUp{column: "external_id_key", value: row.External, ok: true}] = row.ID
		} else {
			namedOrgs[lookUp{column: "code", value: row.Code, ok: true}] = db.OrganizationID(row.ID)
			namedOrgs[lookUp{column: "external_id_key", value: row.External, ok: true}] = db.OrganizationID(row.ID)
		}
	}
	return namedUsers, namedOrgs, nil
}

// keysIn returns the keys that are looked up in the column, each once.
func keysIn(looks []lookUp, column string) []string {
	keys := []string{}
	for i, look := range looks {
		if look.ok && look.column == column && (i == 0 || look != looks[i-1]) {
			keys = append(keys, look.value.(string))
		}
	}
	return distinct(keys)
}

// pick returns the id for each look-up; zero if it found nothing.
func pick[K db.Kind](looks []lookUp, named map[lookUp]db.ID[K]) []db.ID[K] {
	ids := make([]db.ID[K], len(looks))
	for i, look := range looks {
		switch id, isID := look.value.(db.ID[K]); {
		case !look.ok:
		case isID:
			ids[i] = id
		default:
			ids[i] = named[look]
		}
	}
	return ids
}

// knownIDs is namedIDs for checks: names that memory knows need no look-up.
func (d *Directory) knownIDs(ctx context.Context, users []*UserRef, orgs []*OrganizationRef, within *db.OrganizationID) ([]db.UserID, []db.OrganizationID, error) {
	userLooks, orgLooks := looksOf(users), looksOf(orgs)
	if db.HasTx(ctx) {
		return d.idsOf(ctx, userLooks, orgLooks, within)
	}
	// An actor who must not know of a user would learn of them from memory, which
	// answers sooner then than for a user who does not exist.
	reach, err := access.ScopeOf(ctx, access.MembersRead)
	everywhere := err == nil && reach == nil
	epoch := d.engine.Epoch() // before the database is read
	recall(d.engine, userLooks, func(db.UserID) bool { return everywhere })
	recall(d.engine, orgLooks, func(id db.OrganizationID) bool { return everywhere || within != nil && id == *within })
	userIDs, orgIDs, err := d.idsOf(ctx, userLooks, orgLooks, within)
	if err == nil {
		remember(d.engine, userLooks, userIDs, epoch)
		remember(d.engine, orgLooks, orgIDs, epoch)
	}
	return userIDs, orgIDs, err
}

// recall replaces names by ids if memory knows, and may say, whom they mean.
func recall[K db.Kind](engine *access.Engine, looks []lookUp, maySay func(db.ID[K]) bool) {
	for i, look := range looks {
		if name, ok := nameOf[K](look); ok {
			if id, known := engine.LookupName(name); known && maySay(db.ID[K](id)) {
				looks[i] = lookUp{column: "id", value: db.ID[K](id), ok: true}
			}
		}
	}
}

// remember keeps the ids that were found for names, in what was read at that epoch
// or later.
func remember[K db.Kind](engine *access.Engine, looks []lookUp, ids []db.ID[K], epoch uint64) {
	for i, look := range looks {
		if name, ok := nameOf[K](look); ok && !ids[i].IsZero() {
			engine.Remember(name, uuid.UUID(ids[i]), epoch)
		}
	}
}

// nameOf returns the name that is looked up; ok is false for an id, and for a name
// that cannot exist.
func nameOf[K db.Kind](look lookUp) (name access.Name, ok bool) {
	var kind K
	text, ok := look.value.(string)
	if !ok || !look.ok {
		return name, false
	}
	return access.NewName(kind.Prefix(), look.column, text), true
}
