package telemetry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// statementKinds are the first words that are told apart; the first entry
// stands for all others.
var statementKinds = [...]string{"other", "select", "with", "insert", "update", "delete", "begin", "commit", "rollback"}

type statementMetrics struct {
	duration *prometheus.HistogramVec
	failed   *prometheus.CounterVec
	took     [len(statementKinds)]prometheus.Observer
}

func newStatementMetrics() statementMetrics {
	m := statementMetrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roster_db_statement_duration_seconds",
			Help: "Time that SQL statements took until their last row was read, by first word; _count is how many there were. Waiting for a connection is not in it.",
			// Finer at the start than for requests, which take many; 30 s is the statement timeout.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"statement"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_db_statement_errors_total",
			Help: "SQL statements that failed or were cancelled, by first word. A broken constraint is among them: it may be a caller's mistake.",
		}, []string{"statement"}),
	}
	for i, name := range statementKinds {
		m.took[i] = m.duration.WithLabelValues(name)
		m.failed.WithLabelValues(name) // so that it exists, as 0
	}
	return m
}

// Tracer sees each statement that pgx runs.
type Tracer struct{ metrics *Metrics }

var _ pgx.QueryTracer = (*Tracer)(nil)

// Tracer gives the tracer to connect to the database with.
func (m *Metrics) Tracer() *Tracer { return &Tracer{m} }

// statement is the one that a connection is running.
type statement struct {
	kind  int // index of statementKinds
	began time.Duration
	span  trace.Span // nil when it is not traced
}

// statementKey is where a connection keeps its statement.
const statementKey = "roster/telemetry"

// running gives the statement of a connection. It is kept with the connection,
// which runs one at a time, and not in the context, for which two things would
// have to be allocated for each statement.
//
// A second statement while rows are still being read fails as "conn busy"; it
// then makes the first look shorter than it was, and loses its span.
func running(conn *pgx.Conn) *statement {
	custom := conn.PgConn().CustomData()
	s, ok := custom[statementKey].(*statement)
	if !ok {
		s = &statement{}
		custom[statementKey] = s
	}
	return s
}

// TraceQueryStart notes that a statement begins.
func (t *Tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := running(conn)
	s.kind, s.span = kindOf(data.SQL), nil
	s.began = now()
	// Only within a trace that is recorded: a trace of a single statement, such
	// as those which follow the changes each second, says no more than the metrics.
	if t.metrics.spans == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx
	}
	ctx, s.span = t.metrics.startStatement(ctx, data)
	return ctx
}

// TraceQueryEnd measures the statement.
func (t *Tracer) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	s := running(conn)
	m := &t.metrics.statements
	m.took[s.kind].Observe((now() - s.began).Seconds())
	if data.Err != nil {
		m.failed.WithLabelValues(statementKinds[s.kind]).Inc()
	}
	if s.span != nil {
		endStatement(s.span, data)
		s.span = nil
	}
}

// kindOf gives the index of statementKinds.
func kindOf(text string) int {
	word, _ := nextWord(text)
	for i := 1; i < len(statementKinds); i++ {
		if equalFold(word, statementKinds[i]) {
			return i
		}
	}
	return 0
}
