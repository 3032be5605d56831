package access

// Without returns options for an engine that lacks a guard, so that a test can show
// that the guard is needed.
func Without(o Options, guard string) Options {
	switch guard {
	case "ends":
		o.without.ends = true
	case "announcements":
		o.without.announcements = true
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

// Meanwhile returns options for an engine that calls fn whenever it has found its
// catalogue current and is about to look up an entry to use with it.
func Meanwhile(o Options, fn func()) Options {
	o.without.meanwhile = fn
	return o
}

// Reading returns options for an engine that calls fn whenever it has read entries
// and is about to keep them.
func Reading(o Options, fn func()) Options {
	o.without.reading = fn
	return o
}
