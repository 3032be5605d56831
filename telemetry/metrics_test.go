package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"roster/db"
	"roster/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// traced returns metrics whose ended spans are in the exporter.
func traced(t *testing.T) (*Metrics, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	t.Cleanup(func() { _ = provider.Shutdown(t.Context()) })
	m := NewMetrics()
	m.spans = provider.Tracer("test")
	return m, exporter
}

// scrape returns all metrics in the format of Prometheus.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// watchPools watches the pools of a database, as the server does.
func watchPools(m *Metrics, d *db.DB) {
	for name, stat := range d.Pools() {
		m.WatchPool(name, stat)
	}
}

// expect fails unless each line is among the metrics.
func expect(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	text := scrape(t, m)
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %s among\n%s", line, ours(text))
		}
	}
}

// ours returns Roster's own metrics, without those of libraries.
func ours(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "roster_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestHandlerShowsAllKinds(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	database := dbtest.New(t, m.Tracer())
	watchPools(m, database)
	taken, err := database.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := scrape(t, m)
	for _, name := range []string{
		"go_goroutines ", `roster_db_pool_acquired_connections{pool="reads"} 1`, `roster_db_pool_acquired_connections{pool="planning"} 0`,
		`roster_db_pool_idle_connections{pool="reads"} `, `roster_db_pool_max_connections{pool="planning"} `,
		`roster_db_pool_acquires_total{pool="reads"} `, `roster_db_pool_waits_total{pool="reads"} `, `roster_db_pool_wait_seconds_total{pool="reads"} `,
		`roster_db_pool_canceled_waits_total{pool="reads"} 0`,
		"roster_build_info{",
		"roster_http_requests_in_flight 0", "roster_graphql_operations_total{outcome=\"ok\",type=\"query\"} 0", "roster_denials_total{code=\"FORBIDDEN\"} 0",
		"roster_db_statement_errors_total{statement=\"select\"} 0", "roster_db_statement_duration_seconds_count{statement=\"select\"} 0",
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(text, "\n"+name) {
				t.Errorf("no %s", name)
			}
		})
	}
}

// TestLabelsAreBounded varies everything that clients choose, and expects no more
// series than there are methods, classes of status and types.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m, _ := traced(t)
	handler := m.Middleware(discard, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200 + len(r.URL.Path)%400)
	}))
	for i := range 2000 {
		r := httptest.NewRequest(fmt.Sprintf("METHOD%d", i), "/"+strings.Repeat("x", i), nil)
		r.Header.Set("X-Request-Id", fmt.Sprintf("client-chosen-%d", i))
		handler.ServeHTTP(httptest.NewRecorder(), r)
		ctx, operation := m.Operation(t.Context(), fmt.Sprintf("client-chosen-%d", i), fmt.Sprintf("Chosen%d", i))
		operation.End(fmt.Sprintf("client-chosen-%d", i))
		_, operation = m.Operation(ctx, "query", fmt.Sprintf("Chosen%d", i))
		operation.End(strings.Repeat("C", 1+i%30) + strings.Repeat("H", 1+i/30))
	}
	text := ours(scrape(t, m))
	if strings.Contains(strings.ToLower(text), "chosen") || strings.Contains(text, "METHOD") {
		t.Error("a label has a value that a client chose:", text)
	}
	if n := strings.Count(text, "\n"); n > 400 {
		t.Errorf("%d series", n)
	}
	expect(t, m, `roster_graphql_operations_total{outcome="OTHER",type="other"} 2000`)
}
