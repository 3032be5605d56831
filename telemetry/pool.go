package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// WatchPool adds the metrics of a pool of connections, with its name as a label. If
// requests often wait for a pool, it or the database is too small for the load.
func (m *Metrics) WatchPool(name string, stat func() *pgxpool.Stat) {
	m.registry.MustRegister(newPoolMetrics(name, stat))
}

// poolMetrics reads a pool once for each scrape, so that its figures are consistent.
type poolMetrics struct {
	stat    func() *pgxpool.Stat
	figures []poolFigure
}

type poolFigure struct {
	*prometheus.Desc
	kind  prometheus.ValueType
	value func(*pgxpool.Stat) float64
}

func newPoolMetrics(pool string, stat func() *pgxpool.Stat) *poolMetrics {
	p := &poolMetrics{stat: stat}
	add := func(kind prometheus.ValueType, name, help string, value func(*pgxpool.Stat) float64) {
		desc := prometheus.NewDesc("roster_db_pool_"+name, help, nil, prometheus.Labels{"pool": pool})
		p.figures = append(p.figures, poolFigure{Desc: desc, kind: kind, value: value})
	}
	add(prometheus.GaugeValue, "acquired_connections", "Connections in use.", func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) })
	add(prometheus.GaugeValue, "idle_connections", "Connections that nobody uses.", func(s *pgxpool.Stat) float64 { return float64(s.IdleConns()) })
	add(prometheus.GaugeValue, "max_connections", "Connections that there may be.", func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) })
	add(prometheus.CounterValue, "acquires_total", "Times that a connection was taken.", func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) })
	add(prometheus.CounterValue, "waits_total", "Times that a connection was waited for.", func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) })
	add(prometheus.CounterValue, "wait_seconds_total", "Time that connections were waited for.", func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() })
	add(prometheus.CounterValue, "canceled_waits_total", "Waits that were given up.", func(s *pgxpool.Stat) float64 { return float64(s.CanceledAcquireCount()) })
	return p
}

// Describe implements prometheus.Collector.
func (p *poolMetrics) Describe(all chan<- *prometheus.Desc) {
	for _, f := range p.figures {
		all <- f.Desc
	}
}

// Collect implements prometheus.Collector.
func (p *poolMetrics) Collect(all chan<- prometheus.Metric) {
	stat := p.stat()
	for _, f := range p.figures {
		all <- prometheus.MustNewConstMetric(f.Desc, f.kind, f.value(stat))
	}
}
