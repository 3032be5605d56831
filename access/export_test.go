package access

// Without gives options for an engine that lacks a guard: tests show that they
// notice.
func Without(o Options, guard string) Options {
	switch guard {
	case "floors":
		o.sabotage.floors = true
	case "committed":
		o.sabotage.committed = true
	case "staleness":
		o.sabotage.staleness = true
	case "staging":
		o.sabotage.staging = true
	case "pending":
		o.sabotage.pending = true
	default:
		panic(guard)
	}
	return o
}
