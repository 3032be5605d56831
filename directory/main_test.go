package directory_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
	"roster/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// setUp is a database that is set up, in which nothing is yet.
var setUp = dbtest.NewFilled(func(ctx context.Context, database *db.DB) error {
	d := directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler)})
	defer d.Close()
	return d.Setup(ctx)
})

// business is a new directory, and a context on which the server itself acts.
type business struct {
	*directory.Directory
	t   testing.TB
	db  *db.DB
	ctx context.Context
}

// Authenticate is Directory.Authenticate, which waits for the database for two seconds: on a
// busy machine it is called again.
func (b *business) Authenticate(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error) {
	for {
		actor, err := b.Directory.Authenticate(ctx, shown, organization)
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return actor, err
		}
	}
}

func newBusiness(t testing.TB, tracers ...pgx.QueryTracer) *business {
	t.Helper()
	database := dbtest.Open(t, setUp.DSN(t), tracers...)
	b := &business{directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler)}), t, database, access.WithActor(t.Context(), access.System("test"))}
	t.Cleanup(b.Close)
	return b
}

// must returns the value of a call that has to succeed: must(call())(t).
func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
