// Package access decides who may do what. It knows the permissions of Roster
// itself, the actor that a request runs for, what an actor may hand out, and what
// each member of an organization is entitled to.
//
//	Actor      Require, ScopeOf            may the caller do this?
//	Authority  Allow                       may the caller hand out that, and until when?
//
//	Engine   Check, View                   may these members do that?
//	           snapshot                      all roles and permissions: a Catalogue
//	           cache                         each member's grants: Entitlements
//	           PostgreSQL                    in a transaction, and when memory is not fresh
//
//	         Apply ◀── changes.Follower    drops from memory what a change concerns
//	         Committed ◀── changes.Writer  does so before a write is acknowledged
//
// Begin with [Actor] (actor.go) and [Engine] (engine.go); docs/consistency.md says
// what an answer from memory promises, and why it holds.
package access
