package telemetry

import "github.com/prometheus/client_golang/prometheus"

// DenialCodes are the codes of errors by which a client is denied something, as opposed to
// a request that is wrong.
var DenialCodes = []string{"UNAUTHENTICATED", "FORBIDDEN", "ESCALATION", "LIMITED"}

func newDenials() *prometheus.CounterVec {
	denials := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roster_denials_total",
		Help: "Requests that were denied something, by the code of the error: once for each code, also if other parts of the request were answered.",
	}, []string{"code"})
	for _, code := range DenialCodes {
		denials.WithLabelValues(code) // shown from the start, so that a first one is a rise
	}
	return denials
}

// Denied counts a request that was denied something with errors of these codes, each of
// which is one of DenialCodes. A nil Metrics measures
// nothing.
func (m *Metrics) Denied(codes ...string) {
	if m == nil {
		return
	}
	for _, code := range codes {
		m.denials.WithLabelValues(code).Inc()
	}
}
