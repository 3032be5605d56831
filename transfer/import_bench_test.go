package transfer_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
	"roster/graph/graphtest"
	"roster/transfer"
	"roster/transfer/format"
)

var benchRows = flag.Int("rows", 50_000, "how many people BenchmarkImport brings in")

// crowd returns a CSV of so many people, each in one of ten organizations with one of ten
// roles.
func crowd(n int) string {
	var file strings.Builder
	file.WriteString("email,id,first_name,last_name,external_organization_id,role_keys\n")
	for i := range n {
		fmt.Fprintf(&file, "person.%d@customer%d.example.com,ext-%d,Given%d,Family%d,org-%d,role-%d\n", i, i%97, i, i%1000, i%7919, i%10, i%7)
	}
	return file.String()
}

// finished are the tables that an import of people fills, in the order in which they refer to
// each other, with what is needed of them by COPY.
var finished = []string{"users", "memberships", "membership_roles"}

// BenchmarkImport plans and applies a file, and compares that with COPY of the same rows of the
// finished tables, with their indexes and constraints, into another database.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		dsn := dbtest.DSN(b)
		s := graphtest.Over(b, dbtest.Open(b, dsn))
		ctx := access.WithActor(b.Context(), access.System("test"))
		seedPlaces(b, ctx, s.Directory)
		file := crowd(*benchRows)
		began := time.Now()
		s.WorkOnImports(b)
		upload, err := s.Transfer.Keep(ctx, "people.csv", strings.NewReader(file))
		graphtest.Must(b, err)
		im, err := s.Transfer.PlanImport(ctx, transfer.PlanImportInput{File: *upload, Format: format.Auto, OnConflict: directory.SkipConflict, OnUnknown: transfer.UnknownFails})
		graphtest.Must(b, err)
		await(b, ctx, s, im, db.ImportPlanned)
		planned := time.Since(began)
		_, err = s.Transfer.ApplyImport(ctx, transfer.ImportActionInput{Import: im.ID.String()})
		graphtest.Must(b, err)
		await(b, ctx, s, im, db.ImportApplied)
		took := time.Since(began)
		copied, rows := copyTables(b, dsn)
		b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
		b.ReportMetric(float64(rows)/copied.Seconds(), "copied-rows/s")
		b.ReportMetric(copied.Seconds()/took.Seconds(), "of-copy")
		b.ReportMetric(planned.Seconds(), "s-planned")
		b.ReportMetric((took - planned).Seconds(), "s-applied")
	}
}

func await(b testing.TB, ctx context.Context, s *graphtest.Server, im *db.Import, status db.ImportStatus) {
	b.Helper()
	for {
		now, err := s.Transfer.Import(ctx, im.ID.String())
		graphtest.Must(b, err)
		switch now.Status {
		case status:
			if now.Failures > 0 {
				b.Fatalf("%d rows have failed", now.Failures)
			}
			return
		case db.ImportFailed:
			b.Fatal(*now.Error)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// seedPlaces makes ten organizations and seven roles.
func seedPlaces(b testing.TB, ctx context.Context, d *directory.Directory) {
	b.Helper()
	for i := range 10 {
		id := fmt.Sprintf("org-%d", i)
		_, err := d.CreateOrganization(ctx, directory.CreateOrganizationInput{Name: id, ExternalID: &id})
		graphtest.Must(b, err)
	}
	for i := range 7 {
		_, err := d.CreateRole(ctx, directory.CreateRoleInput{Key: fmt.Sprintf("role-%d", i), Name: new("Role")})
		graphtest.Must(b, err)
	}
}

// copyTables copies the finished tables of a database into a new one, and returns how long
// COPY took to write them there, and how many rows that were.
func copyTables(b testing.TB, from string) (took time.Duration, rows int64) {
	b.Helper()
	ctx := b.Context()
	source, err := pgx.Connect(ctx, from)
	graphtest.Must(b, err)
	defer source.Close(ctx)
	target, err := pgx.Connect(ctx, dbtest.DSN(b))
	graphtest.Must(b, err)
	defer target.Close(ctx)
	read := func(table string) *bytes.Buffer {
		var text bytes.Buffer
		_, err := source.PgConn().CopyTo(ctx, &text, "copy "+table+" to stdout")
		graphtest.Must(b, err)
		return &text
	}
	for _, table := range []string{"organizations", "roles"} {
		_, err := target.Exec(ctx, "truncate "+table+" cascade")
		graphtest.Must(b, err)
		_, err = target.PgConn().CopyFrom(ctx, read(table), "copy "+table+" from stdin")
		graphtest.Must(b, err)
	}
	texts := map[string]*bytes.Buffer{}
	for _, table := range finished {
		texts[table] = read(table)
	}
	began := time.Now()
	tx, err := target.Begin(ctx)
	graphtest.Must(b, err)
	for _, table := range finished {
		tag, err := target.PgConn().CopyFrom(ctx, texts[table], "copy "+table+" from stdin")
		graphtest.Must(b, err)
		rows += tag.RowsAffected()
	}
	graphtest.Must(b, tx.Commit(ctx))
	return time.Since(began), rows
}

// BenchmarkBesideImport measures how long others wait for a read and a write while a file is
// planned and applied, against a quiet server.
func BenchmarkBesideImport(b *testing.B) {
	for b.Loop() {
		s := graphtest.New(b)
		ctx := access.WithActor(b.Context(), access.System("test"))
		seedPlaces(b, ctx, s.Directory)
		s.Ask(b, `mutation { createUser(input: {email: "somebody@example.com"}) { user { id } } }`)
		quiet := ordinary(b, s, func() bool { return false })
		s.WorkOnImports(b)
		upload, err := s.Transfer.Keep(ctx, "people.csv", strings.NewReader(crowd(*benchRows)))
		graphtest.Must(b, err)
		im, err := s.Transfer.PlanImport(ctx, transfer.PlanImportInput{File: *upload, Format: format.Auto, OnConflict: directory.SkipConflict, OnUnknown: transfer.UnknownFails})
		graphtest.Must(b, err)
		await(b, ctx, s, im, db.ImportPlanned)
		_, err = s.Transfer.ApplyImport(ctx, transfer.ImportActionInput{Import: im.ID.String()})
		graphtest.Must(b, err)
		busy := ordinary(b, s, func() bool {
			now, err := s.Transfer.Import(ctx, im.ID.String())
			graphtest.Must(b, err)
			return now.Status != db.ImportApplying
		})
		b.ReportMetric(quiet.Seconds()*1000, "ms-p99-quiet")
		b.ReportMetric(busy.Seconds()*1000, "ms-p99-beside")
		b.ReportMetric(busy.Seconds()/quiet.Seconds(), "times")
	}
}

// ordinary sends a read and a write every few milliseconds, 500 times or until enough says so,
// and returns the 99th percentile of how long they took.
func ordinary(b testing.TB, s *graphtest.Server, enough func() bool) time.Duration {
	b.Helper()
	var took []time.Duration
	for i := range 500 {
		if i%50 == 49 && enough() {
			break
		}
		began := time.Now()
		s.Ask(b, `{ user(by: {email: "somebody@example.com"}) { name memberships { nodes { organization { name } } } } }`)
		s.Ask(b, fmt.Sprintf(`mutation { updateUser(input: {user: {email: "somebody@example.com"}, givenName: "G%d"}) { user { id } } }`, i))
		took = append(took, time.Since(began))
		time.Sleep(5 * time.Millisecond)
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
