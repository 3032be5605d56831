package directory

import "roster/impact"

// A page of an impact is mostly read by one statement, and all roles of a
// permission side by side; in the small worlds of tests, mostly not.
func init() {
	impact.SetBatch(3)
	mostMerged = 2
}

// SetMostMerged sets how many roles are read side by side, and returns how many
// they were.
func SetMostMerged(n int) (before int) {
	before, mostMerged = mostMerged, n
	return before
}
