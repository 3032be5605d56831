package directory

import "context"

// A page of an impact is mostly read by one statement; in the small worlds of
// tests, mostly by two.
func init() { batch = 3 }

// SetImpactBatch sets how many members are read at first for a page, and gives
// how many they were.
func SetImpactBatch(n int) (before int) {
	before, batch = batch, n
	return before
}

// ForgetAnswers does what Sweep does now and then.
func (d *Directory) ForgetAnswers(ctx context.Context) error { return d.forgetAnswers(ctx) }
