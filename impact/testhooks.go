package impact

// SetBatch sets how many members are read at first for a page, and returns how many
// they were: tests set it, so that small lists take every path.
func SetBatch(n int) (before int) {
	before, batch = batch, n
	return before
}
