// Package changes is the log of changes: what every transaction changed, when,
// and on whose behalf. Nothing else writes to the database. The log is the audit
// trail, and what every server follows:
//
//	a server writes                            every server follows
//
//	Writer.Write                               Follower
//	  begin                                      each Poll: what became visible
//	    rows … ── Write.Record ──▶ changes ──▶   since the last snapshot ──▶ apply
//	    Hooks.Check                (table)
//	  commit
//	  Hooks.Committed
//	  Ring ─────────────────────▶ NOTIFY ────▶   the bell: look now, not at the next Poll
//
// The table is the truth. The bell only hastens: nothing is lost with it. What
// may follow from a change, the table of actions says (action.go): begin there.
package changes
