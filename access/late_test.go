package access

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
)

// late is an engine that hears of changes before they can be seen in the database, as
// in a database that is spread over machines.
type late struct {
	*testing.T
	*Engine
	database *db.DB
	member   MemberKey
}

func newLate(t *testing.T) *late {
	t.Helper()
	l := &late{T: t, database: dbtest.New(t), member: MemberKey{db.NewID[db.UserKind](), db.NewID[db.OrganizationKind]()}}
	ctx := t.Context()
	permission := db.NewID[db.PermissionKind]()
	err := l.database.InTx(ctx, func(ctx context.Context, _ bun.IDB) error {
		for _, row := range []struct {
			text string
			args []any
		}{
			{`insert into organizations (id, code, name, name_key, is_default, search) values (?, 'acme', 'Acme', 'acme', false, '')`, []any{l.member.Organization}},
			{`insert into organizations (id, code, name, name_key, is_default, search) values (?, 'home', 'Home', 'home', true, '')`, []any{db.NewID[db.OrganizationKind]()}},
			{`insert into users (id, name, name_key, search) values (?, 'Ada', 'ada', '')`, []any{l.member.User}},
			{`insert into memberships (id, org_id, user_id) values (?, ?, ?)`, []any{db.NewID[db.MembershipKind](), l.member.Organization, l.member.User}},
			{`insert into permissions (id, key, name) values (?, 'thing:do', 'Do')`, []any{permission}},
			{`insert into membership_permissions (id, org_id, user_id, permission_id, granted_by) values (?, ?, ?, ?, 'system:test')`,
				[]any{db.NewID[db.GrantKind](), l.member.Organization, l.member.User, permission}},
		} {
			l.exec(ctx, row.text, row.args...)
		}
		return nil
	})
	l.must(err)
	log := slog.New(slog.DiscardHandler)
	l.Engine = NewEngine(l.database, Options{Staleness: time.Hour, Log: log})
	feed := changes.NewFollower(l.database, log, changes.FollowerOptions{Reset: l.Reset}, l.Apply)
	l.must(feed.Start(ctx))
	t.Cleanup(feed.Close)
	l.Follow(feed)
	for len(l.snapshot.Load().Permissions) == 0 {
		time.Sleep(time.Millisecond)
	}
	return l
}

func (l *late) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *late) exec(ctx context.Context, text string, args ...any) {
	l.Helper()
	_, err := l.database.Executor(ctx).NewRaw(text, args...).Exec(ctx)
	l.must(err)
}

// ask reports whether the member has the permission, and whether memory knows it then.
func (l *late) ask() (allowed, kept bool) {
	l.Helper()
	catalogue, all, err := l.View(l.Context(), []MemberKey{l.member}, "thing:do")
	l.must(err)
	_, kept = l.Check(l.member, "thing:do")
	return catalogue.Allows(all[0], "thing:do"), kept
}

// A reading that does not show a change, although it began after the change was
// announced, is repeated and not kept, whatever the change concerns.
func TestReadingsOlderThanAnnouncedAreNotKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text   string
		change func(MemberKey) db.Change
	}{
		"grant": {"update membership_permissions set live = false, revoked_at = now(), revoked_by = 'system:test'", granted},
		"user": {"update users set status = 'SUSPENDED'", func(m MemberKey) db.Change {
			return db.Change{Action: changes.UserSuspended.String(), Subject: m.User.String()}
		}},
		"organization": {"update organizations set status = 'SUSPENDED' where not is_default", func(m MemberKey) db.Change {
			return db.Change{Action: changes.OrganizationSuspended.String(), Subject: m.Organization.String()}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLate(t)
			if allowed, kept := l.ask(); !allowed || !kept {
				t.Fatalf("at first: %v, kept %v", allowed, kept)
			}
			err := l.database.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
				l.exec(ctx, test.text)
				change := test.change(l.member)
				xid, err := db.SelectOne[db.Revision](ctx, l.database, "select pg_current_xact_id()")
				l.must(err)
				change.XID = *xid
				l.Committed([]db.Change{change}) // too early
				before := l.Stats()
				if _, kept := l.ask(); kept {
					t.Error("a reading of before the change is kept")
				}
				if again := l.Stats(); again.Misses < before.Misses+2 {
					t.Errorf("it is read %d times", again.Misses-before.Misses)
				}
				return nil
			})
			l.must(err)
			if allowed, kept := l.ask(); allowed || !kept {
				t.Errorf("afterwards: %v, kept %v", allowed, kept)
			}
		})
	}
}
