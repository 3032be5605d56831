package directory

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/problem"
	"roster/secret"
)

// A session says who acts. What the person may do is asked in the organization that the
// request names or, if it names none, in the one that the session remembers.

// errUnknownSession returns the problem of every text that is not the secret of a session
// that works.
func errUnknownSession() error {
	return problem.New(problem.Unauthenticated, "This session has ended. Sign in again.")
}

func (d *Directory) authenticateSession(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error) {
	session, err := d.sessions.Find(ctx, shown, d.engine.Staleness())
	if err != nil {
		return nil, err
	}
	return d.actorOf(ctx, session, organization)
}

// AuthenticateNamed is Authenticate for a session that an access token names.
func (d *Directory) AuthenticateNamed(ctx context.Context, of credential.SessionName, organization string) (*access.Actor, error) {
	session, err := d.sessions.Named(ctx, of, d.engine.Staleness())
	if err != nil {
		return nil, err
	}
	return d.actorOf(ctx, session, organization)
}

// ActorOf returns the actor of a session that has just begun.
func (d *Directory) ActorOf(ctx context.Context, session *db.Session) (*access.Actor, error) {
	return d.actorOf(ctx, session, "")
}

// actorOf returns the actor of a session, which may be nil, in the organization of that
// code or id, or else in the one that the session remembers.
func (d *Directory) actorOf(ctx context.Context, session *db.Session, organization string) (*access.Actor, error) {
	if session == nil {
		return nil, errUnknownSession()
	}
	actor := &access.Actor{Session: session, User: &session.UserID}
	org := session.OrgID
	if organization != "" {
		named, err := d.organizationNamed(ctx, organization)
		if err != nil {
			return nil, err
		}
		org = &named
	}
	if org == nil {
		return actor, nil
	}
	isMember, err := d.actIn(ctx, actor, *org)
	if err == nil && !isMember && organization != "" {
		return nil, problem.New(problem.Forbidden, "You belong to no such organization (Roster-Organization).")
	}
	return actor, err
}

// actIn adds to the actor, who is a person, what the person may do in the organization. It
// reports false, and adds nothing, unless the person is a member who may act there.
func (d *Directory) actIn(ctx context.Context, actor *access.Actor, org db.OrganizationID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, credential.WaitTimeout)
	defer cancel()
	catalogue, held, err := d.engine.View(ctx, []access.MemberKey{{User: *actor.User, Organization: org}, {User: *actor.User, Organization: db.Root}})
	if err != nil || !held[0].MayAct() || org == db.Root {
		return false, err
	}
	actor.Organization = &org
	for _, key := range access.SystemPermissions {
		business := catalogue.Allows(held[1], string(key.Key))
		if business {
			actor.Business = append(actor.Business, key.Key)
		}
		if business || catalogue.Allows(held[0], string(key.Key)) {
			actor.Permissions = append(actor.Permissions, key.Key)
		}
	}
	slices.Sort(actor.Business)
	slices.Sort(actor.Permissions)
	return true, nil
}

// organizationNamed returns the id of the organization with that code or id, or zero if
// it does not exist.
func (d *Directory) organizationNamed(ctx context.Context, text string) (db.OrganizationID, error) {
	looks := []lookUp{ParseOrganizationRef(text).lookUp()}
	epoch := d.engine.Epoch() // before the database is read
	recall(d.engine, looks, func(db.OrganizationID) bool { return true })
	_, ids, err := d.idsOf(ctx, nil, looks, nil)
	if err != nil {
		return db.OrganizationID{}, err
	}
	remember(d.engine, looks, ids, epoch)
	return ids[0], nil
}

// OrganizationsOfSessions returns the id of the organization of each session, or zero if
// its person may not act there now.
func (d *Directory) OrganizationsOfSessions(ctx context.Context, sessions []*db.Session) ([]db.OrganizationID, error) {
	members := make([]access.MemberKey, len(sessions))
	for i, s := range sessions {
		if s.OrgID != nil {
			members[i] = access.MemberKey{User: s.UserID, Organization: *s.OrgID}
		}
	}
	_, held, err := d.engine.View(ctx, members)
	if err != nil {
		return nil, err
	}
	ids := make([]db.OrganizationID, len(sessions))
	for i := range held {
		if held[i].MayAct() {
			ids[i] = members[i].Organization
		}
	}
	return ids, nil
}

// VisiblePersonal returns conditions on the sessions or sign-ins that the actor may see, by
// the alias of their table: one's own, and with roster:users:read those of others. Whoever
// reads the users of one organization sees what its members do there, and nothing of where
// else they belong.
func VisiblePersonal(ctx context.Context, alias string) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.UsersRead)
	actor := access.ActorOf(ctx)
	switch {
	case problem.Is(err, problem.Forbidden) && actor.User != nil:
		return []list.Clause{list.Where(alias+".user_id = ?", *actor.User)}, nil
	case err != nil || org == nil:
		return nil, err
	}
	return []list.Clause{list.Where("("+alias+".user_id = ?::uuid or "+alias+".org_id = ? and exists (select from memberships m where m.org_id = "+alias+".org_id and m.user_id = "+alias+".user_id))", actor.User, *org)}, nil
}

// EndSessions ends the sessions of the user that the condition selects, with those of
// applications that began in them, and records it. It returns how many.
func EndSessions(ctx context.Context, w *changes.Write, user db.UserID, condition string, arg any) (int, error) {
	var ended []db.SessionID
	if _, err := w.NewDelete().Table("sessions").Where("user_id = ?", user).Where(condition, arg).Returning("id").Exec(ctx, &ended); err != nil {
		return 0, err
	}
	if len(ended) == 0 {
		return 0, nil
	}
	// A statement of its own also sees sessions that began in them while this one waited.
	var families []db.SessionID
	if _, err := w.NewDelete().Table("sessions").Where("user_id = ? and parent_id in (?)", user, bun.List(ended)).Returning("id").Exec(ctx, &families); err != nil {
		return 0, err
	}
	ended = append(ended, families...)
	return len(ended), w.Record(changes.UserSessionsEnded, user.String(), nil, changes.Values{"sessions": ended}, nil)
}

// EndAllSessions is EndSessions for all sessions of the user but one, if that is not nil. It
// also ends whatever else is under way for the user, such as a sign-in.
func EndAllSessions(ctx context.Context, w *changes.Write, user db.UserID, but *db.SessionID) (int, error) {
	if _, err := w.NewDelete().Table("flows").Where("user_id = ?", user).Exec(ctx); err != nil {
		return 0, err
	}
	return EndSessions(ctx, w, user, "id is distinct from ?", but)
}

// endSessions makes memory forget the sessions that the changes may have ended.
func (d *Directory) endSessions(rows []db.Change) {
	for i := range rows {
		action := changes.ActionByName(rows[i].Action)
		if action.Known() && !action.Effects().Sessions {
			continue
		}
		if user, err := db.ParseID[db.UserKind](rows[i].Subject); err == nil {
			d.sessions.End(user)
		} else {
			d.sessions.EndAll() // an application, or a later version recorded it
		}
	}
}

// committed makes memory forget what a commit of this server concerns.
func (d *Directory) committed(rows []db.Change) {
	d.engine.Committed(rows)
	d.endSessions(rows)
}

// reset makes memory forget everything.
func (d *Directory) reset() {
	d.engine.Reset()
	d.sessions.EndAll()
}
