// Command generate writes the code that connects the GraphQL schema to Go.
//
//	schema.graphqls ─┐            ┌─> generated.go  types, arguments, resolver interfaces
//	                 ├─ gqlgen ───┤
//	gqlgen.yml ──────┘            └─> objects.go    each object type, for package execute
//
// gqlgen writes the first file. A plugin, the type objects, writes the second from
// gqlgen's data and the template objects.gotpl.
//
// The command looks for gqlgen.yml in the working directory and the directories
// above. Run it by go generate ./graph after every change of the schema.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return err
	}
	log.SetOutput(io.Discard) // gqlgen logs a line for each field with a resolver
	return api.Generate(cfg, api.AddPlugin(objects{}))
}
