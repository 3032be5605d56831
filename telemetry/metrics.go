// Package telemetry lets an operator see what the server does: logs, metrics
// for Prometheus, and traces for OpenTelemetry.
//
// Two rules hold for all of it. No personal data: SQL that holds values, error
// messages of the database and query strings stay out. And nothing that a
// client chooses is a label of a metric, since each new value would be kept in
// memory for ever.
package telemetry

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
)

// Metrics measures requests, operations and statements: always for Prometheus,
// and once StartTracing has found an exporter, as spans too.
type Metrics struct {
	registry   *prometheus.Registry
	requests   requestMetrics
	operations operationMetrics
	statements statementMetrics
	// spans is nil while nothing is traced. It is set before anything is
	// measured, and never again.
	spans trace.Tracer
}

// NewMetrics makes metrics in a registry of their own, together with those of
// the Go runtime and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		requests:   newRequestMetrics(),
		operations: newOperationMetrics(),
		statements: newStatementMetrics(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(),
		m.requests.finished, m.requests.duration, m.requests.inFlight,
		m.operations.finished, m.operations.duration,
		m.statements.duration, m.statements.failed,
	)
	return m
}

// Handler answers with all metrics, as Prometheus reads them. They tell an
// outsider how busy the business is: where the address is public, a proxy
// should not pass them on.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// WatchCounter adds a counter whose value is asked for at each scrape; it must
// only grow.
func (m *Metrics) WatchCounter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// WatchGauge adds a gauge whose value is asked for at each scrape.
func (m *Metrics) WatchGauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// buildInfo is always 1; what it tells is in its labels.
func buildInfo() prometheus.Collector {
	b := readBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "roster_build_info",
		Help:        "Always 1: the labels say which build is running.",
		ConstLabels: prometheus.Labels{"version": b.version, "revision": b.revision, "go_version": runtime.Version()},
	})
	info.Set(1)
	return info
}

// build is which source a program was built from, as far as Go has noted it.
type build struct{ version, revision string }

func readBuild() build {
	b := build{"unknown", "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.revision = setting.Value
		}
	}
	return b
}

var epoch = time.Now()

// now is the time since the program began. It reads the monotonic clock alone,
// which costs half of what time.Now does.
func now() time.Duration { return time.Since(epoch) }
