// Package graph says how each field of schema.graphqls is resolved: one file for
// each concept, and a few lines for each field. A resolver makes one call on the
// directory, and below the root it is called once for all parents of a level. It
// has no SQL and no rule.
//
//	transport ─▶ execute ─▶ generated ─▶ graph ─▶ loaders, directory
//	 (HTTP)     (levels)   (arguments) (resolvers)
//
// Begin with user.go, and NewSchema for how it is put together. A query
//
//	{ can(user: {email: "ada@acme.example"}, organization: {code: "acme"}, permission: "invoices:read") }
//
// passes through these functions, from the socket to the answer:
//
//	transport/transport.go     Handler.ServeHTTP              one request
//	transport/request.go       request.serve                  each step may refuse it
//	transport/header.go        request.checkHeader            method, Accept, Content-Type
//	transport/authenticate.go  request.authenticate           the API key's actor
//	transport/cost.go          meter.check                    is anything left to spend?
//	transport/request.go       request.readOperation          waits for Roster-At-Least
//	transport/params.go        request.readParams             body, JSON, trusted document
//	transport/request.go       request.prepare                which queue it belongs in
//	admission/admission.go     Gate.Known                     judged once, then remembered
//	transport/variables.go     coerceVariables
//	transport/cost.go          meter.charge
//	transport/operation.go     request.runInTurn              waits for its turn
//	transport/operation.go     Handler.run                    notes the revision
//	execute/execute.go         Schema.Exec
//	execute/load.go            execution.load                 level by level
//	execute/call.go            LoadRoot                       calls the resolver
//	permission.go              queryResolver.Can              is in this package
//	../directory/check.go      Directory.Can                  asks access, which remembers
//	execute/answer.go          execution.write                data as JSON
//	transport/answer.go        request.answer
package graph
