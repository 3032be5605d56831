package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"roster/db/dbtest"
)

// withConn calls use with a connection to a database.
func withConn(t testing.TB, use func(*pgx.Conn)) {
	t.Helper()
	conn, err := dbtest.New(t).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	use(conn)
}

var start = pgx.TraceQueryStartData{SQL: "\n\t\tselect id from users where id = $1", Args: []any{"x"}}

func traceStatement(ctx context.Context, tracer *Tracer, conn *pgx.Conn) {
	tracer.TraceQueryEnd(tracer.TraceQueryStart(ctx, conn, start), conn, pgx.TraceQueryEndData{})
}

func traceOperation(ctx context.Context, m *Metrics) {
	_, operation := m.Operation(ctx, "query", "People")
	operation.End()
}

// TestNoAllocationsWithoutTracing is not parallel, because allocations of other tests
// would count.
func TestNoAllocationsWithoutTracing(t *testing.T) {
	m := NewMetrics()
	tracer := m.Tracer()
	ctx := t.Context()
	withConn(t, func(conn *pgx.Conn) {
		if n := testing.AllocsPerRun(1000, func() { traceStatement(ctx, tracer, conn) }); n != 0 {
			t.Errorf("%v allocations for each statement", n)
		}
	})
	if n := testing.AllocsPerRun(1000, func() { traceOperation(ctx, m) }); n != 0 {
		t.Errorf("%v allocations for each operation", n)
	}
}

func BenchmarkStatementOff(b *testing.B) {
	tracer := NewMetrics().Tracer()
	ctx := b.Context()
	withConn(b, func(conn *pgx.Conn) {
		b.ReportAllocs()
		for b.Loop() {
			traceStatement(ctx, tracer, conn)
		}
	})
}

func BenchmarkStatementTraced(b *testing.B) {
	m := NewMetrics()
	m.spans = sdktrace.NewTracerProvider().Tracer("test") // records without exporting
	tracer := m.Tracer()
	ctx, operation := m.Operation(b.Context(), "query", "")
	defer operation.End()
	withConn(b, func(conn *pgx.Conn) {
		b.ReportAllocs()
		for b.Loop() {
			traceStatement(ctx, tracer, conn)
		}
	})
}

func BenchmarkOperationOff(b *testing.B) {
	m := NewMetrics()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		traceOperation(ctx, m)
	}
}

// nowhere is a response writer that discards everything at no cost.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w nowhere) WriteHeader(int)             {}

func BenchmarkMiddleware(b *testing.B) {
	body := []byte("ok")
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	info := NewLogger(&lines{}, LogJSON, slog.LevelInfo)
	handlers := map[string]http.Handler{"bare": bare, "measured": NewMetrics().Middleware(info, bare)}
	for _, name := range []string{"bare", "measured"} {
		for _, id := range []string{"", "given"} {
			b.Run(name+"/id="+id, func(b *testing.B) {
				r, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", nil)
				if id != "" {
					r.Header.Set("X-Request-Id", id)
				}
				w := nowhere{http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					handlers[name].ServeHTTP(w, r)
				}
			})
		}
	}
}
