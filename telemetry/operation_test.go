package telemetry

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		codes []string
		want  string
	}{
		"none":                     {nil, "ok"},
		"one":                      {[]string{"FORBIDDEN"}, "FORBIDDEN"},
		"the first":                {[]string{"FORBIDDEN", "NOT_FOUND"}, "FORBIDDEN"},
		"a fault of the server":    {[]string{"FORBIDDEN", "INTERNAL"}, "INTERNAL"},
		"the cause of a roll back": {[]string{"ROLLED_BACK", "CONFLICT", "ROLLED_BACK"}, "CONFLICT"},
		"nothing but a roll back":  {[]string{"ROLLED_BACK"}, "ROLLED_BACK"},
		"no code":                  {[]string{""}, "OTHER"},
		"a text":                   {[]string{"ann@example.com is taken"}, "OTHER"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := NewMetrics()
			_, operation := m.Operation(t.Context(), "mutation", "")
			operation.End(test.codes...)
			expect(t, m, `roster_graphql_operations_total{outcome="`+test.want+`",type="mutation"} 1`,
				`roster_graphql_operation_duration_seconds_count{type="mutation"} 1`)
		})
	}
}

// TestCodesOfTheSchemaHaveRoom expects a label for every code of the schema.
func TestCodesOfTheSchemaHaveRoom(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	_, enum, _ := strings.Cut(string(schema), "enum ErrorCode {")
	enum, _, _ = strings.Cut(enum, "}")
	all := regexp.MustCompile(`(?m)^ *([A-Z_]+)`).FindAllStringSubmatch(enum, -1)
	if len(all) < 10 {
		t.Fatalf("only %d codes found", len(all))
	}
	m := NewMetrics()
	for _, code := range all {
		_, operation := m.Operation(t.Context(), "query", "")
		operation.End(code[1])
		expect(t, m, `roster_graphql_operations_total{outcome="`+code[1]+`",type="query"} 1`)
	}
}

func TestNilMetricsMeasureNothing(t *testing.T) {
	t.Parallel()
	var m *Metrics
	ctx, operation := m.Operation(t.Context(), "query", "")
	operation.End("INTERNAL")
	if ctx != t.Context() {
		t.Error("another context")
	}
}

func TestOperationSpan(t *testing.T) {
	t.Parallel()
	m, spans := traced(t)
	handler := m.Middleware(discard, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, operation := m.Operation(r.Context(), "query", "People")
		operation.End("NOT_FOUND")
		_, operation = m.Operation(r.Context(), "mutation", "ann@example.com")
		operation.End("INTERNAL")
	}))
	r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
	r.Header.Set("X-Request-Id", "r1")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	handler.ServeHTTP(httptest.NewRecorder(), r)

	all := spans.GetSpans()
	if len(all) != 2 || all[0].Name != "query" || all[1].Name != "mutation" {
		t.Fatal(all)
	}
	for _, span := range all {
		if id := span.SpanContext.TraceID().String(); id != "0af7651916cd43dd8448eb211c80319c" || span.Parent.SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("trace %s, parent %s", id, span.Parent.SpanID())
		}
	}
	set := attribute.NewSet(all[0].Attributes...)
	for key, want := range map[attribute.Key]string{"graphql.operation.name": "People", "graphql.operation.type": "query", "roster.request_id": "r1", "error.type": "NOT_FOUND"} {
		if got, _ := set.Value(key); got.AsString() != want {
			t.Errorf("%s is %q, want %q", key, got.AsString(), want)
		}
	}
	failed := attribute.NewSet(all[1].Attributes...)
	if failed.HasValue("graphql.operation.name") {
		t.Error("the span contains a name that GraphQL does not allow")
	}
	if all[0].Status.Code != codes.Unset || all[1].Status.Code != codes.Error {
		t.Error("only the server's own fault is a failure:", all[0].Status, all[1].Status)
	}
}

func TestTraceparentIsIgnoredWhileNothingIsTraced(t *testing.T) {
	t.Parallel()
	log := &lines{}
	handler := NewMetrics().Middleware(NewLogger(log, LogJSON, nil), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("so that it is logged") }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if strings.Contains(log.String(), "trace_id") {
		t.Error(log)
	}
}
