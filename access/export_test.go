package access

// Without gives options for an engine that lacks a guard: tests show that they
// notice.
func Without(o Options, guard string) Options {
	switch guard {
	case "floors":
		o.without.floors = true
	case "committed":
		o.without.committed = true
	case "staleness":
		o.without.staleness = true
	case "staging":
		o.without.staging = true
	case "pending":
		o.without.pending = true
	case "recheck":
		o.without.recheck = true
	default:
		panic(guard)
	}
	return o
}

// Meanwhile gives options for an engine which calls fn whenever it has found its
// catalogue current and is about to use an entry with it.
func Meanwhile(o Options, fn func()) Options {
	o.without.meanwhile = fn
	return o
}
