package access

// testHooks switch guards of an engine off, one by one. Only tests set them
// (export_test.go), to show that a missing guard is noticed.
type testHooks struct {
	// Without ends, changes end no entry; without announcements, an entry is kept even
	// if it ended while it was read; without committed, the commits of this server
	// invalidate nothing; without staleness, memory is trusted even if no feed confirms
	// it.
	ends, announcements, committed, staleness bool
	// Without staging, a catalogue is published as soon as it was read; without
	// pending, an entry is used with any catalogue; without recheck, it is used even if
	// roles have changed in the meantime.
	staging, pending, recheck bool
	// meanwhile, unless nil, runs between the check that the catalogue is current and
	// the look-up of an entry, as if that moment took long.
	meanwhile func()
	// reading, unless nil, runs after entries were read and before they are kept.
	reading func()
}
