package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"roster/changes"
	"roster/db"
	"roster/secret"
)

// sessionPrefix begins the secret of every session.
const sessionPrefix = "rs_"

// SessionName names a session: what belongs to a person is found by the person.
type SessionName struct {
	User    db.UserID
	Session db.SessionID
}

// NewSession returns the secret of a new session, and the hash that is stored in its
// place. The secret is "rs_" and 86 characters of base64url, which begin with the name.
func NewSession(of SessionName) (shown secret.Text, hash []byte) {
	return newPersonal(sessionPrefix, of.User, of.Session)
}

// NoSecret returns the hash of a session that has no secret, since nobody could know one.
func NoSecret() []byte {
	bits := make([]byte, sha256.Size)
	rand.Read(bits) // never fails
	return bits
}

// IsSession reports whether the secret has the form of a session's.
func IsSession(shown secret.Text) bool { return strings.HasPrefix(shown.Reveal(), sessionPrefix) }

// parseSession returns the name in the secret of a session, and the hash of the secret.
func parseSession(shown secret.Text) (of SessionName, hash []byte, ok bool) {
	user, id, hash, ok := parsePersonal(sessionPrefix, shown.Reveal())
	return SessionName{user, db.SessionID(id)}, hash, ok
}

// Sessions finds the sessions that work, and remembers them.
//
// A session ends with a change of its user: see End. What its user may do in an
// organization is not asked here.
type Sessions struct {
	*finder[workingSession]
	db     *db.DB
	writer *changes.Writer
	log    *slog.Logger
	clock  func() time.Time
	// epochs count what has ended sessions, for groups of users.
	epochs [1 << 12]atomic.Uint64
	seed   maphash.Seed
}

// NewSessions returns the sessions of a database, which notes their use by the writer,
// and compares their ends with the clock; Close ends them.
func NewSessions(database *db.DB, writer *changes.Writer, clock func() time.Time, log *slog.Logger) *Sessions {
	s := &Sessions{db: database, writer: writer, clock: clock, log: log, seed: maphash.MakeSeed()}
	s.finder = newFinder(s.read)
	return s
}

// Close stops the work in the background. Sessions must not be used afterwards.
func (s *Sessions) Close() { s.close() }

// Find returns the session with that secret if it works now. It returns nil if the secret
// is unknown or malformed, the session has ended, its user is suspended or deleted, or its
// application is deleted.
//
// Memory is trusted for staleness at most, and not after [Sessions.End]. Find returns
// context.DeadlineExceeded if the database does not answer within WaitTimeout. The
// context must not carry a transaction.
func (s *Sessions) Find(ctx context.Context, shown secret.Text, staleness time.Duration) (*db.Session, error) {
	of, hash, ok := parseSession(shown)
	if !ok {
		return nil, nil
	}
	session, err := s.Named(ctx, of, staleness)
	if session == nil || subtle.ConstantTimeCompare(session.Hash, hash) == 0 {
		return nil, err
	}
	return session, err
}

// Named is Find for whoever has shown otherwise that the session is theirs.
func (s *Sessions) Named(ctx context.Context, of SessionName, staleness time.Duration) (*db.Session, error) {
	var name name
	copy(name[:], of.User[:])
	copy(name[16:], of.Session[:])
	row, err := s.find(ctx, name, s.epoch(of.User).Load(), func(row *workingSession) time.Duration {
		if row.UseIsNews {
			s.noteUse(ctx, &row.Session)
		}
		return min(staleness, time.Duration(row.EndsIn*float64(time.Second)))
	})
	if row == nil {
		return nil, err
	}
	return &row.Session, err
}

// End makes memory forget the sessions of the user, which a change may have ended. It is
// called before the change is acknowledged, and when the feed delivers it.
func (s *Sessions) End(user db.UserID) { s.epoch(user).Add(1) }

// EndAll is End for all users.
func (s *Sessions) EndAll() {
	for i := range s.epochs {
		s.epochs[i].Add(1)
	}
}

func (s *Sessions) epoch(user db.UserID) *atomic.Uint64 {
	return &s.epochs[maphash.Bytes(s.seed, user[:])%uint64(len(s.epochs))]
}

// workingSession is a session as it was read.
type workingSession struct {
	db.Session `bun:",extend"`
	// EndsIn is the number of seconds until the session ends, unless it is used.
	EndsIn float64
	// UseIsNews is set if the last use on record is old enough for a new one.
	UseIsNews bool
}

// SessionEnds is when the session s ends unless it is used, as an expression. No other SQL
// decides that.
const SessionEnds = "least(s.expires_at, s.last_used_at + make_interval(secs => (select session_idle_seconds from settings)))"

const workingSessionText = `
select s.*, extract(epoch from ` + SessionEnds + ` - $3)::float8 as ends_in, s.last_used_at < $3 - interval '1 minute' as use_is_news
from sessions s join users u on u.id = s.user_id and u.status = 'ACTIVE' and u.deleted_at is null
left join applications a on a.id = s.application_id
where a.deleted_at is null and ` + SessionEnds + ` > $3::timestamptz and (s.user_id, s.id) in (select * from unnest($1::uuid[], $2::uuid[]))`

// QueueWorkingSession adds to the batch the statement that looks whether the session works
// at that moment. The function that it returns may be called when the batch has run.
func QueueWorkingSession(b *db.Batch, of SessionName, at time.Time) func() bool {
	rows := db.Queue[workingSession](b, workingSessionText, []db.UserID{of.User}, []db.SessionID{of.Session}, at)
	return func() bool { return rows.One() != nil }
}

func (s *Sessions) read(ctx context.Context, names []name) (map[name]*workingSession, error) {
	users, ids := make([]uuid.UUID, len(names)), make([]uuid.UUID, len(names))
	for i, name := range names {
		users[i], ids[i] = uuid.UUID(name[:16]), uuid.UUID(name[16:])
	}
	rows, err := db.Select[workingSession](ctx, s.db, workingSessionText, users, ids, s.clock())
	byName := make(map[name]*workingSession, len(rows))
	for i := range rows {
		var its name
		copy(its[:], rows[i].UserID[:])
		copy(its[16:], rows[i].ID[:])
		byName[its] = &rows[i]
	}
	return byName, err
}

// noteUse stores that the session was used, as Keys.noteUse does.
func (s *Sessions) noteUse(ctx context.Context, session *db.Session) {
	free := s.db.NewSelect().Table("sessions").Column("id").Where("user_id = ? and id = ?", session.UserID, session.ID).For("no key update skip locked")
	now := s.clock()
	_, err := s.writer.Unrecorded(ctx).NewUpdate().Model((*db.Session)(nil)).Set("last_used_at = ?", now).
		Where("user_id = ? and id in (?)", session.UserID, free).Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		s.log.WarnContext(ctx, "the use of a session is not on record", slog.Any("cause", err))
		return
	}
	session.LastUsedAt = now
}
