// Command generate writes the code which ties the GraphQL schema to Go: what
// gqlgen generates by gqlgen.yml, and beside it objects.go, which describes
// each object type to package execute. It looks for gqlgen.yml in the working
// directory and those above.
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
	log.SetOutput(io.Discard) // a line for each field that gets a resolver
	return api.Generate(cfg, api.AddPlugin(objects{}))
}
