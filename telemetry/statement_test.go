package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"roster/db"
	"roster/db/dbtest"
)

type person struct {
	bun.BaseModel `bun:"table:people"`
	Email         string
}

// secret stands for personal data, which only the database may see.
const secret = "ann.secret@example.com"

// runPeople runs statements of each kind, with values in the text and in arguments,
// and failing ones.
func runPeople(ctx context.Context, t *testing.T, d *db.DB) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	insert := func() error { _, err := d.NewInsert().Model(&person{Email: secret}).Exec(ctx); return err }
	must(insert())
	if err := insert(); err == nil || !strings.Contains(err.Error(), "23505") {
		t.Fatal("not refused:", err)
	}
	_, err := db.Select[person](ctx, d, "select email from people where email = $1", secret)
	must(err)
	_, err = db.Select[person](ctx, d, "select email from people where email = '"+secret+"'") // as nobody should write it
	must(err)
	_, err = d.NewUpdate().Model(&person{Email: secret}).Where("email = ?", secret).Exec(ctx)
	must(err)
	_, err = d.ExecContext(ctx, "with gone as (delete from people where email = ? returning 1) select * from gone", secret)
	must(err)
	_, err = d.NewDelete().Model(&person{}).Where("email = ?", secret).Exec(ctx)
	must(err)
	if _, err := d.ExecContext(ctx, "? is no SQL", secret); err == nil {
		t.Fatal("it is SQL")
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	m, spans := traced(t)
	d := dbtest.New(t, m.Tracer())
	watchPools(m, d)
	if _, err := d.ExecContext(t.Context(), "create table people (email text unique)"); err != nil {
		t.Fatal(err)
	}
	if all := spans.GetSpans(); len(all) != 0 {
		t.Error("spans outside of a trace:", all)
	}
	ctx, operation := m.Operation(t.Context(), "query", "")
	runPeople(ctx, t, d)
	operation.End()

	var names []string
	operationID := spans.GetSpans()[len(spans.GetSpans())-1].SpanContext.SpanID()
	for _, span := range spans.GetSpans() {
		names = append(names, span.Name)
		// %+v reaches all of it: attributes, events, status, links.
		if text := fmt.Sprintf("%+v", span); strings.Contains(text, "secret") {
			t.Error("personal data:", text)
		}
		if span.Name != "query" && span.Parent.SpanID() != operationID {
			t.Errorf("%s is not part of the operation", span.Name)
		}
	}
	want := []string{"insert into people", "insert into people", "select", "select", "update people", "with", "delete from people", "statement", "query"}
	if !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
	checkSpans(t, fmt.Sprintf("%+v", spans.GetSpans()))
	if text := scrape(t, m); strings.Contains(text, "secret") || strings.Contains(text, "people") {
		t.Error("personal data:", text)
	}
	expect(t, m,
		`roster_db_statement_duration_seconds_count{statement="insert"} 2`, `roster_db_statement_errors_total{statement="insert"} 1`,
		`roster_db_statement_duration_seconds_count{statement="select"} 2`, `roster_db_statement_errors_total{statement="select"} 0`,
		`roster_db_statement_duration_seconds_count{statement="with"} 1`, `roster_db_statement_errors_total{statement="other"} 1`)
}

// checkSpans expects the text of the one statement with arguments and no other text,
// and the codes of the failed statements.
func checkSpans(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(text, "select email from people where email = $1") || strings.Count(text, "db.query.text") != 1 {
		t.Error("the spans should contain the text of the statement with arguments, and no other:", text)
	}
	for _, state := range []string{"23505", "42601"} {
		if !strings.Contains(text, state) {
			t.Errorf("no SQLSTATE %s", state)
		}
	}
}

func TestTraceThatIsNotSampledCostsNoSpans(t *testing.T) {
	t.Parallel()
	m, exporter := NewMetrics(), tracetest.NewInMemoryExporter()
	never := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.NeverSample()))
	m.spans = never.Tracer("test")
	ctx, operation := m.Operation(t.Context(), "query", "")
	tracer := m.Tracer()
	withConn(t, func(conn *pgx.Conn) {
		if tracer.TraceQueryStart(ctx, conn, start) != ctx {
			t.Error("there is a span")
		}
		tracer.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{})
	})
	operation.End()
	if n := len(exporter.GetSpans()); n != 0 {
		t.Errorf("%d spans", n)
	}
	expect(t, m, `roster_db_statement_duration_seconds_count{statement="select"} 1`)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"": "statement", "'ann'": "statement", "select": "select",
		"\n\t\tSELECT 'ann'":                      "select",
		"select'ann'":                             "select",
		`INSERT INTO "users" ("id") VALUES (1)`:   "insert into users",
		"insert into users(email) values ('ann')": "insert into users",
		"insert into 'ann'":                       "insert into ",
		"insert":                                  "insert into ",
		`update "a"."b" set c = 'ann'`:            "update a.b",
		"delete from users where email = 'ann'":   "delete from users",
		"begin isolation level serializable":      "begin",
		strings.Repeat("x", 100):                  strings.Repeat("x", 20),
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := summary(text); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestOptionsAreNoArguments(t *testing.T) {
	t.Parallel()
	options := []any{pgx.QueryExecModeExec, pgx.QueryResultFormats{1}, pgx.QueryResultFormatsByOID{}}
	if hasArguments(nil) || hasArguments(options) {
		t.Error("options count as arguments")
	}
	if !hasArguments(append(options, "ann")) || !hasArguments([]any{nil}) {
		t.Error("arguments are missed")
	}
}
