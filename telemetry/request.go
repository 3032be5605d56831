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

// requestIDHeader carries the id of a request, in both directions.
const requestIDHeader = "X-Request-Id"

// buckets are the bounds of the histograms of requests and operations, in
// seconds: a read from memory takes less than the first, and who waits for the
// last has given up.
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

// Middleware gives each request an id, which its context, its changes, its log
// lines, its errors and its answer (X-Request-Id) carry; it measures the request,
// logs it at level Debug, and makes a 500 of a panic. It is the outermost handler.
//
// A client's own X-Request-Id is kept if it is 1 to 64 letters, digits, ".", "_"
// or "-"; such ids need not be unique. While traces are exported, a client's
// traceparent is continued, its decision whether to record included; baggage
// is not taken.
func (m *Metrics) Middleware(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r.Header)
		ctx := changes.WithRequestID(r.Context(), id)
		if m.spans != nil {
			ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		w.Header()[requestIDHeader] = []string{id}
		r = r.WithContext(ctx)
		e := &exchange{ResponseWriter: w, metrics: m, log: log, request: r, id: id, began: now()}
		m.requests.inFlight.Inc()
		defer e.end()
		next.ServeHTTP(e, r)
	})
}

// requestID is the one that the client has sent, if it will do, else a new one.
func requestID(h http.Header) string {
	if given := h[requestIDHeader]; len(given) == 1 && isRequestID(given[0]) {
		return given[0]
	}
	return uuid.Must(uuid.NewV7()).String() // fails only where there is no randomness
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

// methodLabel keeps the methods that clients make up out of the labels.
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
