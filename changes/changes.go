// Package changes is the way to write to the database, and the log of what was
// written: what each transaction changed, when, and on whose behalf. The log is the
// audit trail, and every server follows it to keep its memory true:
//
//	a server writes                              every server follows
//
//	Writer.Write                                 Follower
//	  begin                                        each Poll: what became visible
//	    rows … ── Write.Record ──▶ changes ──▶     since the last snapshot ──▶ apply
//	    Hooks.Check                (table)
//	  commit
//	  Hooks.Committed
//	  Notify ───────────────────▶ NOTIFY ────▶     a step at once
//
// The table is the truth. A notification only makes a step come sooner: if it is
// lost, nothing else is.
//
// Begin with the table of actions in action.go, which says what can follow from each
// change; then see write.go and follow.go.
package changes
