package graphiql

import (
	"embed"
	"path"
	"strings"
)

//go:embed examples
var exampleFiles embed.FS

// Example is a document that the page opens as a tab. GraphiQL titles the tab by
// the name of the operation.
type Example struct {
	Name  string `json:"name"`
	Query string `json:"query"`
	// Variables are a JSON object as text, or empty. GraphiQL leaves out those of
	// the first tab.
	Variables string `json:"variables"`
}

// Examples are the documents of examples/ in the order of their file names, each
// with the variables that stand beside it in a .json file of the same name. They
// speak of the demo business.
func Examples() []Example {
	entries, _ := exampleFiles.ReadDir("examples") // It is in the binary, and sorted.
	var all []Example
	for _, entry := range entries {
		name, isQuery := strings.CutSuffix(entry.Name(), ".graphql")
		if !isQuery {
			continue
		}
		_, title, _ := strings.Cut(name, "-")
		all = append(all, Example{
			Name:      title,
			Query:     readExample(name + ".graphql"),
			Variables: readExample(name + ".json"),
		})
	}
	return all
}

// readExample gives nothing for a file that does not exist: few examples have
// variables.
func readExample(name string) string {
	text, _ := exampleFiles.ReadFile(path.Join("examples", name))
	return string(text)
}
