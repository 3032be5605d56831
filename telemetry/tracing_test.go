package telemetry

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestExporterNames(t *testing.T) {
	t.Parallel()
	const traces, endpoint, protocol = "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	const own, ownProtocol = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	const headers, ownHeaders = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
	tests := map[string]struct {
		env   map[string]string
		want  []string
		wrong string // part of the error
	}{
		"nothing":                   {},
		"an endpoint":               {env: map[string]string{endpoint: "http://c:4318"}, want: []string{"otlp"}},
		"an endpoint for traces":    {env: map[string]string{own: "https://c/v1/traces"}, want: []string{"otlp"}},
		"otlp at its usual place":   {env: map[string]string{traces: "otlp"}, want: []string{"otlp"}},
		"two":                       {env: map[string]string{traces: "console, otlp"}, want: []string{"console", "otlp"}},
		"none wins over endpoints":  {env: map[string]string{traces: "none", endpoint: "http://c:4318"}},
		"disabled":                  {env: map[string]string{"OTEL_SDK_DISABLED": "TRUE", endpoint: "http://c:4318"}},
		"disabled, and wrong":       {env: map[string]string{"OTEL_SDK_DISABLED": "true", traces: "zipkin"}},
		"unknown":                   {env: map[string]string{traces: "zipkin"}, wrong: `"zipkin"`},
		"no address":                {env: map[string]string{endpoint: "user:hunter2@c:4318"}, wrong: endpoint},
		"headers":                   {env: map[string]string{endpoint: "http://c:4318", headers: "a=b, c=hunter2%20"}, want: []string{"otlp"}},
		"a header without a name":   {env: map[string]string{endpoint: "http://c:4318", headers: "a=b,hunter2"}, wrong: headers},
		"a header with a space":     {env: map[string]string{traces: "otlp", headers: "a b=hunter2"}, wrong: headers},
		"a header that is cut off":  {env: map[string]string{traces: "otlp", ownHeaders: "a=hunter2%2"}, wrong: ownHeaders},
		"grpc":                      {env: map[string]string{endpoint: "http://c:4317", protocol: "grpc"}, wrong: `"grpc"`},
		"grpc, but not for traces":  {env: map[string]string{endpoint: "http://c:4318", protocol: "grpc", ownProtocol: "http/protobuf"}, want: []string{"otlp"}},
		"grpc, but no otlp":         {env: map[string]string{traces: "console", protocol: "grpc"}, want: []string{"console"}},
		"the protocol that we have": {env: map[string]string{traces: "otlp", protocol: "http/protobuf"}, want: []string{"otlp"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := exporterNames(func(name string) string { return test.env[name] })
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if (err != nil) != (test.wrong != "") || err != nil && (!strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "hunter2")) {
				t.Error(err)
			}
		})
	}
}

// TestStartTracing is not parallel: it sets environment variables.
func TestStartTracing(t *testing.T) {
	var received atomic.Pointer[[]byte]
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && r.URL.Path == "/v1/traces" {
			received.Store(&body)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_SERVICE_NAME", "accounts")
	m := NewMetrics()
	shutdown, err := m.StartTracing(t.Context(), discard)
	if err != nil {
		t.Fatal(err)
	}
	_, operation := m.Operation(t.Context(), "query", "People")
	operation.End()
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := received.Load()
	if body == nil {
		t.Fatal("nothing was sent")
	}
	for _, part := range []string{"query", "People", "accounts"} {
		if !bytes.Contains(*body, []byte(part)) {
			t.Errorf("no %q in %q", part, *body)
		}
	}
	if bytes.Contains(*body, []byte("process.")) {
		t.Errorf("the resource describes the process: %q", *body)
	}
}

func TestStartTracingWithoutExporter(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(name, "")
	}
	m := NewMetrics()
	shutdown, err := m.StartTracing(t.Context(), discard)
	if err != nil || m.spans != nil {
		t.Fatal("it traces", err)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
