package telemetry

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"

	"roster/changes"
)

// requestIDHeader carries the id of a request in requests and responses.
const requestIDHeader = "X-Request-Id"

// buckets holds the bounds of the histograms of requests and operations, in seconds.
// A read from memory takes less than the first; clients give up before the last.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

type requestMetrics struct {
	finished *prometheus.CounterVec
	duration prometheus.Histogram
	inFlight prometheus.Gauge
}

func newRequestMetrics() requestMetrics {
	return requestMetrics{
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_http_requests_total",
			Help: "HTTP requests that ended, by method (others than the usual ones: other) and class of status (2xx, …).",
		}, []string{"method", "status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "roster_http_request_duration_seconds",
			Help:    "Time from the header of an HTTP request to the end of its answer. Streams (events, websockets) are left out: they last as long as the client likes.",
			Buckets: buckets,
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roster_http_requests_in_flight",
			Help: "HTTP requests that are being answered, open streams among them.",
		}),
	}
}

// Middleware returns a handler that assigns an id to each request and then calls
// next. The id is in the request's context, changes, log lines, errors and response
// (X-Request-Id). The handler also measures the request, logs it at level Debug, and
// answers 500 if next panics. Make it the outermost handler.
//
// It keeps a client's own X-Request-Id if the id is 1 to 64 letters, digits, ".",
// "_" or "-"; such ids need not be unique. If traces are exported, it continues a
// client's traceparent, including the decision whether to record. It ignores
// baggage.
func (m *Metrics) Middleware(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r.Header)
		ctx := changes.WithRequestID(r.Context(), id)
		if m.spans != nil {
			ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		w.Header()[requestIDHeader] = []string{id}
		r = r.WithContext(ctx)
		recorder := &responseRecorder{ResponseWriter: w, metrics: m, log: log, request: r, id: id, began: now()}
		m.requests.inFlight.Inc()
		defer recorder.end()
		next.ServeHTTP(recorder, r)
	})
}

// requestID returns the id that the client sent if it is acceptable, otherwise a new
// one.
func requestID(h http.Header) string {
	if ids := h[requestIDHeader]; len(ids) == 1 && isRequestID(ids[0]) {
		return ids[0]
	}
	return uuid.Must(uuid.NewV7()).String() // fails only without a source of randomness
}

func isRequestID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// measure counts a request that has ended.
func (m *requestMetrics) measure(method string, status int, took time.Duration, streamed bool) {
	m.inFlight.Dec()
	m.finished.WithLabelValues(methodLabel(method), statusLabel(status)).Inc()
	if !streamed {
		m.duration.Observe(took.Seconds())
	}
}

// methodLabel returns the method, or "other" for methods that clients make up.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func statusLabel(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	}
	return "5xx"
}
