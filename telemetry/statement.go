package telemetry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// statementKinds lists the first words of statements that the metrics distinguish.
// The first entry stands for all other words.
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
			// Finer than for requests, which run many statements. 30 s is the statement timeout.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"statement"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_db_statement_errors_total",
			Help: "SQL statements that failed or were cancelled, by first word. A broken constraint is among them: it may be a caller's mistake.",
		}, []string{"statement"}),
	}
	for i, name := range statementKinds {
		m.took[i] = m.duration.WithLabelValues(name)
		m.failed.WithLabelValues(name) // so that the series exists from the start
	}
	return m
}

// Tracer measures each statement that pgx runs. Make it with Metrics.Tracer.
type Tracer struct{ metrics *Metrics }

var _ pgx.QueryTracer = (*Tracer)(nil)

// Tracer returns a tracer for the connections to the database.
func (m *Metrics) Tracer() *Tracer { return &Tracer{m} }

// statement is the statement that a connection is running.
type statement struct {
	kind  int // index of statementKinds
	began time.Duration
	span  trace.Span // nil if it is not traced
}

// statementKey is the key of the statement in the custom data of a connection.
const statementKey = "roster/telemetry"

// statementOf returns the statement of a connection. The connection holds it,
// because it runs one statement at a time. The context would need two allocations
// for each statement.
//
// A second statement fails with "conn busy" while rows of the first are being read.
// The first then appears shorter than it was, and loses its span.
func statementOf(conn *pgx.Conn) *statement {
	custom := conn.PgConn().CustomData()
	s, ok := custom[statementKey].(*statement)
	if !ok {
		s = &statement{}
		custom[statementKey] = s
	}
	return s
}

// TraceQueryStart records the beginning of a statement.
func (t *Tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := statementOf(conn)
	s.kind, s.span = kindOf(data.SQL), nil
	s.began = now()
	// Only within a recorded trace: a trace of a single statement, such as the poll
	// for changes, would say no more than the metrics.
	if t.metrics.spans == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx
	}
	ctx, s.span = t.metrics.startStatement(ctx, data)
	return ctx
}

// TraceQueryEnd measures the statement.
func (t *Tracer) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	s := statementOf(conn)
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

// kindOf returns the index of a statement's first word in statementKinds.
func kindOf(text string) int {
	word, _ := nextWord(text)
	for i := 1; i < len(statementKinds); i++ {
		if equalFold(word, statementKinds[i]) {
			return i
		}
	}
	return 0
}
