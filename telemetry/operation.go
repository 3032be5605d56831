package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"roster/changes"
)

// operationTypes lists the types of operations in GraphQL. The first entry stands
// for everything else.
var operationTypes = [...]string{"other", "query", "mutation", "subscription"}

type operationMetrics struct {
	finished *prometheus.CounterVec
	duration *prometheus.HistogramVec
	codes    *codeSet
	// The metrics of nearly every operation, looked up once, by index of
	// operationTypes.
	ok   [len(operationTypes)]prometheus.Counter
	took [len(operationTypes)]prometheus.Observer
}

func newOperationMetrics() operationMetrics {
	m := operationMetrics{
		codes: &codeSet{seen: map[string]bool{}},
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_graphql_operations_total",
			Help: "GraphQL operations that ended, by type and outcome: ok, or the code of an error (INTERNAL before others, ROLLED_BACK after).",
		}, []string{"type", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "roster_graphql_operation_duration_seconds",
			Help:    "Time that GraphQL operations took, by type.",
			Buckets: buckets,
		}, []string{"type"}),
	}
	for i, name := range operationTypes {
		m.ok[i] = m.finished.WithLabelValues(name, "ok")
		m.took[i] = m.duration.WithLabelValues(name)
	}
	return m
}

// Operation is the measurement of one running GraphQL operation.
type Operation struct {
	metrics *Metrics
	kind    int // index of operationTypes
	began   time.Duration
	span    trace.Span // nil if it is not traced
}

// Operation begins to measure an operation; call End when the operation has ended.
// kind is query, mutation or subscription. name is the client's name for the
// operation; it may be empty, and only the trace contains it. Run the operation with
// the returned context, which carries the span. A nil Metrics measures nothing.
// Operation does not allocate if nothing is traced.
func (m *Metrics) Operation(ctx context.Context, kind, name string) (context.Context, Operation) {
	o := Operation{metrics: m}
	if m == nil {
		return ctx, o
	}
	for i, known := range operationTypes {
		if kind == known {
			o.kind = i
		}
	}
	o.began = now()
	if m.spans != nil {
		ctx, o.span = m.startOperation(ctx, operationTypes[o.kind], name)
	}
	return ctx, o
}

func (m *Metrics) startOperation(ctx context.Context, kind, name string) (context.Context, trace.Span) {
	attributes := make([]attribute.KeyValue, 0, 3)
	attributes = append(attributes, attribute.String("graphql.operation.type", kind))
	if isOperationName(name) {
		attributes = append(attributes, attribute.String("graphql.operation.name", name))
	}
	if id := changes.RequestID(ctx); id != "" {
		attributes = append(attributes, attribute.String("roster.request_id", id))
	}
	return m.spans.Start(ctx, kind, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
}

// isOperationName reports whether text is a short GraphQL name. Anything else that a
// client sends as a name might be data.
func isOperationName(text string) bool {
	if text == "" || len(text) > 80 || '0' <= text[0] && text[0] <= '9' {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		default:
			return false
		}
	}
	return true
}

// End records the end of the operation, with the codes of its errors.
func (o Operation) End(codes ...string) {
	if o.metrics == nil {
		return
	}
	m := &o.metrics.operations
	m.took[o.kind].Observe((now() - o.began).Seconds())
	if len(codes) == 0 {
		m.ok[o.kind].Inc()
		if o.span != nil {
			o.span.End()
		}
		return
	}
	outcome := m.codes.label(outcomeOf(codes))
	m.finished.WithLabelValues(operationTypes[o.kind], outcome).Inc()
	if o.span != nil {
		o.endSpan(outcome)
	}
}

// endSpan marks the span as failed only if the server was at fault. It answered all
// other operations as it should.
func (o Operation) endSpan(outcome string) {
	o.span.SetAttributes(attribute.String("error.type", outcome))
	if outcome == internalCode {
		o.span.SetStatus(codes.Error, "")
	}
	o.span.End()
}

const (
	internalCode   = "INTERNAL"
	rolledBackCode = "ROLLED_BACK"
	otherCode      = "OTHER"
)

// outcomeOf returns the code that matters most to an operator: INTERNAL if there is
// one, otherwise the first code that is not ROLLED_BACK, which only follows from
// another.
func outcomeOf(codes []string) string {
	first := ""
	for _, code := range codes {
		if code == internalCode {
			return code
		}
		if first == "" || first == rolledBackCode {
			first = code
		}
	}
	return first
}

// maxCodes is twice the number of values of the schema's ErrorCode.
const maxCodes = 32

// codeSet bounds the values of the label of outcomes, even if a caller passes other
// texts as codes.
type codeSet struct {
	mu   sync.Mutex
	seen map[string]bool
}

// label returns the code itself if it looks like a code and there are not too many
// of them, otherwise OTHER.
func (s *codeSet) label(code string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[code] {
		return code
	}
	if len(s.seen) >= maxCodes || !isCode(code) {
		return otherCode
	}
	s.seen[code] = true
	return code
}

func isCode(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'A' || 'Z' < c) && c != '_' {
			return false
		}
	}
	return text != "" && len(text) <= 32
}
