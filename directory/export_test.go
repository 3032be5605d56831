package directory

// A page of an impact is mostly read by one statement, and all roles of a
// permission side by side; in the small worlds of tests, mostly not.
func init() { batch, mostMerged = 3, 2 }

// SetMostMerged sets how many roles are read side by side, and gives how many
// they were.
func SetMostMerged(n int) (before int) {
	before, mostMerged = mostMerged, n
	return before
}

// SetImpactBatch sets how many members are read at first for a page, and gives
// how many they were.
func SetImpactBatch(n int) (before int) {
	before, batch = batch, n
	return before
}
