// Package testschema is a schema, its rows and its resolvers, to run package
// execute and gqlgen's own executor against each other.
package testschema

//go:generate go run ../../../generate
