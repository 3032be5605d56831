// Package testschema holds a schema with its rows and resolvers, on which tests run
// package execute and gqlgen's own executor against each other.
//
//	schema.graphqls   the schema: one of everything that package execute supports
//	row/              the Go types behind its objects
//	resolver.go       a world of users and teams in memory, with odd values missing
//	generated/ model/ the output of go generate
//
// Begin with New, which returns the resolvers.
package testschema

//go:generate go run ../../../generate -whole
