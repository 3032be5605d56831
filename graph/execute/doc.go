// Package execute answers GraphQL operations level by level.
//
// gqlgen generates the types, the reading of arguments and the resolver
// interfaces; this package runs them. An operation is answered in two phases.
//
// Loading goes down the document breadth first. All objects of one concrete
// type at one place of the document form a group, and each field selected
// there is resolved once for the whole group: it is a column. What a column
// yields are the groups of the next level.
//
//	{ users { nodes { name  organization { name } } } }
//
//	group Query          1 object    users         one call  ->  1 connection
//	group Connection     1 object    nodes         one call  ->  50 users
//	group User          50 objects   organization  one call  ->  50 organizations
//	group Organization  50 objects   (only plain fields: nothing to load)
//
// A resolver is therefore called once for each place where the document names
// it, however long the lists are: there is no N+1, no goroutine, and nobody
// waits for a batch to fill.
//
// Writing goes through the groups depth first and appends the answer to one
// buffer. Plain fields, such as name above, are read from their object only
// now, straight into JSON. Each column knows for each parent where its
// children are, so that a null which takes away its parent merely truncates
// the buffer.
package execute
