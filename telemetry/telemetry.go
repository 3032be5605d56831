// Package telemetry shows an operator what the server does: logs, metrics for
// Prometheus, and traces for OpenTelemetry.
//
//	HTTP request  ── Metrics.Middleware ─┐   id, count, time; a panic becomes a 500
//	operation     ── Metrics.Operation ──┼─> /metrics, and a span if traces are exported
//	SQL statement ── Metrics.Tracer ─────┘
//	log line      ── NewLogger ────────────> standard error, with the ids of request and trace
//
// Two rules hold for all of it. It contains no personal data: SQL with values,
// error messages of the database and query strings stay out. And no label of a
// metric has a value that a client chooses, because each new value would be kept
// in memory for ever.
//
// Begin with NewMetrics.
package telemetry

import "time"

var epoch = time.Now()

// now returns the time since the program began. It reads only the monotonic clock,
// which takes half as long as time.Now.
func now() time.Duration { return time.Since(epoch) }
