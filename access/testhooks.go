package access

// testHooks take single guards away. Only tests set them (export_test.go), to show
// that each guard would be missed.
type testHooks struct {
	// floors: what was invalidated is used. committed: what this server commits
	// invalidates nothing. staleness: memory is trusted without a feed.
	floors, committed, staleness bool
	// staging: a catalogue is published as soon as it was read. pending: an entry
	// is used with whatever catalogue there is. recheck: also when roles have
	// changed meanwhile.
	staging, pending, recheck bool
	// meanwhile, unless nil, runs after it was found that the catalogue is current
	// and before an entry is looked up: as if that moment took long.
	meanwhile func()
}
