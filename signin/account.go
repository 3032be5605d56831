package signin

import (
	"context"

	"github.com/google/uuid"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// personal is a list of rows that belong to people: their sessions, or their sign-ins.
type personal[T any] struct {
	name, table, alias string
	order              list.Order
	cursor             func(*T) list.Cursor
}

// personalRow is a row in the lists of several people. Parent is the number of its person.
type personalRow[T any] struct {
	Row    *T `bun:"embed:row__"`
	Parent int
}

var sessions = personal[db.Session]{
	name: "sessions", table: "sessions", alias: "s",
	order: list.Order{Name: "CREATED_AT", Expression: "s.created_at", Tie: "s.id", Type: list.Time, Descending: true},
	cursor: func(s *db.Session) list.Cursor {
		return list.Cursor{Value: list.TimeValue(&s.CreatedAt), ID: uuid.UUID(s.ID)}
	},
}

var signIns = personal[db.SignIn]{
	name: "signIns", table: "sign_ins", alias: "si",
	order: list.Order{Name: "AT", Expression: "si.at", Tie: "si.id", Type: list.Time, Descending: true},
	cursor: func(s *db.SignIn) list.Cursor {
		return list.Cursor{Value: list.TimeValue(&s.At), ID: uuid.UUID(s.ID)}
	},
}

// of returns a page of the rows of each of the users, the newest first, as far as the
// actor may see them: see directory.VisiblePersonal.
func (l personal[T]) of(ctx context.Context, s *Service, users []db.UserID, page list.Page, conditions ...list.Clause) ([]*list.Connection[T], error) {
	if _, err := access.ScopeOf(ctx, access.UsersRead); err != nil && !access.ActorOf(ctx).Is(users...) {
		return nil, err
	}
	visible, err := directory.VisiblePersonal(ctx, l.alias)
	if err != nil {
		return nil, err
	}
	sorted := l.order
	sorted.Expression, sorted.Tie = "x."+l.order.Expression[len(l.alias)+1:], "x.id"
	connections, _, err := list.ByParent[personalRow[T], T]{
		Name: l.name, Number: len(users),
		Parents:    list.Where("unnest(?::uuid[]) with ordinality p (id, n)", users),
		From:       func(q *list.Statement, _ *list.Span) { q.Add(l.table + " " + l.alias) },
		Conditions: append(append(conditions, visible...), list.Where(l.alias+".user_id = p.id")),
		Row:        l.alias + ".*, p.n as parent", Columns: "x.parent, " + list.ColumnsAs[T](s.Database, "x", "row__", nil)[1:], Order: l.order, Sorted: sorted,
		Node: func(r *personalRow[T]) *T { return r.Row }, Parent: func(r *personalRow[T]) int { return r.Parent },
		Cursor: func(r *personalRow[T]) list.Cursor { return l.cursor(r.Row) },
	}.Page(ctx, s.Database, page)
	return connections, err
}

// working returns the condition on sessions that work now.
func (s *Service) working() list.Clause {
	return list.Where(credential.SessionEnds+" > ?", s.now())
}

// Sessions returns a page of the sessions of each of the users that work now.
func (s *Service) Sessions(ctx context.Context, users []db.UserID, page list.Page) ([]*list.Connection[db.Session], error) {
	return sessions.of(ctx, s, users, page, s.working())
}

// OwnSessions returns the sessions of the person who is signed in that work now, the
// newest first; none for all others.
func (s *Service) OwnSessions(ctx context.Context) ([]*db.Session, error) {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.Session == nil {
		return nil, nil
	}
	rows, err := list.Select[db.Session](ctx, s.Database, list.NewStatement("viewer.sessions").Add("select s.* from sessions s").
		Where(list.Where("s.user_id = ?", *actor.User), s.working()).Add(" order by s.created_at desc, s.id desc"))
	all := make([]*db.Session, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	return all, err
}

// SignInsOf returns a page of the attempts to sign in to the account of each of the users.
func (s *Service) SignInsOf(ctx context.Context, users []db.UserID, page list.Page) ([]*list.Connection[db.SignIn], error) {
	return signIns.of(ctx, s, users, page)
}

// SignIns returns a page of all attempts to sign in, those on unknown accounts among them.
// The actor must read the users of the whole business.
func (s *Service) SignIns(ctx context.Context, page list.Page) (*list.Connection[db.SignIn], error) {
	if err := access.Require(ctx, access.UsersRead); err != nil {
		return nil, err
	}
	return list.Query[db.SignIn]{
		Name: "signIns", From: "sign_ins si", Alias: "si", Columns: db.Columns[db.SignIn](s.Database, nil), Descending: true,
		Key: list.Key[db.SignIn]{
			Name: "AT", Expression: "si.at", Column: "at", Type: list.Time,
			Value: func(row *db.SignIn) string { return list.TimeValue(&row.At) },
		},
		ID: func(row *db.SignIn) uuid.UUID { return uuid.UUID(row.ID) },
	}.Page(ctx, s.Database, page)
}
