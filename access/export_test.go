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
	case "recheck":
		o.sabotage.recheck = true
	default:
		panic(guard)
	}
	return o
}

// Meanwhile gives options for an engine which calls fn whenever it has found its
// catalogue current and is about to use an entry with it.
func Meanwhile(o Options, fn func()) Options {
	o.sabotage.meanwhile = fn
	return o
}
