package telemetry

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
)

// Metrics measures requests, operations and statements: always for Prometheus,
// and also as spans once StartTracing has found an exporter. It is safe for
// concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	requests   requestMetrics
	operations operationMetrics
	statements statementMetrics
	denials    *prometheus.CounterVec
	// spans is nil if nothing is traced. It is set at most once, before anything is
	// measured.
	spans trace.Tracer
}

// NewMetrics returns metrics in a registry of their own, together with the metrics
// of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		requests:   newRequestMetrics(),
		operations: newOperationMetrics(),
		statements: newStatementMetrics(),
		denials:    newDenials(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(),
		m.requests.finished, m.requests.duration, m.requests.inFlight,
		m.operations.finished, m.operations.duration,
		m.statements.duration, m.statements.failed,
		m.denials,
	)
	return m
}

// Handler answers with all metrics in the format of Prometheus. They show outsiders
// how busy the business is: if the server is public, a proxy should block them.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// WatchCounter adds a counter. It calls value at each scrape; the value must never
// decrease.
func (m *Metrics) WatchCounter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// WatchGauge adds a gauge. It calls value at each scrape.
func (m *Metrics) WatchGauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// buildInfo returns a gauge that is always 1, with the build in its labels.
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

// build names the source from which the program was built, as far as Go knows it.
type build struct{ version, revision string }

func readBuild() build {
	b := build{version: "unknown", revision: "unknown"}
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
