// Command generate writes the code that connects the GraphQL schema to Go.
//
//	schema.graphqls ─┐            ┌─> generated.go  types, arguments, resolver interfaces
//	                 ├─ gqlgen ───┤
//	gqlgen.yml ──────┘            └─> objects.go    each object type, for package execute
//
// gqlgen writes the first file. A plugin, the type objects, writes the second from
// gqlgen's data and the template objects.gotpl. What the second does not need of the
// first is then pruned: most of it serves gqlgen's own executor.
//
// The command looks for gqlgen.yml in the working directory and the directories
// above. Run it by go generate ./graph after every change of the schema.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"
)

// whole keeps gqlgen's own executor, against which package execute is tested.
var whole = flag.Bool("whole", false, "keep the generated code that only gqlgen's own executor needs")

func main() {
	flag.Parse()
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
	if err := api.Generate(cfg, api.AddPlugin(objects{})); err != nil || *whole {
		return err
	}
	return prune(cfg.Exec.Filename, "NewSchema", objectsPath(cfg))
}
